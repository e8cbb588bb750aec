"""A plan in words: the same sections on a terminal, as Markdown for a review, and its tests as JUnit XML.

What goes away and what widens comes first: nobody misses it in a long list.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from rich.text import Text

from gatepost.cli.standing import short
from gatepost.cli.tables import words
from gatepost.printable import printable

_STYLES = {"-": "red", "+": "green"}
_SIGNS = {"removed": "-", "changed": "~", "added": "+"}
_SHOWN_RANGES = 20
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#])")


class Section(NamedTuple):
    """A heading and its lines; `urgent` ones are what a reviewer must not miss."""

    title: str
    lines: tuple[str, ...]
    urgent: bool = False


def sections(plan: Mapping[str, Any]) -> list[Section]:
    """What a plan says, without what is empty."""
    holding = {finding["id"] for finding in plan["holding"]}
    found = (
        Section("Holds a publish up", tuple(map(finding_line, plan["holding"])), urgent=True),
        Section("Cannot be compiled", tuple(_problems(plan)), urgent=True),
        Section("Changes", tuple(line for change in plan["changes"] for line in _change(change))),
        Section("Widens", tuple(_widenings(plan["widenings"])), urgent=True),
        Section("Who may relay without a password", tuple(_exposures(plan["exposure"]))),
        Section("Other findings", tuple(finding_line(f) for f in plan["findings"] if f["id"] not in holding)),
        Section("Servers that get it", tuple(_servers(plan))),
    )
    return [section for section in found if section.lines]


def headline(plan: Mapping[str, Any]) -> str:
    """The plan in one sentence."""
    if not plan["changes"] and not plan["touched"]:
        return "No changes."
    counted = {action: sum(c["action"] == action for c in plan["changes"]) for action in _SIGNS}
    told = (
        ", ".join(f"{number} {action}" for action, number in counted.items() if number)
        or "nothing in the document"
    )
    wider = (
        "nothing widens"
        if plan["only_narrows"]
        else f"{len(list(_widenings(plan['widenings'])))} widening(s)"
    )
    passed, failed = len(tests(plan, passed=True)), len(tests(plan, passed=False))
    return (
        f"{told}; {wider}; {len(plan['touched'])} server(s) get it; tests: {passed} passed, {failed} failed."
    )


def tests(plan: Mapping[str, Any], *, passed: bool) -> list[Mapping[str, Any]]:
    """The document's tests that passed, or failed."""
    return [test for server in plan["servers"] for test in server["tests"] if test["passed"] is passed]


def text(plan: Mapping[str, Any]) -> Text:
    """For a terminal: what must not be missed in red, additions in green."""
    shown = Text()
    for section in sections(plan):
        shown.append(f"{section.title}\n", "bold red" if section.urgent else "bold")
        for line in section.lines:
            shown.append(f"  {line}\n", _STYLES.get(line.strip()[:1], ""))
        shown.append("\n")
    return shown.append(headline(plan))


def markdown(plan: Mapping[str, Any]) -> str:
    """For a comment on a change that is under review."""
    parts = [f"## Gatepost plan\n\n{_escaped(headline(plan))}"]
    for section in sections(plan):
        title = f"⚠ {section.title}" if section.urgent else section.title
        parts.append(f"### {title}\n\n" + "\n".join(f"- {_escaped(line)}" for line in section.lines))
    return "\n\n".join(parts) + "\n"


def junit(plan: Mapping[str, Any]) -> str:
    """The document's tests as JUnit XML."""
    listed = [*tests(plan, passed=True), *tests(plan, passed=False)]
    failures = str(len(tests(plan, passed=False)))
    suite = ET.Element("testsuite", name="gatepost", tests=str(len(listed)), failures=failures, errors="0")
    for test in listed:
        case = ET.SubElement(
            suite, "testcase", classname=printable(test["server"]), name=printable(test["name"])
        )
        if not test["passed"]:
            ET.SubElement(case, "failure", message=_told(test))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _escaped(line: str) -> str:
    return _MARKDOWN.sub(r"\\\1", line)


def finding_line(finding: Mapping[str, Any]) -> str:
    """A finding of policy: how bad, where, what, and what to do; its id where an admin may take it on."""
    where = f" on {words(finding['servers'])}" if finding.get("servers") else ""
    detail = printable(finding["detail"]).removesuffix(".")
    told = f"{finding['severity']} {finding['rule']}{where}: {detail}. {printable(finding['remedy'])}"
    return f"{told} Its id is {finding['id']}." if finding["acknowledgeable"] else told


def _told(test: Mapping[str, Any]) -> str:
    reason = (test.get("explanation") or {}).get("reason")
    told = f"expects {test['expected']!r}, got {test['got']!r}"
    return printable(f"{told} ({reason})" if reason else told)


def _problems(plan: Mapping[str, Any]) -> Iterator[str]:
    for server in plan["servers"]:
        yield from (f"{server['server']}: {printable(problem)}" for problem in server["problems"])


def _change(change: Mapping[str, Any]) -> Iterator[str]:
    yield f"{_SIGNS[change['action']]} {change['part']}/{printable(change['name'])} {change['action']}"
    for field in change["fields"]:
        yield f"    {field['field']}: {words(field['before'])} -> {words(field['after'])}"
    if change["action"] == "changed":
        yield from (f"    - range {text}" for text in _some(change["ranges_removed"]))
        yield from (f"    + range {text}" for text in _some(change["ranges_added"]))


def _some(ranges: list[str]) -> Iterator[str]:
    yield from ranges[:_SHOWN_RANGES]
    if ranges[_SHOWN_RANGES:]:
        yield f"(and {len(ranges) - _SHOWN_RANGES} more)"


def _widenings(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What widens alike on several servers is one line."""
    where: dict[str, list[str]] = {}
    for widening in found:
        where.setdefault(_widening(widening), []).extend(widening["servers"])
    for told, servers in where.items():
        yield f"{told} on {words(list(dict.fromkeys(servers)))}" if servers else told


def _widening(widening: Mapping[str, Any]) -> str:
    gains = f": {words(widening['gains'])}" if widening["gains"] else ""
    ranges = f" [{', '.join(_some(widening['ranges']))}]" if widening["ranges"] else ""
    return f"{printable(widening['subject'])}: {printable(widening['detail'])}{gains}{ranges}"


def _exposures(exposure: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for change in exposure:
        moved = [f"+ {text}" for text in _some(change["added"])] + [
            f"- {text}" for text in _some(change["removed"])
        ]
        moved += [f"+ domain {name}" for name in change["domains_added"]]
        moved += [f"- domain {name}" for name in change["domains_removed"]]
        if moved:
            sizes = f"{_sized(change['before'])} -> {_sized(change['after'])}"
            yield f"{words(change['servers'])}: {sizes}; {', '.join(moved)}"


def _sized(count: Mapping[str, int]) -> str:
    v6 = f" and {count['v6']} IPv6" if count["v6"] else ""
    return f"{count['v4']} IPv4{v6} addresses"


def _servers(plan: Mapping[str, Any]) -> Iterator[str]:
    for server in plan["servers"]:
        if server["server"] not in plan["touched"]:
            continue
        ports = [f"opens {text}" for text in server["opens"]] + [
            f"closes {text}" for text in server["closes"]
        ]
        told = f"{short(server['digest_before'])} -> {short(server['digest_after'])}"
        yield f"{server['server']}: {', '.join([told, *ports])}"
