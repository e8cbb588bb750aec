"""One process of the control plane: its lock, its TLS, its server, its end."""

import fcntl
import gc
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from gatepost_api.app import create_app
from gatepost_api.keys import load_or_create_signer
from gatepost_api.settings import Settings, StartError, check_exposure

GRACE_S = 35
SELDOM = 10_000  # collections of the middle generation between two of everything
log = structlog.get_logger("gatepost_api")


class Server(uvicorn.Server):
    """Answers parked check-ins before it waits for open requests: lifespan's end would come too late."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self.app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A stop that was asked for ends with exit code 0: the signal is not raised again afterwards."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.servers:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            scheme = "https" if self.config.is_ssl else "http"
            log.warning("listening", url=f"{scheme}://{host}:{port}")
            spare_the_old()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.app.state.parking.drain()
        await super().shutdown(sockets)


def spare_the_old() -> None:
    """Let the garbage collector look at young objects only, and at everything once in a long while.

    The program itself and parked check-ins live long and are no garbage: a thousand agents are 150,000 objects, and
    each look at all of them held every request up for 200 ms, several times a publish. What check-ins leave behind
    has no cycles; those of database statements are found while they are young.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], SELDOM)


@contextmanager
def locked(path: Path | None) -> Iterator[None]:
    """Holds the SQLite file for this process (None: PostgreSQL, no lock). Raises StartError if another has it."""
    if path is None:
        yield
        return
    with open(path.with_name(path.name + ".lock"), "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartError(
                f"Another `gatepost-api serve` uses {path}. Stop it first; several processes need PostgreSQL."
            ) from error
        yield


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises StartError when it cannot start."""
    check_exposure(settings)
    with locked(settings.sqlite_path):
        load_or_create_signer(settings.key_path)
        app = create_app(settings)
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
            loop="uvloop",
            http="httptools",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=settings.behind_tls_proxy,
            timeout_graceful_shutdown=GRACE_S,
        )
        _load(config)
        with _listening(settings.host, settings.port) as listening:
            Server(config, app).run(sockets=[listening])


def _load(config: uvicorn.Config) -> None:
    try:
        config.load()
    except OSError as error:  # what ssl raises is one
        raise StartError(
            f"--tls-cert {config.ssl_certfile} and --tls-key {config.ssl_keyfile} cannot be used: {error}. "
            "Give PEM files that belong together."
        ) from error


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        told = f"--host {host} --port {port} cannot be listened on: {error.strerror}."
        raise StartError(f"{told} Give another, or stop what has it.") from error
