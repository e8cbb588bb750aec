"""Sessions stay below the file limit: there is always a descriptor left for the mail itself."""

import re
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gatepost_agent.smtp.limits import caps, open_file_limit

SERVER = """
import asyncio, resource, sys
from pathlib import Path
from gatepost_agent.spool.spool import Spool
from tests.support.smtp import smtp_shell
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

async def main():
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    spool = await Spool.open(folder / "spool")
    unlimited = {"max_inbound_connection_per_source": "unlimited", "max_inbound_connection_percentage_per_source": 100}
    async with smtp_shell(folder, port, spool=spool, **unlimited):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    print(spool.counts().totals["Relay", "accepted"], flush=True)
    await spool.close()

asyncio.run(main())
"""


def test_caps_leave_a_reserve() -> None:
    assert caps(256).sessions == 192
    assert caps(256).accepted <= 256 - 40
    assert caps(1024).sessions == 896
    assert caps(64).sessions == 32
    assert [caps(files).deliveries for files in (64, 256, 1024, 65536)] == [8, 16, 32, 2048]
    for files in (256, 1024):  # what is left for everything else
        assert files - caps(files).accepted - caps(files).deliveries >= 32


def test_the_file_limit_is_raised_to_what_the_host_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, before[1]))
        assert open_file_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 300
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def served(folder: Path, port: int) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", SERVER, str(folder), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=30)
            finally:
                process.kill()


def test_at_256_descriptors_a_crowd_of_idle_clients_keeps_no_mail_out(
    tmp_path: Path, free_port: Callable[[str], int]
) -> None:
    port = free_port("0.0.0.0")
    with served(tmp_path, port) as process, ExitStack() as crowd:
        sender = crowd.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        clients = [
            crowd.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(300)
        ]
        greetings = [client.recv(400)[:3] for client in clients[:190]]
        assert greetings == [b"220"] * 190
        body = b"x" * 300_000  # takes a file of its own
        sender.sendall(
            b"EHLO x\r\nMAIL FROM:<a@contoso.com>\r\nRCPT TO:<b@fabrikam.com>\r\nDATA\r\n"
            + body
            + b"\r\n.\r\nQUIT\r\n"
        )
        said = b""
        while block := sender.recv(4096):
            said += block
        assert re.search(rb"\r\n250 2\.6\.0 .*\r\n221 ", said)
        crowd.close()
        assert process.stdin is not None
        process.stdin.close()
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
