"""Messages as rows of the database and as lines of body and export files.

A reader takes the fields it knows and leaves the rest, so that the release before can read what this one wrote.
"""

import json
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from gatepost.policy.dialogue.decision import Envelope
from gatepost_agent.spool.errors import Unreadable
from gatepost_agent.spool.messages import Kind, QueuedMessage, RecipientState, RecipientStatus, Standing

COLUMNS = (
    "id",
    "standing",
    "next_attempt",
    "attempts",
    "keep_until",
    "expires_at",
    "recipients",
    "held",
    "received_at",
    "size",
    "crc32",
    "body_at",
    "about",
)
CHANGING = COLUMNS[1:7]  # what an attempt changes; `held` is the operators' own

Row = tuple[int | float | str | None, ...]

_to_ascii = json.JSONEncoder(separators=(",", ":")).encode


def _to_json(value: object) -> str:
    try:
        return to_json(value).decode()
    except ValueError:  # half a character: no surrogate reaches SQLite
        return _to_ascii(value)


def to_row(message: QueuedMessage) -> Row:
    """The values of COLUMNS."""
    return (*to_update(message), *_fixed(message))


def to_update(message: QueuedMessage) -> Row:
    """The id and the values of CHANGING."""
    return (
        message.id,
        message.standing.value,
        message.next_attempt,
        message.attempts,
        message.keep_until,
        message.expires_at,
        _to_json(message.recipients),
    )


def _fixed(message: QueuedMessage) -> Row:
    about = {
        "message_id": message.message_id,
        "kind": message.kind.value,
        "origin": message.origin,
        "envelope": _envelope_facts(message.envelope),
    }
    return (
        int(message.held),
        message.received_at,
        message.size,
        message.crc32,
        message.body_at,
        _to_json(about),
    )


def _envelope_facts(envelope: Envelope) -> dict[str, Any]:
    facts = envelope._asdict()
    del facts["recipients"]  # the recipients' states name them
    return facts


def from_row(row: Sequence[Any]) -> QueuedMessage:
    """The message of a row of COLUMNS. Raises Unreadable."""
    try:
        return from_values(dict(zip(COLUMNS, row, strict=True)))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise Unreadable(f"row {row[0]!r} of the spool is unreadable: {error!r}") from error


def from_values(values: dict[str, Any]) -> QueuedMessage:
    """The message of an object of COLUMNS. Raises ValueError, KeyError, TypeError, IndexError, AttributeError."""
    about = json.loads(values["about"])
    recipients = tuple(
        RecipientState(state[0], RecipientStatus(state[1]), *state[2:5])
        for state in json.loads(values["recipients"])
    )
    known = {name: value for name, value in about["envelope"].items() if name in Envelope._fields}
    envelope = Envelope(**{**known, "recipients": tuple(state.address for state in recipients)})
    return QueuedMessage(
        id=values["id"],
        message_id=about["message_id"],
        envelope=envelope,
        recipients=recipients,
        size=values["size"],
        received_at=values["received_at"],
        next_attempt=values["next_attempt"],
        expires_at=values["expires_at"],
        attempts=values["attempts"],
        held=bool(values["held"]),
        kind=Kind(about["kind"]),
        standing=Standing(values["standing"]),
        keep_until=values["keep_until"],
        origin=about.get("origin"),
        crc32=values["crc32"],
        body_at=values["body_at"],
    )


def to_values(message: QueuedMessage) -> dict[str, Any]:
    """The message as an object of COLUMNS."""
    return dict(zip(COLUMNS, to_row(message), strict=True))


def to_line(message: QueuedMessage) -> bytes:
    """The message as one line of JSON (an object of COLUMNS), with its LF."""
    return _to_ascii(to_values(message)).encode("ascii") + b"\n"


def from_line(line: bytes) -> QueuedMessage:
    """The message of such a line. Raises Unreadable."""
    try:
        values = json.loads(line)
        return from_values(values)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise Unreadable(f"not a message's first line ({error!r}): {line[:80]!r}") from error
