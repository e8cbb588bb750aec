"""Around every request, as plain ASGI: request id, last resort, rates, body size.

No `BaseHTTPMiddleware`: it hides the client's disconnect, and parked check-ins would outlive their agents.
"""

import hashlib
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost_api.errors import TooLarge, TooManyRequests
from gatepost_api.problems import problem_response, trouble

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,80}")
MAX_BUCKETS = 20_000
PARKING_PATH = "/agent/v1/checkin"  # its time is how long there was nothing to say
log = structlog.get_logger("gatepost_api")


class RequestId:
    """Takes X-Request-Id or makes one, gives it back, logs the request, and answers our own bugs with a 500."""

    def __init__(self, app: ASGIApp, observe: Callable[[str, int, float | None], None]) -> None:
        self.app = app
        self.observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(8)}"
        scope["request_id"] = request_id
        status = 0
        began = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            log.exception("failed", request_id=request_id, method=scope["method"], path=scope["path"])
            if status == 0:
                await problem_response(trouble(request_id), request_id)(scope, receive, send_with_id)
        finally:
            self._done(scope, request_id, status, time.perf_counter() - began)

    def _done(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        parks = scope["path"] == PARKING_PATH
        self.observe(scope["method"], status, None if parks else seconds)
        log.info(
            "request",
            request_id=request_id,
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(seconds * 1000, 1),
        )


class RateLimit:
    """A token bucket per bearer token (per address without one); 429 with Retry-After when it is empty."""

    def __init__(self, app: ASGIApp, rate_per_s: float, burst: int) -> None:
        self.app = app
        self.rate = rate_per_s
        self.burst = burst
        self.buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (wait_s := self._take(self._who(scope), time.monotonic())) > 0:
            error = TooManyRequests(
                f"This token may make {self.rate:g} requests a second, {self.burst} at once. Wait {wait_s} s.",
                headers={"Retry-After": str(wait_s)},
            )
            await problem_response(error, scope.get("request_id", ""))(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _who(self, scope: Scope) -> str:
        given = Headers(scope=scope).get("authorization")
        if given:
            return hashlib.sha256(given.encode()).hexdigest()
        return str((scope.get("client") or ("local", 0))[0])

    def _take(self, who: str, now: float) -> int:
        """Whole seconds to wait; 0 lets the request through. Buckets are bounded: the oldest goes first."""
        level, since = self.buckets.pop(who, (float(self.burst), now))
        level = min(self.burst, level + (now - since) * self.rate)
        allowed = level >= 1
        self.buckets[who] = (level - 1 if allowed else level, now)
        if len(self.buckets) > MAX_BUCKETS:
            self.buckets.popitem(last=False)
        return 0 if allowed else max(1, round((1 - level) / self.rate))


class BodySize:
    """Bounds a request's body, whether its length is announced or not; the agent plane has its own bound."""

    def __init__(self, app: ASGIApp, max_bytes: int, max_agent_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.max_agent_bytes = max_agent_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        bound = self.max_agent_bytes if scope["path"].startswith("/agent/") else self.max_bytes
        announced = Headers(scope=scope).get("content-length", "0")
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > bound:
                raise HTTPException(413)  # passes through the framework's parsing; see problems.py
            return message

        if not announced.isdigit() or int(announced) > bound:
            error = TooLarge(f"A request here may have {bound} bytes.")
            await problem_response(error, scope.get("request_id", ""))(scope, receive, send)
            return
        await self.app(scope, bounded, send)
