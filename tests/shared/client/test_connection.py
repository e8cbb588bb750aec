"""HTTP manners: what is sent by default, what is repeated, and what every failure becomes."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import trustme

from gatepost.client import ApiProblem, RefusedUrl, Unreachable
from gatepost.client.connection import Connection, checked_url

PROBLEM = {
    "type": "/problems/refused-by-policy",
    "title": "Publishing this is refused by policy",
    "status": 422,
    "detail": "One finding blocks.",
    "instance": "req_1",
    "errors": [{"pointer": "/connectors/0", "type": "x", "detail": "no", "value": "y", "remedy": "Do z."}],
    "findings": [{"id": "f1"}],
}


class Heard(NamedTuple):
    """A request as the server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Told(NamedTuple):
    """An answer to give."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = MappingProxyType({})


class ApiServer:
    """Gives the told answers in their order, the last one for ever."""

    def __init__(self, *told: Told, tls: ssl.SSLContext | None = None) -> None:
        self.heard: list[Heard] = []
        told_left = list(told) or [Told(body={})]
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                heard.append(Heard(self.command, self.path, headers, body))
                told = told_left.pop(0) if len(told_left) > 1 else told_left[0]
                content = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
                self.send_response(told.status)
                for name, value in told.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the base class names them

            def log_message(self, *_: object) -> None:
                """Say nothing on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="api fake")
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


Api = Callable[..., ApiServer]


@pytest.fixture
def api() -> Iterator[Api]:
    started: list[ApiServer] = []

    def start(*told: Told, tls: ssl.SSLContext | None = None) -> ApiServer:
        started.append(ApiServer(*told, tls=tls))
        return started[-1]

    yield start
    for each in started:
        each.close()


class Pauses(list[float]):
    """The sleeps that a connection asked for; nobody sleeps."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def connect(pauses: Pauses) -> Iterator[Callable[[ApiServer], Connection]]:
    opened: list[Connection] = []

    def to(server: ApiServer) -> Connection:
        opened.append(Connection(server.url, "gp_api_x", patience_s=20, sleep=pauses))
        return opened[-1]

    yield to
    for each in opened:
        each.close()


Connect = Callable[[ApiServer], Connection]


@pytest.mark.parametrize(
    "url",
    [
        "http://gatepost.contoso.com",
        "http://10.1.1.1:8025",
        "ftp://127.0.0.1",
        "gatepost.contoso.com",
        "https://u:p@x",
    ],
)
def test_an_address_that_would_leak_the_token_is_refused(url: str) -> None:
    with pytest.raises(RefusedUrl) as refused:
        checked_url(url)
    assert "u:p" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8025", "http://[::1]:8025/", "http://localhost", "https://x.y/z/"]
)
def test_loopback_and_https_are_taken(url: str) -> None:
    assert checked_url(url) == url.rstrip("/")


@pytest.mark.parametrize("token", ["", "two\nlines", "ünicode"])
def test_a_token_that_is_none_is_refused_without_quoting_it(token: str) -> None:
    with pytest.raises(RefusedUrl) as refused:
        Connection("http://127.0.0.1", token)
    assert token == "" or token not in str(refused.value)


def test_a_ca_file_that_is_none_is_refused() -> None:
    with pytest.raises(RefusedUrl, match=r"ca\.pem"):
        Connection("https://127.0.0.1", "gp_api_x", "no/such/ca.pem")


def test_only_the_ca_that_was_given_is_trusted(api: Api, tmp_path: Path) -> None:
    ours, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("127.0.0.1").configure_cert(context)
    server = api(Told(body={"version": 1}), tls=context)
    for name, authority in (("ours.pem", ours), ("other.pem", other)):
        authority.cert_pem.write_to_path(tmp_path / name)
    trusting = Connection(server.url, "gp_api_x", tmp_path / "ours.pem")
    assert trusting.get("/v1/draft") == {"version": 1}
    trusting.close()
    doubting = Connection(server.url, "gp_api_x", tmp_path / "other.pem")
    with pytest.raises(Unreachable, match="certificate"):
        doubting.get("/v1/draft")
    doubting.close()
    assert len(server.heard) == 1


def test_every_request_carries_the_token(api: Api, connect: Connect) -> None:
    server = api()
    connect(server).get("/v1/counts", server="mx1", connector=None)
    assert server.heard[0].headers["authorization"] == "Bearer gp_api_x"
    assert server.heard[0].path == "/v1/counts?server=mx1"


def test_a_change_carries_the_tag_that_was_read(api: Api, connect: Connect) -> None:
    server = api(
        Told(body={"name": "x"}, headers={"ETag": '"7"'}), Told(body={"name": "y"}, headers={"ETag": '"8"'})
    )
    changed = connect(server).patch("/v1/connectors/con_1", {"name": "y"})
    assert [(heard.method, heard.headers.get("if-match")) for heard in server.heard] == [
        ("GET", None),
        ("PATCH", '"7"'),
    ]
    assert changed.etag == '"8"'


def test_a_tag_that_is_given_is_not_read_again(api: Api, connect: Connect) -> None:
    server = api()
    connect(server).delete("/v1/connectors/con_1", etag='"3"')
    assert [(heard.method, heard.headers["if-match"]) for heard in server.heard] == [("DELETE", '"3"')]


def test_a_post_that_is_sent_again_has_the_same_key(api: Api, connect: Connect, pauses: Pauses) -> None:
    server = api(Told(503, PROBLEM | {"status": 503}, {"Retry-After": "2"}), Told(201, {"id": "x"}))
    assert connect(server).post("/v1/api-tokens", {"name": "ci"}) == {"id": "x"}
    first, second = (heard.headers["idempotency-key"] for heard in server.heard)
    assert first == second
    assert pauses == [2.0]


def test_two_posts_have_two_keys(api: Api, connect: Connect) -> None:
    server = api()
    for _ in range(2):
        connect(server).post("/v1/api-tokens", {})
    assert len({heard.headers["idempotency-key"] for heard in server.heard}) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_patience_has_an_end(api: Api, connect: Connect, pauses: Pauses, status: int) -> None:
    server = api(
        Told(status, PROBLEM | {"status": status, "type": "/problems/unavailable"}, {"Retry-After": "7"})
    )
    with pytest.raises(ApiProblem) as problem:
        connect(server).get("/v1/counts")
    assert problem.value.status == status
    assert pauses == [7.0, 7.0]


def test_nothing_is_repeated_that_was_not_offered(api: Api, connect: Connect, pauses: Pauses) -> None:
    server = api(Told(503, PROBLEM | {"status": 503}))
    with pytest.raises(ApiProblem):
        connect(server).get("/v1/counts")
    assert (len(server.heard), pauses) == (1, [])


def test_a_problem_is_raised_whole(api: Api, connect: Connect) -> None:
    with pytest.raises(ApiProblem, match="One finding blocks") as raised:
        connect(api(Told(422, PROBLEM))).get("/v1/draft")
    problem = raised.value
    assert (problem.status, problem.type, problem.request_id) == (422, "refused-by-policy", "req_1")
    assert problem.errors[0].remedy == "Do z."
    assert problem.as_json()["findings"] == [{"id": "f1"}]


def test_an_answer_that_is_no_problem_is_one_all_the_same(api: Api, connect: Connect) -> None:
    with pytest.raises(ApiProblem) as raised:
        connect(api(Told(418, b"<html>"))).get("/v1/draft")
    assert (raised.value.status, raised.value.type) == (418, "about:blank")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_without_a_control_plane_behind_it_is_unreachable(
    api: Api, connect: Connect, status: int
) -> None:
    with pytest.raises(Unreachable):
        connect(api(Told(status, b"<html>"))).get("/v1/draft")


def test_redirects_are_not_followed(api: Api, connect: Connect) -> None:
    elsewhere = api()
    with pytest.raises(Unreachable, match="not followed"):
        connect(api(Told(307, {}, {"Location": elsewhere.url}))).get("/v1/draft")
    assert elsewhere.heard == []


def test_something_else_at_the_address_is_unreachable(api: Api, connect: Connect) -> None:
    with pytest.raises(Unreachable, match="Check the address"):
        connect(api(Told(200, b"<html>"))).get("/v1/draft")


def test_nobody_at_the_address_is_unreachable(free_port: Callable[[str], int]) -> None:
    connection = Connection(f"http://127.0.0.1:{free_port('127.0.0.1')}", "gp_api_x")
    with pytest.raises(Unreachable, match="does not answer"):
        connection.get("/v1/draft")
    connection.close()


def test_waiting_is_asked_for(api: Api, connect: Connect) -> None:
    server = api()
    connect(server).read("/v1/servers/srv_1", wait_s=20)
    assert server.heard[0].headers["prefer"] == "wait=20"


def test_a_listing_is_read_to_its_end(api: Api, connect: Connect) -> None:
    server = api(
        Told(body={"items": [{"id": 1}, {"id": 2}], "next_cursor": "c2"}),
        Told(body={"items": [{"id": 3}], "next_cursor": None}),
    )
    assert [row["id"] for row in connect(server).items("/v1/servers", {"state": "active"})] == [1, 2, 3]
    assert "cursor=c2" in server.heard[1].path
    assert all("state=active" in heard.path for heard in server.heard)


def test_a_listing_may_be_cut_short(api: Api, connect: Connect) -> None:
    server = api(Told(body={"items": [{"id": 1}, {"id": 2}], "next_cursor": "c2"}))
    assert [row["id"] for row in connect(server).items("/v1/servers", most=1)] == [1]
    assert len(server.heard) == 1
