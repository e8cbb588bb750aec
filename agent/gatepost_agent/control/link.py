"""HTTP to the control plane: several addresses, no redirects, bounded answers, every failure one of three kinds."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel

from gatepost_agent import __version__
from gatepost_agent.errors import AgentError, UsageRefused

MAX_ANSWER_BYTES = 8 * 1024 * 1024
CONNECT_S = 10.0
KEPT_OPEN_S = 120.0
GRACE_S = 20.0  # beyond the wait that was asked for
WHOLE_ANSWER_S = 120.0
_REMEDY = "write it as https://gatepost.contoso.com"
_TROUBLE = (
    httpx.HTTPError,
    httpx.InvalidURL,
    OSError,
    ValueError,
    TimeoutError,
)


class LinkError(AgentError):
    """No usable answer. Nothing about the relay follows from any of these."""


class Unreachable(LinkError):
    """Network trouble, a timeout, a server error, or an answer that cannot be read."""


class Overloaded(LinkError):
    """429 or 503: ask again after `retry_after_s` seconds."""

    def __init__(self, text: str, retry_after_s: float) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class TurnedAway(LinkError):
    """A 4xx that asking again at once will not change; `status` is the HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Bearer(Protocol):
    """Where the link finds the token of the moment."""

    @property
    def token(self) -> str:
        """The agent's bearer token."""


def checked_url(text: str) -> str:
    """A control plane's address without a slash at its end. Raises UsageRefused."""
    try:
        url = urlsplit(text.strip())
        _ = url.port  # raises when it is no number
    except ValueError as error:
        raise UsageRefused(f"{text!r} is not a URL: {_REMEDY}") from error
    is_plain = not (url.query or url.fragment or url.username or url.password)
    if url.scheme not in ("http", "https") or not url.hostname or not text.isascii() or not is_plain:
        raise UsageRefused(f"{text!r} is not a control plane's URL: {_REMEDY}")
    if url.scheme == "http" and not _is_loopback(url.hostname):
        raise UsageRefused(f"{text!r} would send the token unencrypted: http is for loopback only, use https")
    return url.geturl().rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _context(urls: tuple[str, ...], ca_file: str) -> ssl.SSLContext:
    if not any(url.startswith("https:") for url in urls):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and costs no memory for a CA bundle
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise UsageRefused(f"the CA file {ca_file} cannot be read: {error}") from error


class Link:
    """One control plane at one or more addresses; the one that answered last is asked first."""

    def __init__(self, urls: tuple[str, ...], *, ca_file: str = "", bearer: Bearer | None = None) -> None:
        self._bearer = bearer
        self.ca_file = ca_file
        self._at = 0
        self.urls = tuple(checked_url(url) for url in urls)
        self._client = self._new_client()

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.aclose()

    async def use(self, urls: tuple[str, ...]) -> None:
        """Go to other addresses from now on. Raises UsageRefused."""
        urls = tuple(checked_url(url) for url in urls)
        old, self.urls, self._at = self._client, urls, 0
        self._client = self._new_client()
        await old.aclose()

    @property
    def url(self) -> str:
        """The address that is asked next."""
        return self.urls[self._at % len(self.urls)]

    async def post(self, path: str, message: BaseModel, *, wait_s: float = 0) -> bytes:
        """POST a message; wait_s: how long the server may take its time, in seconds. Raises LinkError."""
        headers = {"Content-Type": "application/json"}
        if wait_s:
            headers["Prefer"] = f"wait={wait_s:.0f}"
        return await self._ask("POST", path, headers, message.model_dump_json().encode(), wait_s=wait_s)

    async def get(self, path: str, *, limit: int = MAX_ANSWER_BYTES) -> bytes:
        """GET; limit: the most octets that an answer may have. Raises LinkError."""
        return await self._ask("GET", path, {}, None, limit=limit)

    def _new_client(self) -> httpx.AsyncClient:
        """Nothing of the environment counts (no proxy, no netrc), and redirects are not followed."""
        return httpx.AsyncClient(
            verify=_context(self.urls, self.ca_file),
            trust_env=False,
            limits=httpx.Limits(max_connections=4, keepalive_expiry=KEPT_OPEN_S),
            headers={"User-Agent": f"gatepost-agent/{__version__}", "Accept-Encoding": "identity"},
        )

    async def _ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None,
        *,
        wait_s: float = 0,
        limit: int = MAX_ANSWER_BYTES,
    ) -> bytes:
        if self._bearer is not None and self._bearer.token:
            headers["Authorization"] = f"Bearer {self._bearer.token}"
        timeout = httpx.Timeout(GRACE_S, connect=CONNECT_S, read=wait_s + GRACE_S)
        asked = self._client.stream(method, self.url + path, headers=headers, content=body, timeout=timeout)
        try:
            async with asyncio.timeout(wait_s + WHOLE_ANSWER_S), asked as answer:
                content = await _bounded(answer, limit)
        except _TROUBLE as error:
            raise self._unreachable(f"{type(error).__name__}: {error}") from error
        return self._judged(answer.status_code, answer.headers, content)

    def _judged(self, status: int, headers: Mapping[str, str], content: bytes) -> bytes:
        if 200 <= status < 300:
            return content
        text = f"{self.url} answered {status}{_problem(content)}"
        if status == 429 or (status == 503 and "retry-after" in headers):
            raise Overloaded(text, _retry_after(headers.get("retry-after", "")))
        if 400 <= status < 500:
            raise TurnedAway(status, text)
        raise self._unreachable(text)

    def _unreachable(self, text: str) -> Unreachable:
        failed = self.url
        self._at += 1
        return Unreachable(text if failed in text else f"{failed}: {text}")


async def _bounded(answer: httpx.Response, limit: int) -> bytes:
    content = bytearray()
    async for block in answer.aiter_raw():
        content += block
        if len(content) > limit:
            raise ValueError(f"an answer of more than {limit} octets")
    return bytes(content)


def _problem(content: bytes) -> str:
    """What an RFC 9457 problem says, for people."""
    try:
        problem = json.loads(content)
    except ValueError:
        return ""
    told = problem.get("detail") or problem.get("title") if isinstance(problem, dict) else None
    return f": {str(told)[:500]}" if told else ""


def _retry_after(text: str) -> float:
    """Seconds of a Retry-After; a date, or nonsense, is the protocol's default."""
    return min(float(text), 3600.0) if text.isascii() and text.isdigit() else 30.0


def existing_file(text: str) -> str:
    """The absolute path of a file that is there. Raises UsageRefused."""
    if text and not Path(text).is_file():
        raise UsageRefused(f"{text} is not a file")
    return str(Path(text).absolute()) if text else ""
