"""Who this agent is to its control plane: made at enrolment, kept in the state folder, never deleted on an error."""

import json
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gatepost.signing import PublicKey, parse_public_key
from gatepost_agent.control.state_folder import StateFolder
from gatepost_agent.errors import NotEnrolled, StateRefused

M = TypeVar("M", bound=BaseModel)

IDENTITY, KEY, TOKEN, TRUST = "identity.json", "agent.key", "agent.token", "trust.json"


class Identity(BaseModel):
    """The server's id and name at the control plane, and where that is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    server_id: str
    name: str
    urls: tuple[str, ...]
    ca_file: str = ""


class Tokens(NamedTuple):
    """The bearer token; `previous` is the one before, for a control plane that forgets the newer."""

    token: str
    previous: str = ""

    def __repr__(self) -> str:
        return "Tokens(...)"


class Trust(BaseModel):
    """The keys that may sign for this agent, and fingerprints that an operator said may join them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    keys: tuple[str, ...]
    expected: tuple[str, ...] = ()

    @property
    def public_keys(self) -> tuple[PublicKey, ...]:
        """The keys, parsed."""
        return tuple(parse_public_key(text) for text in self.keys)


def load_identity(folder: StateFolder) -> Identity:
    """Raises NotEnrolled, StateRefused."""
    content = folder.read(IDENTITY)
    if content is None:
        raise NotEnrolled(f"{folder.path} holds no identity: run `gatepost-agent enroll` first")
    return _parsed(Identity, content, folder, IDENTITY)


def save_identity(folder: StateFolder, identity: Identity) -> None:
    """Written last at enrolment: while it is missing, enrolling again is the same enrolment."""
    folder.write(IDENTITY, identity.model_dump_json().encode())


def load_trust(folder: StateFolder) -> Trust:
    """Raises StateRefused."""
    return _parsed(Trust, folder.read(TRUST) or b"", folder, TRUST)


def save_trust(folder: StateFolder, trust: Trust) -> None:
    """From now on these keys count."""
    folder.write(TRUST, trust.model_dump_json().encode())


def load_tokens(folder: StateFolder) -> Tokens:
    """Raises StateRefused."""
    try:
        kept = json.loads(folder.read(TOKEN) or b"")
        return Tokens(str(kept["token"]), str(kept.get("previous", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StateRefused(f"{folder.path / TOKEN} cannot be read: restore it, or enrol anew") from None


def save_tokens(folder: StateFolder, tokens: Tokens) -> None:
    """Replace the token file."""
    folder.write(TOKEN, json.dumps(tokens._asdict()).encode())


def _parsed(model: type[M], content: bytes, folder: StateFolder, name: str) -> M:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise StateRefused(f"{folder.path / name} cannot be read: restore it, or enrol anew") from error
