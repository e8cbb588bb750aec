"""What an installed distribution needs, from its own metadata."""

from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(requirements: list[str]) -> dict[str, Distribution]:
    """The installed distributions that these requirements come to, by canonical name.

    The project's own distributions are left out: here they are one editable install.
    """
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        wanted = waiting.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in seen or name.startswith("gatepost"):
            continue
        seen.add((name, extras))
        found[name] = distribution(name)
        waiting += [
            further
            for further in map(Requirement, found[name].requires or [])
            if further.marker is None or any(further.marker.evaluate({"extra": e}) for e in extras | {""})
        ]
    return found


def pins(constraints: Path) -> dict[str, str]:
    """Canonical name -> exact version. ValueError for a line that is not an exact pin."""
    pinned = {}
    for line in constraints.read_text(encoding="utf-8").splitlines():
        name, equals, version = line.partition("==")
        if not equals or not version.replace(".", "").isalnum():
            raise ValueError(f"{constraints.name}: {line!r} is not NAME==VERSION")
        pinned[str(canonicalize_name(name))] = version
    return pinned
