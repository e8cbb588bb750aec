"""Explaining: the policy's own session answers, so what is explained is what an agent does."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.analysis.explain import Explanation, Question, explain
from gatepost.policy.dialogue.compiled import CannotCompile, compile_policy
from gatepost.policy.dialogue.denied import Denial, DeniedSet
from gatepost.policy.model.bundle import RelayUser, Server, render
from gatepost.policy.model.errors import BadValue
from gatepost.wire import DeniedRange
from gatepost_api.documents import document_of
from gatepost_api.draft import service as drafts
from gatepost_api.errors import FieldError, Invalid, NotFound
from gatepost_api.explain.schemas import ExplainIn
from gatepost_api.relay_users.repository import bundled
from gatepost_api.revisions import repository as revisions
from gatepost_api.revisions import service as published
from gatepost_api.servers.repository import named_server
from gatepost_api.tables import Server as ServerRow


async def find_server(session: AsyncSession, name: str) -> ServerRow:
    """A server by its id or name."""
    found = await session.get(ServerRow, name) or await named_server(session, name)
    if found is None:
        raise NotFound(f"There is no server {name!r}.")
    return found


async def content_for(session: AsyncSession, of: str) -> dict[str, Any]:
    """The document that the question is about."""
    if of == "draft":
        return (await drafts.read(session)).content
    latest = await revisions.latest(session)
    if latest is None:
        raise NotFound("Nothing was published yet. Ask about the draft with `of: draft`.")
    return published.content_of(latest)


def server_of(row: ServerRow, of: str) -> Server:
    """The server's facts: as published, or as they will be."""
    if of == "draft":
        return Server(row.name, row.labels, row.addresses, row.fqdn)
    return Server(row.name, row.published_labels, row.published_addresses, row.published_fqdn)


async def relay_users(session: AsyncSession) -> tuple[RelayUser, ...]:
    """Who may log on: at once for what is published and for the draft."""
    return await bundled(session)


def answer(
    content: dict[str, Any],
    server: Server,
    users: Sequence[RelayUser],
    asked: ExplainIn,
    denied: Sequence[DeniedRange],
) -> Explanation:
    """What happens to the client; runs in the workshop. Raises Invalid for what no client could be."""
    now = time.time()
    question = Question(
        remote=asked.remote,
        server=server.name,
        local=asked.local,
        helo=asked.helo,
        mail_from=asked.mail_from,
        rcpt_to=asked.rcpt_to,
        lines=asked.lines,
        tls=asked.tls,
        user=asked.user,
        at=asked.at.timestamp() if asked.at else None,
        when=asked.when,
    )
    blocked = DeniedSet(Denial(row.range, row.effect, row.source, row.reason) for row in denied)
    bundle = render(document_of(content), server, users)
    try:
        policy = compile_policy(bundle, addresses=server.addresses, fqdn=server.fqdn or server.name, now=now)
        return explain(policy, question, now=now, denied=blocked)
    except CannotCompile as error:
        raise Invalid(f"The document cannot run on {server.name}: {'; '.join(error.problems)}") from error
    except BadValue as error:
        fault = FieldError(
            pointer="", type="bad-value", detail=error.problem, value=error.value, remedy=error.remedy
        )
        raise Invalid(f"{error.problem}. {error.remedy}", errors=[fault]) from error
