"""A smart host that keeps what it gets: `python -m deploy.demo.smart_host FILE PORT`, port 0 for a free one.

The file gets one JSON object a line. It accepts everything from anybody, which is why it listens on loopback only.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


class Keeper:
    """Writes each message before it answers 250."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del server
        content = envelope.original_content or b""
        message: dict[str, Any] = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "peer": session.peer[0] if session.peer else "",
            "content": content.decode("utf-8", "replace"),
        }
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(message) + "\n")
        return "250 2.0.0 kept"


async def serve(file: Path, port: int) -> None:
    keeper = Keeper(file)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(keeper, hostname="smart-host.example", loop=loop), "127.0.0.1", port
    )
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
