"""The import rules hold, and would be seen to break."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.house import DISTRIBUTIONS, ROOT, project

BIN = Path(sys.executable).parent

# One breach for each contract: file -> what it must not import.
BREACHES = {
    "shared/gatepost/policy/breach.py": "import time\nimport gatepost.wire\n",
    "shared/gatepost/policy/model/breach.py": "import gatepost.policy.analysis\n",
    "shared/gatepost/breach.py": "import gatepost_api\n",
    "api/gatepost_api/breach.py": "import aiosmtpd\nimport gatepost_agent\n",
    "api/gatepost_api/tables.py": "import gatepost_api.app\n",
    "api/gatepost_api/app.py": "",
    "api/gatepost_api/noun/endpoints.py": "import gatepost_api.tables\n",
    "api/gatepost_api/noun/service.py": "import gatepost_api.noun.endpoints\n",
    "agent/gatepost_agent/breach.py": "import fastapi\n",
    "agent/gatepost_agent/smtp/breach.py": "import gatepost_agent.control\nimport gatepost_agent.delivery\n",
}
ROOMS = (
    "shared/gatepost/policy/analysis",
    "api/gatepost_api/noun",
    "agent/gatepost_agent/control",
    "agent/gatepost_agent/delivery",
)


def _lint_imports(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "lint-imports"), "--no-logo", "--config", str(folder / "pyproject.toml"), *options],
        cwd=folder,
        env={
            "PYTHONPATH": ":".join(str(folder / part.name) for part in DISTRIBUTIONS.values()),
            "COLUMNS": "300",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def broken_house(tmp_path: Path) -> Path:
    """A copy of the house in which every contract is broken."""
    for part in DISTRIBUTIONS.values():
        shutil.copytree(part, tmp_path / part.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in (*ROOMS, *(str(Path(name).parent) for name in BREACHES)):
        (tmp_path / room).mkdir(parents=True, exist_ok=True)
        (tmp_path / room / "__init__.py").touch()
    for name, breach in BREACHES.items():
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write(f"\n{breach}")
    return tmp_path


def test_every_contract_is_seen_to_break(broken_house: Path) -> None:
    contracts = project(ROOT)["tool"]["importlinter"]["contracts"]
    done = _lint_imports(broken_house, "--no-cache")
    assert done.returncode == 1
    assert re.findall(r"^(.*\S) KEPT$", done.stdout, re.MULTILINE) == []
    assert f"Contracts: 0 kept, {len(contracts)} broken" in done.stdout


@pytest.mark.parametrize(
    "slip",
    [
        "import datetime\n\nnow = datetime.datetime.now(datetime.UTC)\n",
        "from datetime import date\n\ntoday = date.today()\n",
        "import time\n\nnow = time.time()\n",
        "from time import monotonic\n\nnow = monotonic()\n",
        "import random\n\nchance = random.random()\n",
        "import os\n\nhome = os.environ\n",
        "import uuid\n\nname = uuid.uuid4()\n",
        "from email.utils import formatdate\n\ndate = formatdate()\n",
        'text = open("fleet.yaml")\n',
    ],
)
def test_the_policy_has_no_clock_no_chance_and_no_host(slip: str) -> None:
    assert {"TID251", "PTH123"} & _ruff("shared/gatepost/policy/slip.py", slip)


def test_the_agent_has_a_clock() -> None:
    assert "TID251" not in _ruff("agent/gatepost_agent/slip.py", "import time\n\nnow = time.monotonic()\n")


def _ruff(path: str, source: str) -> set[str]:
    done = subprocess.run(
        [str(BIN / "ruff"), "check", "--output-format=json", "--stdin-filename", path, "-"],
        cwd=ROOT,
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    return {finding["code"] for finding in json.loads(done.stdout)}
