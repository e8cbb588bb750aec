"""Every refusal is an RFC 9457 problem that shows what is wrong and nothing that is ours."""

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.errors import TABLE, ApiError, NameTaken, problem_type
from gatepost_api.problems import pointer, shown
from tests.support.control_plane import World

pytestmark = pytest.mark.anyio
SECRET = "the secret reason"


def subclasses(kind: type[ApiError]) -> set[type[ApiError]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_every_error_has_its_row_and_every_slug_is_one_problems() -> None:
    assert subclasses(ApiError) - {ApiError} == set(TABLE)
    slugs = [row.slug for row in TABLE.values()]
    assert len(slugs) == len(set(slugs))
    assert problem_type(NameTaken("x")).status == 409


async def test_a_problem_has_its_members_and_the_request_id(small_world: World) -> None:
    answer = await small_world.viewer.get("/v1/servers/nobody", headers={"X-Request-Id": "mine-1"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.json() == {
        "type": "/problems/not-found",
        "title": "There is no such object",
        "status": 404,
        "detail": "There is no server 'nobody'.",
        "instance": "mine-1",
        "errors": [],
    }
    told = await small_world.viewer.get(answer.json()["type"])
    assert told.json() == {"type": "/problems/not-found", "status": 404, "title": "There is no such object"}
    assert (await small_world.viewer.get("/problems/nothing")).status_code == 404


async def test_a_commit_that_fails_is_a_503_and_never_a_200(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: AsyncSession) -> None:
        raise OperationalError("COMMIT", None, Exception("disk I/O error"))

    monkeypatch.setattr(AsyncSession, "commit", fail)
    answer = await small_world.operator.post("/v1/denied-set", json={"range": "10.1.1.1"})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert "disk" not in answer.text
    monkeypatch.undo()
    assert (await small_world.viewer.get("/v1/denied-set")).json()["items"] == []


async def test_our_own_bug_is_a_500_that_shows_no_text(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("gatepost_api.denied.service.shown", explode)
    answer = await small_world.operator.post("/v1/denied-set", json={"range": "10.1.1.1"})
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/trouble")
    assert SECRET not in answer.text
    assert answer.headers["x-request-id"] in answer.json()["detail"]
    monkeypatch.undo()
    assert (await small_world.viewer.get("/v1/denied-set")).json()["items"] == []


async def test_unparsable_bodies_are_refused(small_world: World) -> None:
    for content in (b"{", b'{"a": ' + b"[" * 100_000, b"\xff\xfe", b'{"range": "10.1.1.1\x00"}'):
        answer = await small_world.operator.post(
            "/v1/denied-set", content=content, headers={"Content-Type": "application/json"}
        )
        assert 400 <= answer.status_code < 500, (content[:20], answer.status_code)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_deep_and_aliased_yaml_is_refused(small_world: World) -> None:
    bombs = ("a: &a [x]\nb: [*a, *a]", "connectors: " + "[" * 5000 + "]" * 5000)
    for text in bombs:
        assert (await small_world.put_draft(text)).status_code == 422


async def test_an_unknown_method_and_path_are_problems_too(small_world: World) -> None:
    assert (await small_world.viewer.get("/nowhere")).json()["type"] == "/problems/not-found"
    assert (await small_world.viewer.post("/healthz")).json()["type"] == "/problems/method-not-allowed"


def test_pointers_are_rfc_6901() -> None:
    assert pointer(("body", "a/b", 0, "c~d")) == "/a~1b/0/c~0d"
    assert pointer(("query", "limit")) == "#query/limit"


def test_no_problem_shows_a_token_or_a_novel() -> None:
    assert "gp_" not in shown("Bearer gp_api_x")
    assert len(shown("x" * 1000)) < 300


async def test_a_bad_query_parameter_is_told_once_with_value_and_remedy(small_world: World) -> None:
    tag = (await small_world.operator.get("/v1/draft")).headers["etag"]
    piece = {"name": "A", "bindings": ["0.0.0.0:25"]}
    made = await small_world.operator.post("/v1/connectors", json=piece, headers={"If-Match": tag})
    rows = f"/v1/connectors/{made.json()['id']}/permissions"
    for path, name in (("/v1/devices", "address"), ("/v1/devices", "range"), (rows, "user")):
        answer = await small_world.viewer.get(path, params={name: "bob"})
        (fault,) = answer.json()["errors"]
        assert (fault["pointer"], fault["type"], fault["value"]) == (f"#query/{name}", "bad-value", "bob")
        assert fault["remedy"], name
        assert "Value error" not in fault["detail"]
        assert fault["value"] not in fault["detail"]
        assert fault["remedy"] not in fault["detail"]


async def test_a_query_parameter_that_the_framework_refuses_is_told_in_its_words(small_world: World) -> None:
    answer = await small_world.viewer.get("/v1/devices", params={"limit": "many"})
    (fault,) = answer.json()["errors"]
    assert (fault["pointer"], fault["type"], fault["value"]) == ("#query/limit", "int_parsing", "many")
