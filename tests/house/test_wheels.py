"""The three wheels, each on a host that has nothing but what its metadata asks for."""

import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.distributions import needed
from tests.support.house import DISTRIBUTIONS, ROOT, project

Wheels = dict[str, Path]
Host = Callable[..., Path]


def _built(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not built yet")


def _run(*command: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    folder = tmp_path_factory.mktemp("wheels")
    for source in DISTRIBUTIONS.values():
        built = _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=source)
        assert built.returncode == 0, built.stderr
    return {
        name: next(folder.glob(f"{name.replace('-', '_')}-[0-9]*-py3-none-any.whl")) for name in DISTRIBUTIONS
    }


@pytest.fixture
def host(tmp_path: Path, wheels: Wheels) -> Host:
    """`host("gatepost-agent")` -> the bin folder of a clean environment with that wheel and what it asks for."""

    def make(name: str, *extras: str) -> Path:
        venv = tmp_path / "venv"
        assert _run(sys.executable, "-m", "venv", "--without-pip", venv).returncode == 0
        site = Path(sysconfig.get_path("purelib", "venv", {"base": str(venv), "platbase": str(venv)}))
        _link(site, _requirements(name, extras))
        pip = (sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install", "--quiet")
        installed = _run(*pip, "--no-index", "--no-deps", "--no-compile", *{wheels["gatepost"], wheels[name]})
        assert installed.returncode == 0, installed.stderr
        return venv / "bin"

    return make


def _requirements(name: str, extras: Iterable[str]) -> list[str]:
    wanted = [project(DISTRIBUTIONS[each])["project"] for each in {"gatepost", name}]
    optional = project(DISTRIBUTIONS[name])["project"].get("optional-dependencies", {})
    return [
        *(wish for table in wanted for wish in table["dependencies"]),
        *(w for e in extras for w in optional[e]),
    ]


def _link(site: Path, requirements: list[str]) -> None:
    """Put what the requirements come to into `site`, and nothing else; nothing is fetched."""
    for found in needed(requirements).values():
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            link = site / top
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(top))))


@_built("gatepost_agent.cli")
def test_the_agent_runs_on_a_host_of_its_own(host: Host) -> None:
    agent = _run(host("gatepost-agent") / "gatepost-agent", "--help")
    assert (agent.returncode, agent.stderr) == (0, "")
    assert "enroll" in agent.stdout


@_built("gatepost.cli")
def test_the_command_says_what_it_lacks_on_a_mail_host(host: Host) -> None:
    command = _run(host("gatepost-agent") / "gatepost", "servers")
    assert command.returncode != 0
    assert command.stdout == ""
    assert command.stderr.count("\n") == 1
    assert "gatepost[cli]" in command.stderr


@_built("gatepost.cli.app")
def test_the_command_runs_with_its_extra(host: Host) -> None:
    command = _run(host("gatepost", "cli") / "gatepost", "--help")
    assert (command.returncode, command.stderr) == (0, "")
    assert "explain" in command.stdout


@_built("gatepost_api.cli")
def test_the_control_plane_migrates_from_its_wheel(host: Host, tmp_path: Path) -> None:
    command = host("gatepost-api") / "gatepost-api"
    database = tmp_path / "gatepost.sqlite"
    migrated = _run(command, "migrate", "--database-url", f"sqlite+aiosqlite:///{database}", cwd=tmp_path)
    assert migrated.returncode == 0, migrated.stderr
    assert database.exists()


def test_the_migrations_travel_in_the_control_planes_wheel(wheels: Wheels) -> None:
    with zipfile.ZipFile(wheels["gatepost-api"]) as archive:
        packed = {name.removeprefix("gatepost_api/") for name in archive.namelist()}
    kept = {str(path.relative_to(ROOT)) for path in (ROOT / "migrations").rglob("*.py")}
    assert "migrations/env.py" in kept
    assert kept <= packed


def test_every_wheel_says_that_it_is_typed(wheels: Wheels) -> None:
    for name, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as archive:
            assert f"{name.replace('-', '_')}/py.typed" in archive.namelist()
