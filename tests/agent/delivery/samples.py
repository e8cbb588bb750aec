"""Messages, exits and jobs for the tests of delivery."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from gatepost.policy.dialogue.decision import Envelope
from gatepost.policy.dialogue.routing import SmartHost as Hop
from gatepost.policy.model.send_connector import SendConnector
from gatepost_agent.delivery.config_folder import ConfigFolder, Secrets
from gatepost_agent.delivery.exits import Exit
from gatepost_agent.delivery.job import Attempt, Job
from gatepost_agent.delivery.opening import open_session
from gatepost_agent.delivery.session import Session, Timeouts
from gatepost_agent.delivery.targets import Target
from gatepost_agent.spool.messages import QueuedMessage, RecipientState, Result

BODY = b"Subject: scan\r\nFrom: scanner@contoso.com\r\n\r\nhello\r\n.leading dot\r\n"
PATIENT = Timeouts(connect=10, greeting=10, command=10, block=10, final=10)
HASTY = Timeouts(connect=2, greeting=0.05, command=0.05, block=0.05, final=0.05)  # for hosts that hang
NO_SECRETS = ConfigFolder(Path("/nonexistent"))


def message(
    number: int = 1,
    *recipients: str,
    mail_from: str = "scanner@contoso.com",
    size: int = len(BODY),
    eight_bit: bool = False,
    smtp_utf8: bool = False,
    bounce_to: str | None = None,
) -> QueuedMessage:
    to = recipients or ("kate@fabrikam.com",)
    return QueuedMessage(
        id=number,
        message_id=f"<{number}@contoso.com>",
        envelope=Envelope(
            connector="Relay",
            principal="anonymous",
            client="192.0.2.7",
            helo="printer",
            mail_from=mail_from,
            recipients=to,
            eight_bit=eight_bit,
            smtp_utf8=smtp_utf8,
            bounce_to=bounce_to,
        ),
        recipients=tuple(RecipientState(address) for address in to),
        size=size,
        received_at=1_000_000.0,
        next_attempt=1_000_000.0,
        expires_at=1_172_800.0,
    )


def blocks(*parts: bytes) -> Callable[[], AsyncGenerator[bytes, None]]:
    async def read() -> AsyncGenerator[bytes, None]:
        for part in parts:
            yield part

    return read


def job(of: QueuedMessage | None = None, *parts: bytes) -> Job:
    of = of or message()
    return Job(of, of.pending, blocks(*(parts or (BODY,))), asyncio.get_running_loop().create_future())


def send_connector(**fields: object) -> SendConnector:
    given: dict[str, object] = {"name": "out", "address_spaces": ["*"], "smart_hosts": ["127.0.0.1:25"]}
    if fields.get("dns_routing_enabled"):
        del given["smart_hosts"]
    return SendConnector.model_validate(given | fields)


def exit_for(secrets: Secrets = NO_SECRETS, *, timeouts: Timeouts = PATIENT, **fields: object) -> Exit:
    made = Exit(send_connector(**fields), fqdn="mx1.contoso.com", secrets=secrets)
    made.timeouts = timeouts
    return made


def hop(port: int, host: str = "127.0.0.1") -> Hop:
    return Hop("out", host, port)


async def session(exit_: Exit, port: int, name: str = "127.0.0.1") -> Session:
    return await open_session(exit_, f"{name}:{port}", [Target(name, "127.0.0.1", port)])


def nobody() -> None:
    """No message follows."""


def results(attempts: list[Attempt]) -> dict[str, Result]:
    return {attempt.recipient: attempt.result for attempt in attempts}
