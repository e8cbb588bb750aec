"""Configs on disk. A config's file never changes; `state.json` says which one runs, and its rename is the commit.

One file decides, so no crash can leave a `current` of one config beside the `last_good` of another.
"""

import base64
import logging
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from gatepost.policy.model.bundle import digest
from gatepost.signing import Signed
from gatepost.wire import Attempt, DeniedRange, Offer
from gatepost_agent.control.state_folder import StateFolder
from gatepost_agent.errors import StateRefused

log = logging.getLogger(__name__)

STATE = "state.json"
PREFIX = "config-"


class ConfigFile(BaseModel):
    """What the control plane sent, as it was signed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    offer: Signed
    bundle: Signed


class State(BaseModel):
    """Which config runs and how that came about.

    current, last_good: names of config files. standing: `probation` until `current` has proved itself. floor: the
    highest generation taken up so far. starts: how often the agent started on a config in probation. clean_stop: the
    agent stopped by request, not by a crash. denied: what is denied relay since a return to an older config.
    denied_on_return: what will be, should `current` fail.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    current: str = ""
    last_good: str = ""
    standing: Literal["settled", "probation"] = "settled"
    floor: int = 0
    starts: int = 0
    clean_stop: bool = False
    attempt: Attempt | None = None
    denied: tuple[DeniedRange, ...] = ()
    denied_on_return: tuple[DeniedRange, ...] = ()


class Loaded(NamedTuple):
    """A config read back: the offer, and the bundle's bytes whose digest it names."""

    name: str
    offer: Offer
    content: bytes


class Store:
    """The state folder's configs."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self.state = self._read_state()

    def _read_state(self) -> State:
        content = self._folder.read(STATE)
        if content is None:
            return State()
        try:
            return State.model_validate_json(content)
        except ValidationError as error:
            raise StateRefused(
                f"{self._folder.path / STATE} cannot be read: move it away to start without a config"
            ) from error

    def save(self, state: State, *, step: str = "") -> None:
        """Make this the state; on return it is durable. Raises OSError, then nothing changed."""
        self._folder.write(STATE, state.model_dump_json().encode(), step=step)
        self.state = state

    def add(self, offer: Offer, file: ConfigFile) -> str:
        """Keep a config; returns its name. Raises OSError."""
        name = f"{PREFIX}{offer.generation}-{offer.digest[7:19]}.json"
        self._folder.write(name, file.model_dump_json().encode(), step="config")
        return name

    def load(self, name: str) -> Loaded:
        """A config by name. Raises StateRefused when it is not what was kept."""
        content = self._folder.read(name)
        if content is None:
            raise StateRefused(f"{self._folder.path / name} is missing")
        try:
            file = ConfigFile.model_validate_json(content)
            offer = Offer.model_validate_json(base64.b64decode(file.offer.payload, validate=True))
            bundle = base64.b64decode(file.bundle.payload, validate=True)
        except ValueError as error:
            raise StateRefused(f"{self._folder.path / name} cannot be read") from error
        if digest(bundle) != offer.digest:
            raise StateRefused(f"{self._folder.path / name} is damaged: the bundle is not the one offered")
        return Loaded(name, offer, bundle)

    def sweep(self) -> None:
        """Remove configs that the state no longer names. A failure costs disk space, nothing else."""
        kept = {self.state.current, self.state.last_good}
        try:
            for name in (*self._folder.names(PREFIX), *self._folder.names(f".{PREFIX}")):
                if name not in kept:
                    self._folder.remove(name)
        except OSError as error:
            log.warning("old configs stay: %s", error)
