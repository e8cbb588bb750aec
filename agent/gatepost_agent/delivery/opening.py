"""From an address to a session that is ready for mail: connect, greeting, EHLO, STARTTLS, AUTH (RFC 5321 3.1, 3207)."""

import asyncio
import os
import ssl
from typing import cast

from gatepost_agent.delivery.channel import Channel
from gatepost_agent.delivery.errors import ConnectionLost, HopFailed, SecretRefused, TlsFailed
from gatepost_agent.delivery.exits import Exit
from gatepost_agent.delivery.extensions import Extensions, parse_extensions
from gatepost_agent.delivery.job import Peer
from gatepost_agent.delivery.login import log_in
from gatepost_agent.delivery.replies import ServerReply
from gatepost_agent.delivery.session import Session
from gatepost_agent.delivery.targets import Target
from gatepost_agent.delivery.tls import check_pin, describe


async def open_session(exit_: Exit, hop: str, targets: list[Target]) -> Session:
    """A session with the first target that gives one. Raises HopFailed with the last target's reason."""
    failed = HopFailed(f"{hop} has no address of the source address's kind", status="4.4.4")
    for target in targets:
        if exit_.takes(target.address):
            try:
                return await _open_one(exit_, hop, target)
            except HopFailed as error:
                failed = error
    raise failed


async def _open_one(exit_: Exit, hop: str, target: Target) -> Session:
    policy = exit_.connector.tls_policy
    try:
        return await _Opening(exit_, hop, target).open(use_tls=policy != "none")
    except TlsFailed:
        if policy != "opportunistic":
            raise
        return await _Opening(exit_, hop, target).open(use_tls=False)


class _Opening:
    """One attempt at one target."""

    def __init__(self, exit_: Exit, hop: str, target: Target) -> None:
        self._exit = exit_
        self._hop = hop
        self._target = target
        self._tls = ""
        self._verified = False

    async def open(self, *, use_tls: bool) -> Session:
        self._channel = await self._connect()
        try:
            return await self._greet(use_tls=use_tls)
        except SecretRefused as refused:
            self._channel.abort()
            raise HopFailed(str(refused), status="4.3.5") from refused
        except BaseException as error:
            self._channel.abort()
            if isinstance(error, HopFailed):
                error.args = (f"{self._target}: {error}",)
            raise

    async def _connect(self) -> Channel:
        loop = asyncio.get_running_loop()
        target, local = self._target, self._exit.local_address
        try:
            async with asyncio.timeout(self._exit.timeouts.connect):
                _, channel = await loop.create_connection(
                    Channel, target.address, target.port, local_addr=local
                )
        except TimeoutError as error:
            raise HopFailed(f"{target}: timed out connecting") from error
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise HopFailed(f"{target}: {why}") from error
        return channel

    async def _greet(self, *, use_tls: bool) -> Session:
        greeting = await self._channel.reply(self._exit.timeouts.greeting, "for the greeting")
        _expect(greeting, 220, "the greeting")
        extensions = await self._hello()
        if use_tls:
            extensions = await self._start_tls(extensions)
        await self._log_in(extensions)
        peer = Peer(hop=self._hop, host=self._target.name, address=str(self._target), tls=self._tls)
        return Session(self._channel, extensions, peer, self._exit.timeouts)

    async def _hello(self) -> Extensions:
        reply = await self._ask(b"EHLO " + self._exit.helo)
        if 500 <= reply.code < 600:
            _expect(await self._ask(b"HELO " + self._exit.helo), 250, "HELO")
            return Extensions()
        _expect(reply, 250, "EHLO")
        return parse_extensions(reply)

    async def _start_tls(self, extensions: Extensions) -> Extensions:
        opportunistic = self._exit.connector.tls_policy == "opportunistic"
        if not extensions.starttls:
            if opportunistic:
                return extensions
            raise HopFailed("STARTTLS is required, the next hop does not offer it", status="4.7.4")
        tls = await self._exit.tls()
        try:
            reply = await self._ask(b"STARTTLS")
        except ConnectionLost as lost:
            raise TlsFailed(f"STARTTLS failed: {lost}", status="4.7.4") from lost
        if reply.code != 220:
            raise TlsFailed(f"STARTTLS refused: {reply.text}", status="4.7.4")
        await self._channel.start_tls(tls.context, self._target.name, self._exit.timeouts.command)
        wrapped = cast(ssl.SSLObject, self._channel.transport.get_extra_info("ssl_object"))
        check_pin(wrapped, tls.pins)
        self._verified = self._exit.connector.tls_policy == "verified"
        self._tls = describe(wrapped, verified=self._verified)
        return await self._hello()

    async def _log_in(self, extensions: Extensions) -> None:
        name = self._exit.connector.authentication_credential
        if name is not None:
            await log_in(
                self._channel,
                extensions,
                self._exit.secrets.credentials(name, self._target.name),
                verified=self._verified,
                timeout_s=self._exit.timeouts.command,
            )

    async def _ask(self, command: bytes) -> ServerReply:
        self._channel.write(command + b"\r\n")
        return await self._channel.reply(
            self._exit.timeouts.command, f"for {command[:8].split()[0].decode()}"
        )


def _expect(reply: ServerReply, code: int, what: str) -> None:
    """A session that does not begin is no verdict on a message, whatever the code: another host may be better."""
    if reply.code != code:
        raise HopFailed(f"{what} was {reply.text}", status="4" + reply.status[1:], code=reply.code)
