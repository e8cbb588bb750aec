"""What is declared, what is pinned and what is installed agree."""

from tests.support.distributions import needed, pins
from tests.support.house import DISTRIBUTIONS, ROOT, project

CONSTRAINTS = ROOT / "deploy" / "constraints.txt"


def _declared(name: str, *extras: str) -> set[str]:
    table = project(DISTRIBUTIONS[name])["project"]
    optional = table.get("optional-dependencies", {})
    return {*table["dependencies"], *(wish for extra in extras for wish in optional[extra])}


def test_the_development_install_is_the_sum_of_the_three() -> None:
    parts = _declared("gatepost", "cli") | _declared("gatepost-api") | _declared("gatepost-agent")
    assert set(project(ROOT)["project"]["dependencies"]) == parts - {"gatepost"}


def test_the_development_install_has_every_script() -> None:
    scripts = {
        name: to
        for folder in DISTRIBUTIONS.values()
        for name, to in project(folder)["project"]["scripts"].items()
    }
    assert project(ROOT)["project"]["scripts"] == scripts


def test_everything_needed_is_pinned_at_the_installed_version() -> None:
    table = project(ROOT)["project"]
    installed = needed([*table["dependencies"], *table["optional-dependencies"]["dev"]])
    pinned = pins(CONSTRAINTS)
    assert {name: found.version for name, found in installed.items()} == {
        name: pinned.get(name) for name in installed
    }


def test_a_mail_host_gets_no_web_framework_orm_or_command_line_framework() -> None:
    unwanted = {
        "fastapi",
        "starlette",
        "uvicorn",
        "sqlalchemy",
        "alembic",
        "psycopg",
        "typer",
        "click",
        "rich",
    }
    on_a_mail_host = needed(sorted(_declared("gatepost-agent") | _declared("gatepost")))
    assert unwanted & on_a_mail_host.keys() == set()


def test_the_control_plane_gets_no_smtp_server_and_no_spool() -> None:
    in_the_control_plane = needed(sorted(_declared("gatepost-api") | _declared("gatepost")))
    assert {"aiosmtpd", "apsw"} & in_the_control_plane.keys() == set()
