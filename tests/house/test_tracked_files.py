"""What is kept in the repository could have been written on any machine."""

import re

import pytest

from tests.support.house import ROOT, kept_files, shown

# Put together here, so that this file does not name them either.
REGISTRIES = "|".join(
    re.escape(".".join(parts))
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
    )
)
FOLDERS = "|".join(("wo" + "rk", "ro" + "ot", "Us" + "ers/[a-z]+", "ho" + "me/[a-z]+", "tmp/br" + "ief"))
MACHINE = re.compile(rf"{REGISTRIES}|(?<![\w.~)/-])/(?:{FOLDERS})/")


@pytest.mark.parametrize(
    "text", ["see py" + "pi.org/simple", "cd /wo" + "rk/main", "/ro" + "ot/.cache", '"/ho' + 'me/kate/x"']
)
def test_a_machine_is_recognised(text: str) -> None:
    assert MACHINE.search(text)


@pytest.mark.parametrize(
    "text", ["tests/work/x", "https://contoso.com/root/", "/var/lib/gatepost", "./home/a/"]
)
def test_other_text_is_left_alone(text: str) -> None:
    assert not MACHINE.search(text)


def test_no_file_names_a_registry_or_a_machines_folder() -> None:
    found = [
        f"{shown(path)}: {match[0]}"
        for path in kept_files()
        for match in MACHINE.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_no_file_is_large() -> None:
    assert [shown(path) for path in kept_files() if path.stat().st_size > 1_000_000] == []


def test_the_checkout_is_seen() -> None:
    assert ROOT / "pyproject.toml" in kept_files()
