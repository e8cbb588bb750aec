"""Around every request: sizes, rates, request ids."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatepost_api.app import create_app
from gatepost_api.middleware import MAX_BUCKETS, RateLimit
from gatepost_api.settings import Settings
from tests.support.control_plane import World, control_plane

pytestmark = pytest.mark.anyio


async def test_a_body_over_the_bound_is_refused_announced_or_not(sqlite_ready: str, tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 1000

    async with control_plane(sqlite_ready, tmp_path, max_body_bytes=2000, max_checkin_bytes=1024) as world:
        for content in (b" " * 3000, chunks()):
            answer = await world.operator.put(
                "/v1/draft", content=content, headers={"If-Match": '"1"', "Content-Type": "application/yaml"}
            )
            assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")
        agent = await world.anonymous().post("/agent/v1/enroll", content=b"x" * 1500)
        assert agent.status_code == 413


async def test_a_token_over_its_rate_waits_and_others_do_not() -> None:
    app = create_app(Settings(rate_per_s=1, rate_burst=2, database_url="sqlite:///nowhere.db"))
    world = World.__new__(World)
    world.app = app
    one = world.anonymous(headers={"Authorization": "Bearer one"})
    statuses = [(await one.get("/healthz")).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = await one.get("/healthz")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["type"] == "/problems/too-many-requests"
    two = world.anonymous(headers={"Authorization": "Bearer two"})
    assert (await two.get("/healthz")).status_code == 200


def test_buckets_refill_and_are_bounded() -> None:
    async def nothing(*_: object) -> None: ...

    limit = RateLimit(nothing, rate_per_s=10, burst=1)
    assert limit._take("a", 0.0) == 0
    assert limit._take("a", 0.05) == 1
    assert limit._take("a", 0.2) == 0
    for number in range(MAX_BUCKETS + 10):
        limit._take(str(number), 1.0)
    assert len(limit.buckets) == MAX_BUCKETS


async def test_a_request_id_that_is_no_id_is_replaced(small_world: World) -> None:
    answer = await small_world.viewer.get("/healthz", headers={"X-Request-Id": "a b\tc"})
    assert answer.headers["x-request-id"].startswith("req_")
