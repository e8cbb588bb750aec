"""What of a client's line may be written down: never a secret, never a message's text, whatever was sent where.

A client that was refused DATA may send its message all the same, and one that was refused AUTH its password: their
lines arrive as commands. So a line is shown only as far as it is a command whose arguments are no secrets.
"""

import re

from gatepost.policy.dialogue.commands import VERBS
from gatepost.policy.dialogue.rules.auth import MECHANISMS

HIDDEN = b"(not logged)"
_WHOLE = re.compile(
    rb"\s*(?:(?:HELO|EHLO)(?:\s|\Z)|(?:MAIL\s+FROM|RCPT\s+TO)\s*:|BDAT\s+\d+(?:\s+LAST)?\s*\Z)", re.IGNORECASE
)
_VERB = re.compile(rb"\s*(" + "|".join(sorted(VERBS)).encode() + rb")(?:\s+|\Z)", re.IGNORECASE)
_MECHANISM = re.compile(rb"(" + "|".join(MECHANISMS).encode() + rb")(?:\s|\Z)", re.IGNORECASE)


def shown_line(raw: bytes, *, secret: bool) -> bytes:
    """The line or its beginning. secret: the decision says that nothing of it may be shown."""
    verb = None if secret else _VERB.match(raw)
    if verb is None:
        return HIDDEN
    rest = raw[verb.end() :]
    if not rest.strip() or _WHOLE.match(raw):
        return raw
    mechanism = _MECHANISM.match(rest) if verb[1].upper() == b"AUTH" else None
    kept = raw[: verb.end() + (mechanism.end(1) if mechanism else 0)]
    more = rest[mechanism.end(1) :] if mechanism else rest
    return b" ".join([*kept.split(), HIDDEN]) if more.strip() else kept
