"""The enrollment token: a one-time secret for the control plane, and the key to trust for the agent.

`gp_enr_<id>_<secret>_<pin>_<crc>`: `pin` is the beginning of the signing key's fingerprint (32 hex digits, 128 bits),
so that the first contact is not blind trust; `crc` is the CRC-32 of all before it, for secret scanners.
"""

import re
import zlib
from typing import NamedTuple

from gatepost.signing import PublicKey

PIN_DIGITS = 32
_FORM = re.compile(r"(gp_enr_([a-z0-9]+)_([A-Za-z0-9_-]{43})_([0-9a-f]{32,64}))_([0-9a-f]{8})", re.ASCII)


class BadToken(ValueError):
    """Not an enrollment token; the text never quotes it."""


class EnrollmentToken(NamedTuple):
    """`text` is the whole token, `id` its public part, `pin` the beginning of a key's fingerprint in hex."""

    text: str
    id: str
    pin: str

    def __repr__(self) -> str:
        return f"EnrollmentToken(id={self.id!r})"

    def admits(self, key: PublicKey) -> bool:
        """Whether this is the key that the token's maker vouched for."""
        return key.fingerprint.removeprefix("sha256:").startswith(self.pin)


def enrollment_token(handle: str, secret: str, key: PublicKey) -> str:
    """The token's text. handle: lower-case letters and digits; secret: 43 characters of base64url."""
    stem = f"gp_enr_{handle}_{secret}_{key.fingerprint.removeprefix('sha256:')[:PIN_DIGITS]}"
    return f"{stem}_{zlib.crc32(stem.encode()):08x}"


def parse_enrollment_token(text: str) -> EnrollmentToken:
    """A token from what an operator pasted. Raises BadToken."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise BadToken("this is not an enrollment token: it begins with gp_enr_ and is one line")
    if zlib.crc32(found[1].encode()) != int(found[5], 16):
        raise BadToken("the enrollment token is damaged: copy it again, whole")
    return EnrollmentToken(text.strip(), found[2], found[4])
