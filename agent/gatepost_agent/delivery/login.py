"""AUTH towards a next hop: PLAIN and LOGIN, and only once TLS has proved who is there (RFC 4954, RFC 4616)."""

import base64

from gatepost_agent.delivery.channel import Channel
from gatepost_agent.delivery.config_folder import Credentials
from gatepost_agent.delivery.errors import HopFailed
from gatepost_agent.delivery.extensions import Extensions
from gatepost_agent.delivery.replies import ServerReply


async def log_in(
    channel: Channel, extensions: Extensions, credentials: Credentials, *, verified: bool, timeout_s: float
) -> None:
    """Prove our right to submit. Raises HopFailed: a refused password is an operator's error, not the message's."""
    if not verified:
        raise HopFailed("credentials go only where TLS is verified: set tls_policy verified", status="4.7.11")
    if "PLAIN" in extensions.auth:
        steps = [b"\0" + credentials.username.encode() + b"\0" + credentials.password.encode()]
        command = b"AUTH PLAIN"
    elif "LOGIN" in extensions.auth:
        steps = [credentials.username.encode(), credentials.password.encode()]
        command = b"AUTH LOGIN"
    else:
        raise HopFailed("the next hop offers neither AUTH PLAIN nor AUTH LOGIN", status="4.7.0")
    await _exchange(channel, command, steps, timeout_s)


async def _exchange(channel: Channel, command: bytes, steps: list[bytes], timeout_s: float) -> None:
    channel.write(command + b"\r\n")
    for step in steps:
        reply = await channel.reply(timeout_s, "for AUTH")
        if reply.code != 334:
            raise _refused(reply)
        channel.write(base64.b64encode(step) + b"\r\n")
    reply = await channel.reply(timeout_s, "for AUTH")
    if reply.code != 235:
        raise _refused(reply)


def _refused(reply: ServerReply) -> HopFailed:
    # The text of the reply stays out: it may repeat what we sent.
    return HopFailed(f"AUTH refused: {reply.code} {reply.status}", status="4.7.0", code=reply.code)
