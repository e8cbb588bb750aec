"""Explaining: the policy's own session answers, so what is explained is what an agent does."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.analysis.explain import Explanation, Question, explain
from gatepost.policy.dialogue.compiled import CannotCompile, compile_policy
from gatepost.policy.dialogue.denied import Denial, DeniedSet
from gatepost.policy.model.bundle import RelayUser, Server, canonical_bytes, digest, render
from gatepost.policy.model.errors import BadValue
from gatepost.wire import DeniedRange
from gatepost_api.documents import document_of
from gatepost_api.draft import service as drafts
from gatepost_api.errors import Invalid, NotFound
from gatepost_api.explain.caveats import caveats
from gatepost_api.explain.schemas import ExplainIn, ExplainOut
from gatepost_api.problems import of_value
from gatepost_api.relay_users.repository import bundled
from gatepost_api.revisions import repository as revisions
from gatepost_api.revisions import service as published
from gatepost_api.servers import service as servers
from gatepost_api.servers.repository import ServerRows, named_server
from gatepost_api.tables import Server as ServerRow


class Subject(NamedTuple):
    """The document that a question is about; `number` is the published revision's, None for the draft."""

    content: dict[str, Any]
    number: int | None


class Answered(NamedTuple):
    """What happens to a client, and the digest of the bundle that says so."""

    explanation: Explanation
    digest: str


async def find_server(session: AsyncSession, name: str) -> ServerRows:
    """A server by its id or name."""
    named = await named_server(session, name)
    return await servers.get(session, named.id if named else name)


async def subject_of(session: AsyncSession, of: str) -> Subject:
    """The document that the question is about."""
    if of == "draft":
        return Subject((await drafts.read(session)).content, None)
    latest = await revisions.latest(session)
    if latest is None:
        raise NotFound("Nothing was published yet. Ask about the draft with `of: draft`.")
    return Subject(published.content_of(latest), latest.number)


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
) -> Answered:
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
        explanation = explain(policy, question, now=now, denied=blocked)
    except CannotCompile as error:
        raise Invalid(f"The document cannot run on {server.name}: {'; '.join(error.problems)}") from error
    except BadValue as error:
        fault = of_value(f"/{error.field}" if error.field else "", error)
        raise Invalid(f"{error.problem}. {error.remedy}", errors=[fault]) from error
    return Answered(explanation, digest(canonical_bytes(bundle)))


def shown(found: Answered, rows: ServerRows, number: int | None, offline_after_s: int) -> ExplainOut:
    """The answer, and of a published revision what sets the server apart from it. number: the revision's."""
    told = dict(found.explanation)
    if number is not None:
        told["caveats"] = tuple(caveats(servers.shown(rows, offline_after_s), number, found.digest))
    return ExplainOut(**told)
