"""Every room opens with a README of one screen."""

from pathlib import Path

import pytest

from tests.support.house import DISTRIBUTIONS, PACKAGES, ROOT, shown

PARTS = ("deploy", "migrations", "tests", "tests/bench", "tests/corpus")

ROOMS = sorted(
    {
        *DISTRIBUTIONS.values(),
        *(room for part in PARTS if (room := ROOT / part).is_dir()),
        *(init.parent for package in PACKAGES for init in package.glob("*/__init__.py")),
        *(init.parent for init in PACKAGES[0].glob("policy/*/__init__.py")),
    }
)


@pytest.mark.parametrize("room", ROOMS, ids=shown)
def test_a_room_opens_with_a_readme_of_one_screen(room: Path) -> None:
    readme = room / "README.md"
    assert readme.exists()
    assert 3 <= len(readme.read_text(encoding="utf-8").splitlines()) <= 70
