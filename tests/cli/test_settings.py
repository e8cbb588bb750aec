"""The shared options may stand anywhere, and a token comes from a file or the environment only."""

from pathlib import Path

import pytest

from gatepost.cli.settings import hoisted, wants_json
from gatepost_api.auth import Role
from tests.cli.conftest import Gatepost, Plane


@pytest.mark.parametrize(
    ("words", "moved"),
    [
        ("servers", "servers"),
        ("servers --output json", "--output json servers"),
        ("range add X 10.0.0.1 -o json --note n", "-o json range add X 10.0.0.1 --note n"),
        ("--url=u plan --ca-file c -f x", "--url=u --ca-file c plan -f x"),
        ("explain --line -- --output", "explain --line -- --output"),
        ("servers --output", "--output servers"),
    ],
)
def test_shared_options_are_moved_to_the_front(words: str, moved: str) -> None:
    assert hoisted(words.split()) == moved.split()


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("servers", False),
        ("-o json servers", True),
        ("--output=json servers", True),
        ("--output json --output table servers", False),
        ("servers json", False),
        ("--output", False),
    ],
)
def test_json_is_recognised_before_anything_is_parsed(words: str, asked: bool) -> None:
    assert wants_json(words.split()) is asked


def test_a_token_file_goes_before_the_environment(gatepost: Gatepost, plane: Plane, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(plane.token(Role.viewer) + "\n")
    assert gatepost("servers", "--token-file", file).code == 0
    assert gatepost("tokens", "list", "--token-file", file).code == 13


@pytest.mark.parametrize("words", [["--token-file", "no/such/file"], []])
def test_without_a_token_nothing_is_asked(bare: Gatepost, words: list[str]) -> None:
    ran = bare("servers", "--url", "http://127.0.0.1:9", *words)
    assert (ran.code, ran.out) == (64, "")
    assert "token" in ran.err
