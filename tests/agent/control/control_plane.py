"""A control plane with behaviour: enrols, offers, parks, and fails in every way that agents have to survive."""

import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gatepost.policy.model.bundle import Bundle, canonical_bytes, digest
from gatepost.signing import Signed, Signer, new_seed
from gatepost.tokens import enrollment_token
from gatepost.wire import (
    CheckinReply,
    CheckinRequest,
    DeniedList,
    DeniedRange,
    Directives,
    EnrollReply,
    EnrollRequest,
    Keyring,
    Offer,
    TokenReply,
)

SERVER_ID = "srv_mx1"
SECRET = "s" * 43
FAILED = ("rejected", "rolled_back")

Trouble = tuple[int, dict[str, str], bytes]


class ControlPlane:
    """Serves on loopback, from a thread of its own. `trouble` is answered instead of everything, while it is set."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.signer = Signer(new_seed())
        self.ring_signer: Signer | None = None
        self.ring: tuple[str, ...] = (self.signer.public.text,)
        self.token = enrollment_token("abc234", SECRET, self.signer.public)
        self.token_uses = 0
        self.agent_token = "gp_agt_first"
        self.next_token = ""
        self.generation = 0
        self.offer: Signed | None = None
        self.bundle: Signed | None = None
        self.digest = ""
        self.is_inline = True
        self.denied: Signed | None = None
        self.denied_version = 0
        self.directives = Directives()
        self.trouble: Trouble | None = None
        self.server_time: Callable[[], float] = time.time
        self.enrolled: EnrollRequest | None = None
        self.reports: list[CheckinRequest] = []
        self.asked: list[str] = []
        self.goodbyes = 0
        self._news = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._scheme = "https" if tls else "http"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self._stopping = False

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def last(self) -> CheckinRequest | None:
        return self.reports[-1] if self.reports else None

    def close(self) -> None:
        self._stopping = True
        with self._news:
            self._news.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # --- what a test does ----------------------------------------------------------------------------------

    def publish(self, bundle: Bundle, **offer: Any) -> int:
        """Offer a bundle as a new generation; returns its number."""
        return self.publish_bytes(canonical_bytes(bundle), **offer)

    def publish_bytes(self, content: bytes, *, signer: Signer | None = None, **given: Any) -> int:
        signer = signer or self.signer
        self.generation += 1
        values: dict[str, Any] = {
            "server_id": SERVER_ID,
            "server": "mx1",
            "generation": self.generation,
            "revision": self.generation,
            "digest": digest(content),
            "published_at": time.time(),
            "probation_s": 0,
        }
        offer = Offer(**(values | given))
        self.digest = offer.digest
        self.bundle = signer.sign("bundle", content)
        self.offer = signer.sign("offer", offer.model_dump_json().encode())
        self.wake()
        return self.generation

    def deny(self, *ranges: str) -> None:
        self.denied_version += 1
        entries = tuple(DeniedRange(range=text) for text in ranges)
        content = DeniedList(server_id=SERVER_ID, version=self.denied_version, entries=entries)
        self.denied = self.signer.sign("directive", content.model_dump_json().encode())
        self.wake()

    def wake(self) -> None:
        with self._news:
            self._news.notify_all()

    # --- what an agent asks --------------------------------------------------------------------------------

    def enroll(self, body: bytes) -> bytes:
        request = EnrollRequest.model_validate_json(body)
        if self.enrolled is None or self.enrolled.public_key != request.public_key:
            self.token_uses += 1
        self.enrolled = request
        reply = EnrollReply(
            server_id=SERVER_ID,
            name=request.name,
            agent_token=self.agent_token,
            keyring=Keyring(keys=self.ring),
        )
        return reply.model_dump_json().encode()

    def checkin(self, body: bytes, wait_s: float) -> bytes:
        report = CheckinRequest.model_validate_json(body)
        self.reports.append(report)
        deadline = time.monotonic() + wait_s
        with self._news:
            while not self._has_news(report) and time.monotonic() < deadline and not self._stopping:
                self._news.wait(deadline - time.monotonic())
        offered = self._is_offered(report)
        reply = CheckinReply(
            server_time=self.server_time(),
            acknowledged_seq=report.seq,
            offer=self.offer if offered else None,
            bundle=self.bundle if offered and self.is_inline else None,
            denied=self.denied if report.denied_version < self.denied_version else None,
            directives=self.directives,
        )
        self.directives = Directives()
        return reply.model_dump_json().encode()

    def _has_news(self, report: CheckinRequest) -> bool:
        is_denied = report.denied_version < self.denied_version
        return (
            self._is_offered(report)
            or is_denied
            or self.directives != Directives()
            or self.trouble is not None
        )

    def _is_offered(self, report: CheckinRequest) -> bool:
        if self.offer is None:
            return False
        attempt, running = report.last_attempt, report.running
        if attempt is None or self.generation > attempt.generation:
            return running is None or running.generation != self.generation
        if running is not None and running.digest == self.digest:
            return False
        return attempt.outcome not in FAILED or attempt.generation != self.generation

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> Trouble:
        self.asked.append(f"{method} {path}")
        if self.trouble is not None:
            return self.trouble
        if path == "/agent/v1/enroll":
            return 201, {}, self.enroll(body)
        if not self._is_known(headers.get("authorization", "")):
            return 401, {}, json.dumps({"title": "Not authenticated"}).encode()
        if path == "/agent/v1/checkin":
            wait = headers.get("prefer", "wait=0").partition("=")[2]
            return 200, {}, self.checkin(body, float(wait))
        return self._answer_other(path)

    def _answer_other(self, path: str) -> Trouble:
        if path == "/agent/v1/goodbye":
            self.goodbyes += 1
            return 204, {}, b""
        if path == "/agent/v1/keyring":
            ring = Keyring(keys=self.ring).model_dump_json().encode()
            return 200, {}, (self.ring_signer or self.signer).sign("keyring", ring).model_dump_json().encode()
        if path == "/agent/v1/token:rotate":
            self.next_token = "gp_agt_second"
            return 200, {}, TokenReply(agent_token=self.next_token).model_dump_json().encode()
        if path.startswith("/agent/v1/bundles/") and self.bundle is not None and path.endswith(self.digest):
            return 200, {}, self.bundle.model_dump_json().encode()
        return 404, {}, b"{}"

    def _is_known(self, authorization: str) -> bool:
        token = authorization.removeprefix("Bearer ")
        if self.next_token and token == self.next_token:
            self.agent_token, self.next_token = token, ""
        return token == self.agent_token


def _handler(plane: ControlPlane) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, content = plane.answer(self.command, self.path, self.headers, body)
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True  # the agent had something newer to say

        do_GET = do_POST = _serve  # noqa: N815 - http.server's names

        def log_message(self, *args: object) -> None:
            del args

    return Handler
