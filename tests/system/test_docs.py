"""Every command of README.md and deploy/README.md, run as it stands there; ports and names are this machine's."""

import re
import shutil
import sys
from pathlib import Path

import pytest
import trustme

from deploy.demo.processes import clean_environment, free_port
from tests.support.distributions import needed
from tests.support.house import DISTRIBUTIONS, ROOT, project, shown
from tests.support.wheelhouse import repack
from tests.system.fake_host import make_host, moved
from tests.system.shell_blocks import blocks, run_script, script_of

README = ROOT / "README.md"
DEPLOY = ROOT / "deploy" / "README.md"
DOCUMENTS = [README, DEPLOY]
EXAMPLE = ROOT / "deploy" / "examples" / "article-on-loopback.yaml"


def _example(smtp: int) -> str:
    return EXAMPLE.read_text(encoding="utf-8").replace(":2525", f":{smtp}")


def test_the_readme_leads_with_the_two_commands() -> None:
    text = README.read_text(encoding="utf-8")
    made = re.findall(r"^    make (\w+)", text, re.MULTILINE)
    assert made == ["demo", "test"]
    assert text.index("make demo") < text.index("```")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{target}: " in makefile for target in made)


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_nothing_is_fenced_that_would_not_be_run(document: Path) -> None:
    assert {language for language, _ in blocks(document)} == {"sh"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


def test_the_job_by_hand_is_under_a_screen() -> None:
    by_hand = [body for _, body in blocks(README)][:2]
    assert all(len(body.splitlines()) <= 24 for body in by_hand)


@pytest.mark.timeout(240)
def test_the_readme_does_what_it_says(tmp_path: Path) -> None:
    api, smtp = free_port("127.0.0.1"), free_port("127.0.0.1")
    examples = tmp_path / "deploy" / "examples"
    examples.mkdir(parents=True)
    (examples / EXAMPLE.name).write_text(_example(smtp), encoding="utf-8")
    script = script_of(README, {"127.0.0.1:8025": f"127.0.0.1:{api}", "127.0.0.1:2525": f"127.0.0.1:{smtp}"})

    shell = run_script(
        script, tmp_path, clean_environment({"GATEPOST_PORT": str(api), "GATEPOST_LOG_LEVEL": "warning"})
    )

    assert shell.code == 0, shell.output
    assert "250 2.1.5 Recipient OK" in shell.output  # probe, from the listed address
    assert "550 5.7.1 Unable to relay" in shell.output  # explain, of the one that is not
    assert re.search(r"RemoteIPRanges\W+\{127\.0\.0\.10, 127\.0\.0\.11\}", shell.output)
    assert "ms-Exch-SMTP-Accept-Any-Recipient" in shell.output
    assert "1 of 1 servers run what is published" in shell.output


@pytest.mark.timeout(400)
def test_deploying_does_what_it_says(tmp_path: Path) -> None:
    api, smtp = free_port("127.0.0.1"), free_port("127.0.0.1")
    tools, root = make_host(tmp_path), tmp_path / "host"
    wheels = _wheels(tmp_path / "wheels")
    _certificates(tmp_path)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "bundle.py").symlink_to(ROOT / "deploy" / "bundle.py")
    (tmp_path / "fleet.yaml").write_text(_example(smtp), encoding="utf-8")
    script = script_of(
        DEPLOY,
        {
            "bundle.py api": f"bundle.py api --wheels {wheels}",
            "bundle.py agent": f"bundle.py agent --wheels {wheels}",
            "/install.sh": f"/install.sh {root}/opt/gatepost",
            "HOST=0.0.0.0": "HOST=127.0.0.1",
            "PORT=8025": f"PORT={api}",
            "gatepost.contoso.com:8025": f"localhost:{api}",
            "10.1.1.1": "127.0.0.1",
        },
    )
    environment = clean_environment({"PYTHON": sys.executable, "PIP_NO_COMPILE": "1"})
    environment["PATH"] = f"{tools}:{environment['PATH']}"

    shell = run_script(moved(root, script), tmp_path, environment, timeout_s=360)

    logs = "".join(path.read_text(errors="replace")[-2000:] for path in root.glob("*.log"))
    assert shell.code == 0, shell.output + logs
    assert "1 of 1 running" in shell.output
    assert (root / "var/lib/gatepost-api/backup.db").stat().st_size > 0
    assert (root / "var/lib/gatepost-agent").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "fleet.key").exists()


def _wheels(folder: Path) -> Path:
    folder.mkdir()
    wishes = [wish for part in DISTRIBUTIONS.values() for wish in project(part)["project"]["dependencies"]]
    wishes += project(DISTRIBUTIONS["gatepost"])["project"]["optional-dependencies"]["cli"]
    repack(needed(wishes).values(), folder)
    return folder


def _certificates(folder: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued.private_key_pem.write_to_path(str(folder / "api.key"))
    for pem in issued.cert_chain_pems:
        pem.write_to_path(str(folder / "api.pem"), append=True)


pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("bash") is None,
    reason="notice: the README's commands need curl",
)
