"""Rows as people read them. What clients and next hops wrote is escaped."""

from collections.abc import Iterator, Mapping
from typing import Any

from gatepost_agent.local.wire import Row


def shown(value: object) -> str:
    """Text that cannot move a terminal's cursor."""
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def status_lines(row: Row) -> Iterator[str]:
    """The status as text; the first line is what a monitoring system shows."""
    if "problem" in row:
        yield f"UNKNOWN {shown(row['problem'])}"
        return
    yield f"{row['health'].upper()} {shown(row['server'])}: {_running(row)}"
    yield f"listening      {', '.join(row['listening']) or 'nowhere'}"
    for problem in row["missing"].values():
        yield f"not listening  {shown(problem)}"
    yield f"last attempt   {_attempt(row)}"
    for condition in row["conditions"]:
        yield f"condition      {condition['type']} {condition['reason']}: {shown(condition['message'])}"
    queue = row["queue"]
    yield (
        f"queue          {queue['messages']:.0f} messages, {queue['held']:.0f} held, {queue['kept']:.0f} kept, "
        f"oldest {queue['oldest_s']:.0f} s"
    )
    if row["denied"]:
        yield from denied_lines(row)
    yield f"control plane  {_contact(row)}"
    if row["clock"]["held_s"] > 1:
        yield f"clock          the host's is {row['clock']['held_s']:.0f} s behind the latest time seen"


def denied_lines(row: Row) -> Iterator[str]:
    """Who is denied on this host, and why."""
    if not row["denied"]:
        yield "denied         nobody"
    for entry in row["denied"]:
        yield f"denied         {entry['range']} ({entry['effect']}, {entry['source']}) {shown(entry['reason'])}"


def trusted_lines(row: Row) -> Iterator[str]:
    """What `trust` waits for now."""
    yield f"{row['expected']} is trusted as soon as the control plane shows that key"


def url_lines(row: Row) -> Iterator[str]:
    """Where the agent checks in from now on."""
    yield from (f"url            {shown(url)}" for url in row["urls"])


def _running(row: Row) -> str:
    running = row["running"]
    if running is None:
        return "no config runs"
    standing = "settled" if running["settled"] else "in probation"
    return f"generation {running['generation']} of revision {running['revision']} runs, {standing}"


def _attempt(row: Row) -> str:
    attempt = row["last_attempt"]
    if attempt is None:
        return "none"
    told = "; ".join(shown(error["detail"]) for error in attempt["errors"])
    place = f" in {attempt['phase']}" if attempt["phase"] else ""
    return f"generation {attempt['generation']} {attempt['outcome']}{place}{': ' + told if told else ''}"


def _contact(row: Row) -> str:
    contact = row["control_plane"]
    trouble = f"; {shown(contact['problem'])}" if contact["problem"] else ""
    held = f"; held: {shown(contact['held'])}" if contact["held"] else ""
    return f"{', '.join(row['urls'])}, heard {contact['silent_s']:.0f} s ago{trouble}{held}"


def message_line(row: Row) -> str:
    """One queued message."""
    to = ", ".join(shown(address) for address in row["to"][:3]) + (", ..." if len(row["to"]) > 3 else "")
    return (
        f"{row['id']}  {row['standing']}  {row['age_s']} s  {row['size']} bytes  {row['client']}  "
        f"{shown(row['from']) or '<>'} -> {to}  attempts {row['attempts']}{_whither(row)}"
    )


def _whither(row: Row) -> str:
    """Who answered what, or where it may go; and what rests on the way."""
    hop = f"  {shown(row['next_hop'])}" if row["next_hop"] else ""
    reply = f"{hop}: {shown(row['last_reply'])}" if row["last_reply"] else hop
    return reply + "".join(f"  (rests: {shown(name)}, {shown(why)})" for name, why in row["resting"].items())


def nothing(chosen: Mapping[str, Any]) -> str:
    """What a queue command says that no message was meant by; `chosen` are its arguments."""
    if any(chosen.get(name) for name in ("ids", "client", "from", "to", "next_hop", "older")):
        return "no message matches"
    return "nothing is kept" if chosen.get("kept") else "nothing waits"


def entry_line(row: Row) -> str:
    """One line of the mail log."""
    rest = {key: value for key, value in row.items() if key not in ("at", "event")}
    told = " ".join(f"{key}={shown(value)}" for key, value in rest.items() if value not in ("", None))
    return f"{row.get('at', '')} {row.get('event', '')} {told}"


def fields(row: dict[str, Any]) -> Iterator[str]:
    """Any row, a field a line."""
    for key, value in row.items():
        yield f"{key:20} {shown(value)}"
