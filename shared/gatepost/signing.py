"""Signed bytes: ed25519 over exactly the bytes that travel, never over JSON written again (DSSE's idea).

A signature has no expiry and no clock in it: freshness is the generation in the live offer.
"""

import base64
import binascii
import hashlib
from typing import Literal, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict

Kind = Literal["bundle", "offer", "directive", "keyring"]


class SignatureError(ValueError):
    """Bytes that are not signed by any key trusted here."""


class Signed(BaseModel):
    """An envelope: `payload` is base64 of the signed bytes, `signature` base64 of ed25519 over kind and bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    key: str
    payload: str
    signature: str

    def unverified(self) -> bytes:
        """The payload before anybody checked it: for showing what was refused only."""
        return base64.b64decode(self.payload, validate=True)


class PublicKey(NamedTuple):
    """A key that signs what may run. `fingerprint` is `sha256:<hex>` of the 32 raw bytes."""

    raw: bytes

    @property
    def fingerprint(self) -> str:
        return f"sha256:{hashlib.sha256(self.raw).hexdigest()}"

    @property
    def text(self) -> str:
        return f"ed25519:{base64.b64encode(self.raw).decode()}"


def parse_public_key(text: str) -> PublicKey:
    """A key from its `ed25519:<base64>` text. Raises SignatureError."""
    scheme, _, encoded = text.partition(":")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise SignatureError(f"not a public key: {text!r}") from error
    if scheme != "ed25519" or len(raw) != 32:
        raise SignatureError(f"not an ed25519 public key: {text!r}")
    return PublicKey(raw)


def _bound(kind: str, payload: bytes) -> bytes:
    """The kind is signed with the payload, so that a bundle can never be read as an offer."""
    return b"gatepost %s %d " % (kind.encode(), len(payload)) + payload


class Signer:
    """A private key; `seed` is its 32 bytes as kept in the key file."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = PublicKey(self._key.public_key().public_bytes_raw())

    def sign(self, kind: Kind, payload: bytes) -> Signed:
        signature = self._key.sign(_bound(kind, payload))
        return Signed(
            kind=kind,
            key=self.public.fingerprint,
            payload=base64.b64encode(payload).decode(),
            signature=base64.b64encode(signature).decode(),
        )


def new_seed() -> bytes:
    """The seed of a new private key."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def verify(signed: Signed, kind: Kind, trusted: tuple[PublicKey, ...]) -> bytes:
    """The payload, once a trusted key is seen to have signed it as `kind`. Raises SignatureError."""
    key = next((key for key in trusted if key.fingerprint == signed.key), None)
    if key is None:
        raise SignatureError(f"signed by {signed.key}, which is not a trusted key")
    if signed.kind != kind:
        raise SignatureError(f"signed as {signed.kind}, expected {kind}")
    try:
        payload = base64.b64decode(signed.payload, validate=True)
        signature = base64.b64decode(signed.signature, validate=True)
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, _bound(kind, payload))
    except (binascii.Error, InvalidSignature) as error:
        raise SignatureError(f"the {kind}'s signature does not hold") from error
    return payload
