"""A state folder, and a control plane with behaviour."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost_agent.control.state_folder import StateFolder
from tests.agent.control.control_plane import ControlPlane


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def folder(state_dir: Path) -> StateFolder:
    return StateFolder.open(state_dir, create=True)


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    plane = ControlPlane()
    yield plane
    plane.close()
