"""What operators install: units, container files, and the bundle for hosts without internet."""

import configparser
import re
import shutil
import subprocess
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.distributions import needed
from tests.support.house import DISTRIBUTIONS, ROOT, project
from tests.support.wheelhouse import repack

DEPLOY = ROOT / "deploy"
UNITS = {name: DEPLOY / "systemd" / f"gatepost-{name}.service" for name in ("agent", "api")}
MAX_EXPOSURE = 2.0

unit = pytest.mark.parametrize("name", UNITS)
with_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="notice: no systemd-analyze here; units are only parsed"
)


class _Repeated(dict[str, Any]):
    """A unit may give a setting twice: the values are joined by line ends."""

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(value, list) and key in self:
            value = [*self[key], *value]
        super().__setitem__(key, value)


def _service(name: str) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False, dict_type=_Repeated)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNITS[name].read_text(encoding="utf-8"))
    return parser["Service"]


def _run(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=90, **options
    )


# --- units -----------------------------------------------------------------------------------------------------


@unit
def test_a_unit_runs_as_its_own_user_in_a_folder_of_its_own(name: str) -> None:
    service = _service(name)
    assert service["User"] == service["Group"] == f"gatepost-{name}"
    assert (service["StateDirectory"], service["StateDirectoryMode"]) == (f"gatepost-{name}", "0700")
    assert service["UMask"] == "0077"
    users = (DEPLOY / "systemd" / "gatepost.sysusers.conf").read_text(encoding="utf-8")
    assert re.search(rf"^u gatepost-{name} ", users, re.MULTILINE)


def test_the_agent_may_bind_low_ports_at_any_time_and_nothing_else() -> None:
    service = _service("agent")
    assert service["AmbientCapabilities"] == service["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    assert "PrivateUsers" not in service, "a capability of another user namespace binds no port"


def test_the_control_plane_has_no_capability() -> None:
    service = _service("api")
    assert service["AmbientCapabilities"] == service["CapabilityBoundingSet"] == ""


def test_a_stop_waits_longer_than_the_program_drains() -> None:
    from gatepost_agent.settings import Settings
    from gatepost_api.serving import GRACE_S

    assert int(_service("agent")["TimeoutStopSec"]) >= Settings().drain_s + 15
    assert int(_service("api")["TimeoutStopSec"]) >= GRACE_S + 15


@unit
def test_there_are_files_enough(name: str) -> None:
    assert int(_service(name)["LimitNOFILE"]) >= 65536


@unit
@with_systemd
def test_systemd_reads_the_unit_without_a_complaint(name: str, tmp_path: Path) -> None:
    # The program need not be installed on this machine; everything else is read as it is.
    text = (
        UNITS[name]
        .read_text(encoding="utf-8")
        .replace("=/opt/gatepost/bin/gatepost-", "=/bin/true gatepost-")
    )
    copy = tmp_path / UNITS[name].name
    copy.write_text(text, encoding="utf-8")
    verified = _run("systemd-analyze", "verify", "--recursive-errors=no", copy)
    complaints = [line for line in verified.stderr.splitlines() if copy.name in line]
    assert complaints == []


@unit
@with_systemd
def test_the_unit_is_hardened(name: str) -> None:
    judged = _run("systemd-analyze", "security", "--offline=true", "--no-pager", UNITS[name])
    found = re.search(r"exposure level for \S+: ([0-9.]+)", judged.stdout)
    if found is None:
        pytest.skip(f"notice: this systemd-analyze judges no files: {judged.stderr.strip()}")
    assert float(found[1]) <= MAX_EXPOSURE


# --- containers ------------------------------------------------------------------------------------------------


def test_the_containerfile_copies_what_is_there() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text(encoding="utf-8")
    copied = [
        line.split()[1] for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line
    ]
    assert copied
    assert [path for path in copied if not (ROOT / path).exists()] == []


def test_the_compose_file_uses_the_images_targets_and_hides_no_client() -> None:
    services = yaml.safe_load((DEPLOY / "container" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    text = (DEPLOY / "container" / "Containerfile").read_text(encoding="utf-8")
    for name, service in services.items():
        assert re.search(rf"^FROM \S+ AS {service['build']['target']}$", text, re.MULTILINE)
        assert service["cap_drop"] == ["ALL"]
        assert int(service["stop_grace_period"].rstrip("s")) == int(_service(name)["TimeoutStopSec"])
    assert services["agent"]["network_mode"] == "host"
    assert "ports" not in services["agent"]


# --- the bundle ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed_agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an agent that was installed from a bundle, with nothing fetched."""
    folder = tmp_path_factory.mktemp("bundle")
    wheels = folder / "wheels"
    wheels.mkdir()
    wishes = [
        wish
        for name in ("gatepost", "gatepost-agent")
        for wish in project(DISTRIBUTIONS[name])["project"]["dependencies"]
    ]
    repack(needed(wishes).values(), wheels)
    made = _run(sys.executable, DEPLOY / "bundle.py", "agent", "--output", folder, "--wheels", wheels)
    assert made.returncode == 0, made.stderr
    with tarfile.open(made.stdout.strip()) as archive:
        archive.extractall(folder / "host", filter="data")
    (unpacked,) = (folder / "host").iterdir()
    target = folder / "gatepost"
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable}
    installed = _run(unpacked / "install.sh", target, env=environment)
    assert installed.returncode == 0, installed.stderr
    return target / "bin"


@pytest.mark.skipif(find_spec("gatepost_agent.cli") is None, reason="gatepost_agent.cli is not built yet")
def test_a_bundle_installs_an_agent_that_runs(installed_agent: Path) -> None:
    shown = _run(installed_agent / "gatepost-agent", "--help", env={})
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "enroll" in shown.stdout


def test_a_bundled_agent_carries_no_web_framework(installed_agent: Path) -> None:
    listed = _run(installed_agent / "python", "-m", "pip", "list", "--format=freeze", env={}).stdout.lower()
    names = {line.partition("==")[0] for line in listed.split()}
    assert {"gatepost", "gatepost-agent", "aiosmtpd"} <= names
    assert names.isdisjoint({"fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "typer", "rich"})


def test_a_bundle_that_was_touched_is_not_installed(installed_agent: Path, tmp_path: Path) -> None:
    (unpacked,) = (installed_agent.parents[1] / "host").iterdir()
    copy = tmp_path / "copy"
    shutil.copytree(unpacked, copy)
    wheel = next(copy.glob("wheels/aiosmtpd-*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b" ")
    refused = _run(copy / "install.sh", tmp_path / "target", env={"PATH": "/usr/bin:/bin"})
    assert refused.returncode != 0
    assert not (tmp_path / "target").exists()


def test_a_bundle_says_in_a_line_why_there_is_none(tmp_path: Path) -> None:
    failed = _run(
        *(
            sys.executable,
            DEPLOY / "bundle.py",
            "agent",
            "--output",
            tmp_path,
            "--wheels",
            tmp_path / "nowhere",
        )
    )
    assert failed.returncode == 1
    assert failed.stderr.startswith("bundle: ")
    assert failed.stderr.count("\n") == 1
