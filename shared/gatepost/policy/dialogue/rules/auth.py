"""AUTH LOGIN and PLAIN against verifiers (RFC 4954, RFC 4616). Secrets are generated with 128 bits or more, so
one SHA-256 is enough, and cheap to check under attack."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple

from gatepost.policy.dialogue.compiled import CompiledConnector
from gatepost.policy.model.bundle import RelayUser

MECHANISMS = ("LOGIN", "PLAIN")
# All connectors together; a device with a wrong password retries once a minute or so.
FAILURES_PER_MINUTE = 30
_NOBODY = RelayUser(name="nobody", verifier=f"sha256:{'00' * 16}:{'00' * 32}")


class Credentials(NamedTuple):
    user: str
    secret: bytes


def offered(connector: CompiledConnector, *, tls: bool) -> bool:
    """Source: Exchange parameter AuthMechanism, BasicAuth and BasicAuthRequireTLS."""
    mechanisms = connector.model.auth_mechanism
    return "BasicAuth" in mechanisms and (tls or "BasicAuthRequireTLS" not in mechanisms)


def verifier(salt: bytes, secret: bytes) -> str:
    """What agents get of a relay user's secret."""
    return f"sha256:{salt.hex()}:{hashlib.sha256(salt + secret).hexdigest()}"


def decode(raw: str) -> bytes | None:
    """The octets of a base64 response; `=` alone is the empty one. None when it is not base64."""
    if raw == "=":
        return b""
    try:
        return base64.b64decode(raw.encode("ascii", "replace"), validate=True)
    except binascii.Error:
        return None


def plain(response: bytes) -> Credentials | None:
    """authzid NUL authcid NUL passwd; an authorization identity must be the user's own."""
    parts = response.split(b"\0")
    if len(parts) != 3 or parts[0] not in (b"", parts[1]):
        return None
    return Credentials(parts[1].decode("utf-8", "replace"), parts[2])


def check(users: Mapping[str, RelayUser], given: Credentials) -> RelayUser | None:
    """The user whose secret this is. Takes the same time whether the user exists or not."""
    user = users.get(given.user.lower(), _NOBODY)
    salt = bytes.fromhex(user.verifier.split(":")[1])
    right = hmac.compare_digest(verifier(salt, given.secret), user.verifier)
    return user if right and user is not _NOBODY else None
