"""What is denied on this host whatever config runs: the fleet's list, this host's own, and what a return keeps shut."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gatepost.policy.dialogue.denied import Denial, DeniedSet
from gatepost.policy.model.addresses import read_range
from gatepost.policy.model.errors import BadValue
from gatepost.signing import PublicKey, SignatureError, Signed, verify
from gatepost.wire import DeniedList, DeniedRange
from gatepost_agent.control.state_folder import StateFolder
from gatepost_agent.current import Current
from gatepost_agent.errors import StateRefused, UsageRefused

log = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)

FLEET, LOCAL = "denied-fleet.json", "denied-local.json"
MAX_LOCAL = 10_000


class Refused(Exception):
    """A denied list that does not take effect; the one before stays."""


class _Local(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    entries: tuple[DeniedRange, ...] = ()


class Denials:
    """Keeps the sources on disk, and `Current.denied` their union. Only an operator's act lifts an entry."""

    def __init__(
        self,
        folder: StateFolder,
        current: Current,
        server_id: str,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`changed` is called after each change, so that open sessions need not wait for their next command."""
        self._changed = changed
        self._folder = folder
        self._current = current
        self._server_id = server_id
        self.fleet = self._read(FLEET, DeniedList) or DeniedList(server_id=server_id, version=0)
        self.local = (self._read(LOCAL, _Local) or _Local()).entries
        self.kept: tuple[DeniedRange, ...] = ()
        self._publish()

    def take(self, signed: Signed, keys: tuple[PublicKey, ...]) -> None:
        """The control plane's list, if it is newer than ours. Raises Refused; then nothing changed."""
        try:
            offered = DeniedList.model_validate_json(verify(signed, "directive", keys))
            DeniedSet(_denials(offered.entries))
        except (SignatureError, ValidationError, BadValue) as error:
            raise Refused(f"a denied list that cannot be taken: {error}") from error
        if offered.server_id != self._server_id:
            raise Refused(f"a denied list for {offered.server_id}, this is {self._server_id}")
        if offered.version <= self.fleet.version:
            return
        self._folder.write(FLEET, offered.model_dump_json().encode())
        self.fleet = offered
        self._publish()

    def keep(self, ranges: tuple[DeniedRange, ...]) -> None:
        """What stays without relay since a return to an older config; the applier keeps it on disk."""
        if ranges != self.kept:
            self.kept = ranges
            self._publish()

    def deny(self, text: str, reason: str) -> None:
        """Refuse a client all service on this host. Raises UsageRefused, OSError."""
        entry = DeniedRange(range=_range(text), source="deny", reason=reason)
        rest = tuple(known for known in self.local if known.range != entry.range)
        if len(rest) >= MAX_LOCAL:
            raise UsageRefused(f"{MAX_LOCAL} ranges are denied here already: remove some, or deny a network")
        self._save_local((*rest, entry))
        log.warning(
            "an operator denies %s all service on this host: %s", entry.range, reason or "no reason given"
        )

    def lift(self, text: str) -> None:
        """End a denial of this host. Raises UsageRefused, OSError."""
        rest = tuple(known for known in self.local if known.range != _range(text))
        if len(rest) == len(self.local):
            hint = "a block of the whole fleet is lifted at the control plane"
            raise UsageRefused(f"{text} is not denied on this host alone; {hint}")
        self._save_local(rest)
        log.warning("an operator lifts the denial of %s on this host", text)

    def all(self) -> tuple[DeniedRange, ...]:
        """Every entry that is in force."""
        return (*self.fleet.entries, *self.local, *self.kept)

    def _save_local(self, entries: tuple[DeniedRange, ...]) -> None:
        self._folder.write(LOCAL, _Local(entries=entries).model_dump_json().encode())
        self.local = entries
        self._publish()

    def _publish(self) -> None:
        self._current.denied = DeniedSet(_denials(self.all()))
        self._changed()

    def _read(self, name: str, model: type[M]) -> M | None:
        content = self._folder.read(name)
        if content is None:
            return None
        try:
            found = model.model_validate_json(content)
            DeniedSet(_denials(getattr(found, "entries", ())))
        except (ValidationError, BadValue) as error:
            # Starting without it would let in whom somebody shut out.
            path = self._folder.path / name
            raise StateRefused(
                f"{path} cannot be read: restore it, or move it away to deny nobody"
            ) from error
        return found


def _denials(entries: Iterable[DeniedRange]) -> list[Denial]:
    return [Denial(entry.range, entry.effect, entry.source, entry.reason) for entry in entries]


def _range(text: str) -> str:
    try:
        return read_range(text).text
    except BadValue as error:
        raise UsageRefused(str(error)) from error
