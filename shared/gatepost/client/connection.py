"""HTTP to the control plane: one address, no redirects, repeats only where the control plane asked for them."""

import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from gatepost import __version__
from gatepost.client.errors import RefusedUrl, Unreachable, problem_of

CONNECT_S = 10.0
ANSWER_S = 60.0
PATIENCE_S = 60.0  # how long, in all, one call waits because it was told to come back later
PAGE = 500
Record = dict[str, Any]
Rows = list[Record]


class Versioned(NamedTuple):
    """An object and the ETag it had when it was read."""

    body: Record
    etag: str


def checked_url(text: str) -> str:
    """A control plane's address without a slash at its end. Raises RefusedUrl."""
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL as error:
        raise RefusedUrl(f"{text!r} is not a URL. Write it as https://gatepost.contoso.com.") from error
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment or url.userinfo:
        shown = url.copy_with(username=None, password=None, query=None)
        raise RefusedUrl(f"{shown} is not a control plane's URL. Write it as https://gatepost.contoso.com.")
    if url.scheme == "http" and not _is_loopback(url.host):
        raise RefusedUrl(f"{text!r} would send the token unencrypted: http is for loopback only. Use https.")
    return str(url).rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _trust(url: str, ca_file: str | Path | None) -> ssl.SSLContext | bool:
    if not url.startswith("https:"):
        return False  # no TLS, so no CA bundle is read
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise RefusedUrl(f"The CA file {ca_file} cannot be used: {error}. Give a PEM file.") from error


class Connection:
    """Requests with the token; every answer that is not a success is raised as a ClientError."""

    def __init__(
        self,
        url: str,
        token: str,
        ca_file: str | Path | None = None,
        *,
        patience_s: float = PATIENCE_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = checked_url(url)
        if not (token.isascii() and token.isprintable() and token):
            raise RefusedUrl(
                "The token is empty or holds characters that no token has. Copy it again, whole."
            )
        self._patience_s = patience_s
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}", "User-Agent": f"gatepost/{__version__}"},
            verify=_trust(self.url, ca_file),
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, *, wait_s: float = 0, **filters: object) -> Record:
        """A JSON object; filters that are None are left out. wait_s: let the server wait so long for news."""
        return _body(self.send("GET", path, wait_s=wait_s, params=_query(filters)))

    def json(self, path: str) -> Any:
        """Whatever JSON a path answers with."""
        return _json(self.send("GET", path))

    def read(self, path: str, *, wait_s: float = 0) -> Versioned:
        """An object with its ETag."""
        answer = self.send("GET", path, wait_s=wait_s)
        return Versioned(_body(answer), answer.headers.get("etag", ""))

    def text(self, path: str, media: str, **filters: object) -> str:
        """A text in a form that the server offers, such as `application/yaml`."""
        return self.send("GET", path, headers={"Accept": media}, params=_query(filters)).text

    def post(self, path: str, body: object = None, *, etag: str | None = None) -> Record:
        """A POST that is done once, however often it has to be sent."""
        return self.submit(path, body, etag=etag).body

    def submit(self, path: str, body: object = None, *, etag: str | None = None) -> Versioned:
        """The same, with the ETag of what it answers with."""
        headers = {"Idempotency-Key": str(uuid.uuid4())} | _if_match(etag)
        answer = self.send("POST", path, headers=headers, json={} if body is None else body)
        return Versioned(_body(answer), answer.headers.get("etag", ""))

    def put(self, path: str, body: object, *, etag: str | None = None) -> Versioned:
        """Replace an object that still has this ETag; without one it is read first."""
        answer = self.send("PUT", path, headers=_if_match(self._tag(path, etag)), json=body)
        return Versioned(_body(answer), answer.headers.get("etag", ""))

    def patch(self, path: str, body: object, *, etag: str | None = None) -> Versioned:
        """Change an object by JSON Merge Patch (RFC 7396), as `put` does."""
        answer = self.send("PATCH", path, headers=_if_match(self._tag(path, etag)), json=body)
        return Versioned(_body(answer), answer.headers.get("etag", ""))

    def delete(self, path: str, *, etag: str | None = None, **filters: object) -> Record:
        """Remove an object, as `put` does."""
        headers = _if_match(self._tag(path, etag))
        return _body(self.send("DELETE", path, headers=headers, params=_query(filters)))

    def rows(
        self, method: str, path: str, body: object = None, *, etag: str | None = None, **filters: object
    ) -> Rows:
        """A change of an existing object that answers with a list, as `put` does."""
        headers = {"Idempotency-Key": str(uuid.uuid4())} | _if_match(self._tag(path, etag))
        answer = _json(self.send(method, path, headers=headers, params=_query(filters), json=body))
        return list(answer) if isinstance(answer, list) else []

    def items(
        self, path: str, filters: Mapping[str, object] | None = None, *, most: int | None = None
    ) -> Iterator[Record]:
        """Everything of a listing, page after page; `most` ends it early."""
        asked = _query(filters or {}) | {"limit": min(most or PAGE, PAGE)}
        left = most
        while True:
            page = self.get(path, **asked)
            listed: list[Record] = page["items"][:left]
            yield from listed
            left = None if left is None else left - len(listed)
            if page.get("next_cursor") is None or left == 0:
                return
            asked["cursor"] = page["next_cursor"]

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        wait_s: float = 0,
        **content: Any,
    ) -> httpx.Response:
        """One call; told to come back later (Retry-After), it does, within bounds. Raises ClientError."""
        sent = dict(headers or {}) | ({"Prefer": f"wait={wait_s:.0f}"} if wait_s >= 1 else {})
        timeout = httpx.Timeout(ANSWER_S + wait_s, connect=CONNECT_S)
        left = self._patience_s
        while True:
            try:
                answer = self._http.request(method, path, headers=sent, timeout=timeout, **content)
            except (httpx.HTTPError, OSError) as error:
                raise Unreachable(f"{self.url} does not answer: {_told(error)}.") from error
            pause = _retry_after(answer)
            if pause is None or pause > left:
                return self._judged(answer)
            left -= pause
            self._sleep(pause)

    def _tag(self, path: str, etag: str | None) -> str:
        return etag if etag is not None else self.read(path).etag

    def _judged(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        if answer.is_redirect:
            where = answer.headers.get("location", "elsewhere")
            raise Unreachable(
                f"{self.url} points to {where}; redirects are not followed. Give the final address."
            )
        problem = problem_of(answer.status_code, _json(answer), answer.reason_phrase)
        if problem.status in (502, 503, 504) and problem.type == "about:blank":
            raise Unreachable(f"{self.url} answers {problem.status} {problem.title}.")
        raise problem


def _query(filters: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in filters.items() if value is not None}


def _if_match(etag: str | None) -> dict[str, str]:
    return {} if etag is None else {"If-Match": etag or "*"}


def _json(answer: httpx.Response) -> object:
    try:
        return answer.json()
    except ValueError:
        return None


def _body(answer: httpx.Response) -> Record:
    if not answer.content:
        return {}
    body = _json(answer)
    if not isinstance(body, dict):
        raise Unreachable(
            f"{answer.url.copy_with(query=None)} does not answer as a control plane. Check the address."
        )
    return body


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds until the call may be sent again; None when that was not offered. A date counts as no offer."""
    told = answer.headers.get("retry-after", "")
    if answer.status_code not in (409, 429, 503) or not (told.isascii() and told.isdigit()):
        return None
    return max(float(told), 0.1)


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
