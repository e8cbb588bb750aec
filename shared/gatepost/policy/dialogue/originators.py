"""The addresses a reader may take for a message's originator: From and Sender (RFC 5322 3.4, 3.6.2).

Readers disagree about malformed fields. So this takes every address that one of them might show, and says so when it
cannot tell: a check of the sender's right must not depend on who reads best.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

# Beyond these nobody can be shown what the field says, and reading it would hold up other sessions.
LONGEST_VALUE = 2048
MOST_ADDRESSES = 64

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_TOKEN = re.compile(
    rf"""(?P<space>[ \t\r\n]++)
       | (?P<comment>\()
       | (?P<angle><(?:[^<>"\\]|{_QUOTED})*+>)
       | (?P<separator>[,;:])
       | (?P<word>{_QUOTED} | \[[^\[\]\\]*+\] | [^\s()<>,;:\[\]"\\]++)
    """,
    re.VERBOSE | re.DOTALL,
)
_IN_COMMENT = re.compile(r"(?:[^()\\]|\\.)*+([()])", re.DOTALL)
_ROUTE = re.compile(r'\s*@[^:<>"]*:')
# What nearly every device sends, `"Scanner 3" <scanner@contoso.com>`, at a tenth of the cost: same answer.
_USUAL = re.compile(
    rb"""[ \t]*(?:(?:[\w \t-]*|"[\w \t.-]*"[ \t]*)<([\w.+-]+@[\w.-]+)>|([\w.+-]+@[\w.-]+))[ \t]*"""
)
_SHOWN_DECODED = re.compile(rf"{_QUOTED}|=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=", re.DOTALL)


class _UnreadableError(ValueError):
    """Readers would see different addresses."""


def originators(value: bytes) -> tuple[str, ...] | None:
    """Every address in the value of a From or Sender field, as written but for white space and comments.

    () when there is none; None when readers would differ. A lone text without an @ is given as it is (`scanner`):
    the next hop might complete it with a domain.
    """
    if len(value) > LONGEST_VALUE:
        return None
    usual = _USUAL.fullmatch(value)
    if usual is not None:
        return ((usual[1] or usual[2]).decode("ascii"),)
    try:
        found = tuple(dict.fromkeys(_addresses(value.decode("utf-8", "replace"))))
    except _UnreadableError:
        return None
    return found if len(found) <= MOST_ADDRESSES else None


def _addresses(text: str) -> list[str]:
    found: list[str] = []
    bare: list[str] = []
    entry: list[str] = []
    for kind, part in [*_parts(text), ("separator", ",")]:
        if kind == "angle":
            found += _in_angle(part[1:-1])
        elif kind != "separator":
            entry.append(part)
        else:
            words = _words(entry)
            found += [word for word in words if "@" in _SHOWN_DECODED.sub("", word)]
            bare += words if part != ":" else []  # before a colon stands a group's name
            entry = []
    return found or [" ".join(bare)] * bool(bare)


def _in_angle(text: str) -> list[str]:
    route = _ROUTE.match(text)
    parts = list(_parts(text[route.end() :] if route else text))
    words = _words([part for _, part in parts])
    if len(words) > 1 or any(kind == "separator" for kind, _ in parts):
        raise _UnreadableError
    return words


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each token; a comment counts as white space, which is one blank."""
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _UnreadableError
        kind, at = str(found.lastgroup), found.end()
        if kind == "comment":
            at = _end_of_comment(text, at)
        yield kind, " " if kind in {"comment", "space"} else found[0]


def _end_of_comment(text: str, at: int) -> int:
    depth = 1
    while depth:
        found = _IN_COMMENT.match(text, at)
        if found is None:
            raise _UnreadableError
        depth += 1 if found[1] == "(" else -1
        at = found.end()
    return at


def _words(parts: list[str]) -> list[str]:
    """Tokens joined to words at white space; RFC 5322 4.4 allows it around an @ too."""
    words = [""]
    apart = False
    for part in parts:
        if part == " ":
            apart = True
        elif apart and words[-1] and not (words[-1].endswith("@") or part.startswith("@")):
            words.append(part)
            apart = False
        else:
            words[-1] += part
            apart = False
    # `ceo@contoso .com`: allowed once, but few readers join it.
    if any("@" in left + right and (left[-1] == "." or right[0] == ".") for left, right in pairwise(words)):
        raise _UnreadableError
    return [word for word in words if word]
