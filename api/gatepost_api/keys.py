"""The fleet's signing key: a 0600 file beside the control plane, never in the database."""

import base64
import binascii
import os
import stat
from pathlib import Path

from gatepost.signing import Signer, new_seed
from gatepost_api.settings import StartError

SEED_BYTES = 32


class KeyFileError(StartError):
    """The key's file cannot be trusted or read; the text says which and what to do."""


def _write_new(path: Path, seed: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64encode(seed) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _refuse_shared(path: Path) -> None:
    found = path.stat()
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise KeyFileError(f"{path} can be read by others. Run: chmod 600 {path}")
    if found.st_uid != os.geteuid():
        raise KeyFileError(f"{path} belongs to user {found.st_uid}, not to the one that runs this.")


def load_signer(path: Path) -> Signer:
    """The key of an existing file. Raises KeyFileError when others could read it, or it holds no key."""
    if not path.exists():
        raise KeyFileError(f"There is no signing key at {path}. `gatepost-api migrate` creates one.")
    _refuse_shared(path)
    try:
        seed = base64.b64decode(path.read_bytes().strip(), validate=True)
    except binascii.Error as error:
        raise KeyFileError(f"{path} holds no signing key (base64 of {SEED_BYTES} bytes).") from error
    if len(seed) != SEED_BYTES:
        raise KeyFileError(f"{path} holds {len(seed)} bytes; a signing key has {SEED_BYTES}.")
    return Signer(seed)


def load_or_create_signer(path: Path) -> Signer:
    """The key of the file, made first when there is none."""
    if not path.exists():
        _write_new(path, new_seed())
    return load_signer(path)
