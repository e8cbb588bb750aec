"""Where the house's rooms are: the folders and files that its rules are read from."""

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = {"gatepost": ROOT / "shared", "gatepost-api": ROOT / "api", "gatepost-agent": ROOT / "agent"}
PACKAGES = tuple(folder / name.replace("-", "_") for name, folder in DISTRIBUTIONS.items())


def source_files() -> Iterator[Path]:
    """Every module of the three packages."""
    for package in PACKAGES:
        yield from sorted(package.rglob("*.py"))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def shown(path: Path) -> str:
    """The path as a reader of a failed check wants it."""
    return str(path.relative_to(ROOT))


def project(folder: Path) -> dict[str, Any]:
    """A folder's pyproject.toml."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def kept_files() -> list[Path]:
    """What git keeps, or would keep after the next `git add`; without git, all that is not hidden."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        return [path for path in ROOT.rglob("*") if path.is_file() and not _hidden(path)]
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "__pycache__")) for part in path.relative_to(ROOT).parts)
