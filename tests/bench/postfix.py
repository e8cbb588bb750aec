"""A private Postfix on loopback, and its load and sink programs: the peer of the relay bench.

Debian's package `postfix` brings all of it. Nothing of the host's own Postfix is touched: configuration, queue and
data are in a temporary folder. Its master must be started as root.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import wait_until

SOURCE, SINK = shutil.which("smtp-source"), shutil.which("smtp-sink")
_COMMAND = shutil.which("postfix")

_MAIN = """
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/mail.log
maillog_file_prefixes = {root}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = peer.contoso.com
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{sink}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
default_destination_concurrency_limit = 20
smtp_tls_security_level = none
message_size_limit = 40960000
mailbox_size_limit = 0
disable_dns_lookups = yes
alias_maps =
local_recipient_maps =
"""


class Missing(RuntimeError):
    """A program of Debian's postfix package is not on this machine."""


def require() -> None:
    if not (SOURCE and SINK and _COMMAND):
        raise Missing(
            "the relay bench needs Debian's package `postfix` (smtp-source, smtp-sink and the peer itself)"
        )
    if os.geteuid() != 0:
        raise Missing("the peer's master must be started as root")


def _master(port: int) -> str:
    rows = [f"127.0.0.1:{port} inet n - n - - smtpd"]
    rows += ["pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr"]
    rows += [
        "rewrite unix - - n - - trivial-rewrite",
        "smtp unix - - n - - smtp",
        "relay unix - - n - - smtp",
    ]
    rows += [f"{name} unix - - n - 0 bounce" for name in ("bounce", "defer", "trace")]
    rows += ["error unix - - n - - error", "retry unix - - n - - error", "showq unix n - n - - showq"]
    rows += ["proxymap unix - - n - - proxymap", "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache"]
    rows += ["postlog unix-dgram n - n - 1 postlogd"]
    return "\n".join(rows) + "\n"


@contextmanager
def peer(root: Path, port: int, sink: int) -> Iterator[Path]:
    """Postfix on 127.0.0.1:port, relaying everything to the sink; the folder holds its `queue/pid/master.pid`."""
    conf = root / "conf"
    for name in ("conf", "queue", "data"):
        (root / name).mkdir(parents=True)
    root.chmod(0o755)
    (conf / "main.cf").write_text(_MAIN.format(root=root, sink=sink))
    (conf / "master.cf").write_text(_master(port))
    shutil.chown(root / "data", "postfix")
    run = [str(_COMMAND), "-c", str(conf)]
    subprocess.run([*run, "start"], check=True, capture_output=True, timeout=60)
    try:
        yield root
    finally:
        subprocess.run([*run, "stop"], check=False, capture_output=True, timeout=60)


def master_pid(root: Path) -> int:
    return int((root / "queue" / "pid" / "master.pid").read_text())


class Sink:
    """smtp-sink, counting what it took."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log
        self._output = log.open("wb")
        command = [str(SINK), "-c", "-u", "postfix", f"127.0.0.1:{port}", "1000"]
        self._process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.STDOUT)

    def count(self) -> int:
        found = re.findall(rb"(\d+)\s*\r", self._log.read_bytes()[-200:] + b"\r")
        return int(found[-1]) if found else 0

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._output.close()


def send(
    port: int, *, messages: int, sessions: int, octets: int, keep_open: bool, recipients: int = 1
) -> None:
    """smtp-source: `messages` of `octets` over `sessions` at a time; keep_open: many messages a connection."""
    command = [
        str(SOURCE),
        "-s",
        str(sessions),
        "-m",
        str(messages),
        "-l",
        str(octets),
        "-r",
        str(recipients),
    ]
    command += ["-d"] if keep_open else []
    command += ["-f", "bench@contoso.com", "-t", "to@fabrikam.com", f"127.0.0.1:{port}"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


def timed(sink: Sink, port: int, **load: int | bool) -> float:
    """Messages a second from the first connection to the last arrival at the sink."""
    before, messages = sink.count(), int(load["messages"])
    started = time.perf_counter()
    send(port, **load)  # type: ignore[arg-type]
    wait_until(lambda: sink.count() - before >= messages, timeout=300, what="every message at the sink")
    return messages / (time.perf_counter() - started)
