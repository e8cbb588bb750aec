"""The header of a message as a stream: firewall, hop counting, facts, and our own fields at its end.

Theory of operation: what comes in is clean already (every line end is CRLF, none is cut in two). Fields are taken
whole, together with a look at the octet after them, which tells whether they go on; what is not whole is held. A
field longer than LONGEST_FIELD is passed on, or dropped, as it comes, unread. The header ends at the empty line, or
before the first line that is no field: there an empty line is put in, so that every later reader agrees with us on
what is header and what the firewall has seen.
"""

import re

from gatepost.policy.dialogue.headers import ContentRules, HeaderFacts, firewall, is_local_hop, message_id
from gatepost.policy.dialogue.originators import LONGEST_VALUE, originators

LONGEST_FIELD = 16384

_NAME = rb"([!-9;-~]{1,512}+)[ \t]{0,64}+"  # RFC 5322 3.6.8, with the white space of 4.5.8
_FIELD = re.compile(_NAME + rb":([^\r]*+(?:\r\n[ \t][^\r]*+)*+)\r\n(?=[^ \t])")
_OPEN_FIELD = re.compile(_NAME + rb":")
_OPEN_NAME = re.compile(_NAME + rb"\Z")
_FIELD_END = re.compile(rb"\r\n(?=[^ \t])")


class HeaderBlock:
    """One message's header. `facts` is None until it has ended or passed max_header_size."""

    def __init__(self, rules: ContentRules) -> None:
        self.facts: HeaderFacts | None = None
        self._rules = rules
        self._firewall = firewall(rules.strip)
        self._notes = _Notes(rules.local_names)
        self._held = b""
        self._passing: bool | None = None  # whether the overlong field we are in is kept
        self._octets = 0
        self._eight_bit = self._nul = False

    def feed(self, octets: bytes) -> tuple[bytes, bytes]:
        """The header's octets to keep and, once `facts` is set, the body's, which begin with the empty line."""
        data = self._held + octets if self._held else octets
        kept: list[bytes] = []
        at = self._take_fields(data, self._pass_on(data, 0, kept), kept)
        open_field = self._passing is None and _OPEN_FIELD.match(data, at)
        if open_field and len(data) - at > LONGEST_FIELD:
            self._begin_overlong(open_field[1].lower())
            at = self._pass_on(data, at, kept)
        self._weigh(data, at)
        self._held = data[at:]
        certain = len(self._held) if open_field else 0
        if self._rules.max_header_size is not None and self._octets + certain > self._rules.max_header_size:
            self._octets += certain
            self.facts = self._facts(complete=False)
            return b"", b""
        if self._passing is not None or open_field or not self._held or _OPEN_NAME.match(self._held):
            return b"".join(kept), b""
        return self._end(kept)

    def finish(self) -> bytes:
        """What is left to keep when the message ends inside its header, after a CRLF or before any octet."""
        kept, body = self.feed(b"\r\n")  # an empty line, which is not kept
        return kept + body[:-2]

    def _end(self, kept: list[bytes]) -> tuple[bytes, bytes]:
        self.facts = self._facts(complete=True)
        kept.append(self._missing_fields())
        body = self._held
        self._held = b""
        return b"".join(kept), body if body.startswith(b"\r\n") else b"\r\n" + body

    def _take_fields(self, data: bytes, at: int, kept: list[bytes]) -> int:
        """Take every whole field from `at` on; the place after the last one."""
        start = at
        while field := _FIELD.match(data, at):
            end = field.end()
            name = field[1].lower()
            if name in _NOTED:
                self._notes.add(name, field[2] if end - at <= LONGEST_FIELD else None)
            if self._firewall is not None and self._firewall.match(name):
                kept.append(data[start:at])
                start = end
            at = end
        kept.append(data[start:at])
        return at

    def _begin_overlong(self, name: bytes) -> None:
        if name in _NOTED:
            self._notes.add(name, None)
        self._passing = self._firewall is None or self._firewall.match(name) is None

    def _pass_on(self, data: bytes, at: int, kept: list[bytes]) -> int:
        """Pass on or drop what belongs to an overlong field; the place after it."""
        if self._passing is None:
            return at
        found = _FIELD_END.search(data, at)
        end = found.end() if found else len(data) - 2 * data.endswith(b"\r\n")
        if self._passing:
            kept.append(data[at:end])
        if found:
            self._passing = None
        return end

    def _weigh(self, data: bytes, end: int) -> None:
        self._octets += end
        self._nul = self._nul or data.find(b"\0", 0, end) >= 0
        self._eight_bit = self._eight_bit or not (data.isascii() or data[:end].isascii())

    def _missing_fields(self) -> bytes:
        """RFC 5321 6.4: a relay may add these two for a client that did not."""
        lines = ""
        if self._rules.add_message_id and not self._notes.has_message_id:
            lines += f"Message-ID: {self._rules.add_message_id}\r\n"
        if self._rules.add_date and not self._notes.has_date:
            lines += f"Date: {self._rules.add_date}\r\n"
        return lines.encode("ascii")

    def _facts(self, *, complete: bool) -> HeaderFacts:
        notes = self._notes
        return HeaderFacts(
            octets=self._octets,
            received=notes.received,
            local_received=notes.local_received,
            from_=notes.originators[b"from"],
            sender=notes.originators[b"sender"],
            message_id=notes.message_id if notes.has_message_id else self._rules.add_message_id or None,
            lacks_fields=not (notes.has_date and notes.has_message_id),
            eight_bit=self._eight_bit,
            nul=self._nul,
            complete=complete,
        )


_NOTED = frozenset({b"received", b"from", b"sender", b"message-id", b"date"})


class _Notes:
    """What the fields read so far say."""

    def __init__(self, local_names: frozenset[str]) -> None:
        self.received = self.local_received = 0
        self.originators: dict[bytes, tuple[str, ...] | None] = {b"from": (), b"sender": ()}
        self.message_id: str | None = None
        self.has_message_id = self.has_date = False
        self._local_names = local_names
        self._unread = LONGEST_VALUE  # for all originator fields together, however many a client sends

    def add(self, name: bytes, value: bytes | None) -> None:
        if name == b"received":
            self.received += 1
            if self._local_names and value is not None:
                self.local_received += is_local_hop(value, self._local_names)
        elif name == b"date":
            self.has_date = True
        elif name == b"message-id":
            if not self.has_message_id and value is not None:
                self.message_id = message_id(value)
            self.has_message_id = True
        else:
            self.originators[name] = self._with_originators(self.originators[name], value)

    def _with_originators(self, known: tuple[str, ...] | None, value: bytes | None) -> tuple[str, ...] | None:
        if known is None or value is None or len(value) > self._unread:
            return None
        self._unread -= len(value)
        found = originators(value)
        return None if found is None else tuple(dict.fromkeys(known + found))
