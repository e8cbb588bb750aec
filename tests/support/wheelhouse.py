"""Wheels of what is installed here, so that an offline install can be tried without fetching anything."""

import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution
from pathlib import Path


def repack(installed: Iterable[Distribution], folder: Path) -> None:
    """Put a wheel of each distribution into `folder`: the files of its RECORD inside the library folder."""
    for distribution in installed:
        kept = [
            file
            for file in distribution.files or ()
            if ".." not in file.parts
            and file.suffix != ".pyc"
            and file.name not in ("INSTALLER", "REQUESTED")
        ]
        with zipfile.ZipFile(folder / _name(distribution), "w") as wheel:
            for file in kept:
                wheel.write(str(distribution.locate_file(file)), str(file))


def _name(distribution: Distribution) -> str:
    """The wheel's file name, its tags as the installed metadata tell them (PEP 427)."""
    told = (distribution.read_text("WHEEL") or "").splitlines()
    tags = [line.partition(": ")[2].split("-") for line in told if line.startswith("Tag: ")]
    compressed = "-".join(".".join(dict.fromkeys(parts)) for parts in zip(*tags, strict=True))
    name = distribution.name.lower().replace("-", "_").replace(".", "_")
    return f"{name}-{distribution.version}-{compressed}.whl"
