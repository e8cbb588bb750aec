"""What scanning a message costs the event loop: microseconds per message, MB/s of body, usual and hostile."""

from collections.abc import Callable
from time import perf_counter

from gatepost.policy.dialogue.content import Content
from gatepost.policy.dialogue.headers import ContentRules

RULES = ContentRules(
    max_size=36 * 2**20,
    max_header_size=256 * 2**10,
    prepend=b"Received: from printer-3 ([192.168.5.10])\r\n\tby mx1.contoso.com; now\r\n",
    add_message_id="<1@mx1.contoso.com>",
    add_date="Thu, 1 Jan 1970 00:00:00 +0000",
    local_names=frozenset({"mx1.contoso.com"}),
)
HEADER = (
    b"Received: from app.contoso.com ([10.20.0.7])\r\n\tby mail.contoso.com with ESMTP id 1; now\r\n"
    b"From: Scanner 3rd floor <scanner@contoso.com>\r\nTo: kate@fabrikam.com\r\nSubject: Scan\r\n"
    b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <1@app.contoso.com>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=us-ascii\r\nX-Mailer: scanner\r\n\r\n"
)
LINE = b"The quick brown fox jumps over the lazy dog and runs on to column 76 or so.\r\n"
BLOCKS = {
    "text": LINE * (65536 // len(LINE)),
    "base64": (b"A" * 76 + b"\r\n") * 840,
    "no line end": b"A" * 65536,
    "every line stuffed": b"..\r\n" * 16384,
    "bare LF": b"A" * 76 + b"\n" + LINE.replace(b"\r\n", b"\n") * 840,
    "bare CR only": b"\r" * 65536,
}


def best(work: Callable[[], object], repeats: int) -> float:
    """Seconds for one call: the best of several rounds, since the machine has other work."""

    def once() -> float:
        started = perf_counter()
        for _ in range(repeats):
            work()
        return (perf_counter() - started) / repeats

    return min(once() for _ in range(7))


def message(size: int) -> bytes:
    lines = (size - len(HEADER)) // len(LINE)
    return HEADER + LINE * lines + b".\r\n"


def take(octets: bytes) -> object:
    return Content(RULES).feed(octets)


def main() -> None:
    for size in (1024, 4096, 65536):
        octets = message(size)
        ours = best(lambda octets=octets: take(octets), 500)  # type: ignore[misc]
        print(f"message of {size:6} octets: {ours * 1e6:7.1f} us, {1 / ours:7.0f} messages/s")
    for name, block in BLOCKS.items():
        content = Content(RULES._replace(max_size=None))
        content.feed(HEADER + b"x")
        seconds = best(lambda content=content, block=block: content.feed(block), 30)  # type: ignore[misc]
        print(f"body, {name:18}: {len(block) / seconds / 1e6:7.0f} MB/s, {seconds * 1e3:5.2f} ms a block")


if __name__ == "__main__":
    main()
