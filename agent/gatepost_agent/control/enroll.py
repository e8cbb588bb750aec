"""Enrolment: a key made here, one message, an identity on disk. Doing it again under the same name changes nothing."""

import socket
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import ValidationError

from gatepost.signing import PublicKey, SignatureError, Signer, new_seed, parse_public_key
from gatepost.tokens import EnrollmentToken
from gatepost.wire import EnrollReply, EnrollRequest
from gatepost_agent import __version__
from gatepost_agent.control.identity import (
    IDENTITY,
    KEY,
    Identity,
    Tokens,
    Trust,
    load_identity,
    save_identity,
    save_tokens,
    save_trust,
)
from gatepost_agent.control.link import Link, Unreachable
from gatepost_agent.control.state_folder import StateFolder
from gatepost_agent.errors import AgentError, StateRefused

PATH = "/agent/v1/enroll"


class KeyMismatch(AgentError):
    """Whoever answered does not hold the key that the enrollment token vouches for."""


class Wanted(NamedTuple):
    """What the operator asks to be enrolled as. labels, addresses: only where the token allows them."""

    name: str
    labels: Mapping[str, str] = {}
    addresses: Mapping[str, str] = {}


def enrolled_as(folder: StateFolder, name: str) -> Identity | None:
    """The identity in the folder when it has this name, None when there is none. Raises StateRefused."""
    if folder.read(IDENTITY) is None:
        return None
    identity = load_identity(folder)
    if identity.name != name:
        raise StateRefused(
            f"{folder.path} is enrolled as {identity.name}: use another state folder for {name}"
        )
    return identity


async def enroll(folder: StateFolder, link: Link, token: EnrollmentToken, wanted: Wanted) -> Identity:
    """Enrol; idempotent, since the key is on disk before the token is used. Raises AgentError."""
    request = EnrollRequest(
        token=token.text,
        public_key=Signer(_seed(folder)).public.text,
        name=wanted.name,
        labels=dict(wanted.labels),
        addresses=dict(wanted.addresses),
        version=__version__,
        hostname=socket.gethostname(),
    )
    try:
        reply = EnrollReply.model_validate_json(await _answer(link, request))
    except ValidationError as error:
        raise Unreachable(f"{link.url} does not answer as a Gatepost control plane") from error
    save_trust(folder, Trust(keys=(_pinned(token, reply).text,)))
    save_tokens(folder, Tokens(reply.agent_token))
    identity = Identity(server_id=reply.server_id, name=reply.name, urls=link.urls, ca_file=link.ca_file)
    save_identity(folder, identity)
    return identity


async def _answer(link: Link, request: EnrollRequest) -> bytes:
    """What the first address says that says anything. Raises LinkError, with the trouble of each."""
    troubles = []
    for _ in link.urls:
        try:
            return await link.post(PATH, request)
        except Unreachable as error:  # the link goes on to the next address
            troubles.append(str(error))
    raise Unreachable("; ".join(troubles))


def _seed(folder: StateFolder) -> bytes:
    seed = folder.read(KEY)
    if seed is None:
        seed = new_seed()
        folder.write(KEY, seed)
    if len(seed) != 32:
        raise StateRefused(f"{folder.path / KEY} is not a key: move it away and enrol anew")
    return seed


def _pinned(token: EnrollmentToken, reply: EnrollReply) -> PublicKey:
    """The one key that the token vouches for: others in the key ring have to be signed by it."""
    try:
        keys = [parse_public_key(text) for text in reply.keyring.keys]
    except SignatureError as error:
        raise KeyMismatch(f"the control plane's key ring cannot be read: {error}") from error
    for key in keys:
        if token.admits(key):
            return key
    raise KeyMismatch(
        "the control plane does not hold the key of this enrollment token: something in between answers for it, "
        "or the token is another fleet's"
    )
