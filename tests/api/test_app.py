"""The application as a whole: what is public, and what is not when /docs is turned off."""

from pathlib import Path

import pytest

from tests.support.control_plane import World, control_plane

pytestmark = pytest.mark.anyio


async def test_docs_and_schema_are_public_unless_turned_off(sqlite_ready: str, tmp_path: Path) -> None:
    async with control_plane(sqlite_ready, tmp_path) as world:
        anonymous = world.anonymous()
        assert (await anonymous.get("/docs")).status_code == 200
        assert (await anonymous.get("/openapi.json")).status_code == 200


async def test_without_docs_the_schema_takes_a_token(sqlite_ready: str, tmp_path: Path) -> None:
    async with control_plane(sqlite_ready, tmp_path, docs=False) as world:
        anonymous = world.anonymous()
        assert (await anonymous.get("/docs")).status_code == 404
        assert (await anonymous.get("/openapi.json")).status_code == 401
        assert (await world.viewer.get("/openapi.json")).json()["info"]["title"] == "Gatepost"


async def test_the_docs_page_asks_nobody_else(small_world: World) -> None:
    page = (await small_world.anonymous().get("/docs")).text
    assert "cdn" not in page
    script = page.partition('<script src="')[2].partition('"')[0]
    assert (await small_world.anonymous().get(script)).status_code == 200
