"""The state folder is ours alone, and writes are whole or did not happen."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from gatepost_agent.control.state_folder import StateFolder
from gatepost_agent.errors import AlreadyRunning, StateRefused


def test_what_is_written_is_read_back(folder: StateFolder) -> None:
    folder.write("a.json", b"one")
    folder.write("a.json", b"two")
    assert folder.read("a.json") == b"two"
    assert folder.read("b.json") is None


def test_an_open_folder_is_refused(folder: StateFolder) -> None:
    folder.path.chmod(0o750)
    with pytest.raises(StateRefused, match="chmod 700"):
        StateFolder.open(folder.path)


def test_a_missing_folder_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(StateRefused, match="gatepost-agent enroll"):
        StateFolder.open(tmp_path / "none")


def test_an_open_file_is_refused(folder: StateFolder) -> None:
    folder.write("a.json", b"one")
    (folder.path / "a.json").chmod(0o640)
    with pytest.raises(StateRefused, match="chmod 600"):
        folder.read("a.json")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_foreign_files_and_folders_are_refused(folder: StateFolder) -> None:
    folder.write("a.json", b"one")
    os.chown(folder.path / "a.json", 12345, -1)
    with pytest.raises(StateRefused, match="belongs to uid 12345"):
        folder.read("a.json")
    os.chown(folder.path, 12345, -1)
    with pytest.raises(StateRefused, match="belongs to uid 12345"):
        StateFolder.open(folder.path)


def test_links_and_folders_in_a_files_place_are_refused(folder: StateFolder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x")
    (folder.path / "link").symlink_to(tmp_path / "elsewhere")
    (folder.path / "folder").mkdir()
    for name in ("link", "folder"):
        with pytest.raises(StateRefused):
            folder.read(name)


def test_a_second_agent_is_refused_and_told_who_runs(folder: StateFolder) -> None:
    with folder.locked(), pytest.raises(AlreadyRunning, match=str(os.getpid())), folder.locked():
        pass
    with folder.locked():
        pass


def test_an_agent_waits_for_a_command_that_works_on_its_folder(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as command:
        command.enter_context(folder.locked("queue list"))
        monkeypatch.setattr("time.sleep", lambda _: command.close())
        with folder.locked(patience_s=3600):
            pass
    assert "`gatepost-agent queue list`" in caplog.text


def test_a_command_that_does_not_end_is_named(folder: StateFolder) -> None:
    with (
        folder.locked("queue export"),
        pytest.raises(AlreadyRunning, match=r"queue export` \(pid \d+\).*try again when it has ended"),
        folder.locked(),
    ):
        pass


@pytest.mark.parametrize("point", ["written", "synced"])
def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, point: str) -> None:
    def full(passed: str) -> None:
        if passed == f"step:{point}":
            raise OSError(28, "No space left on device")

    folder = StateFolder.open(tmp_path / "state", create=True, fault=full)
    folder.write("a.json", b"one")
    with pytest.raises(OSError, match="No space"):
        folder.write("a.json", b"two", step="step")
    assert folder.read("a.json") == b"one"
