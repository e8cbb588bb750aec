"""Gathering what a plan needs, and acknowledging what it found."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.analysis.findings import Acknowledgement, Finding
from gatepost_api import documents
from gatepost_api.audit.service import Target, record
from gatepost_api.auth import Caller, Role, require
from gatepost_api.db import Database
from gatepost_api.draft import service as drafts
from gatepost_api.errors import ApiError, EmbeddedTestsFailed, FieldError, Invalid, RefusedByPolicy
from gatepost_api.plans import repository
from gatepost_api.plans.judging import Asked, Judged, judge, plan_text
from gatepost_api.plans.schemas import AcknowledgementIn, AcknowledgementOut
from gatepost_api.servers import assigning
from gatepost_api.servers import repository as server_rows
from gatepost_api.servers.repository import ServerLine
from gatepost_api.tables import Acknowledgement as AcknowledgementRow
from gatepost_api.work import Workshop

FOR = timedelta(days=90)
SHOWN_FINDINGS = 100
SERVER_CHARS = 20  # a server is as much work as so many characters of document


class Prepared(NamedTuple):
    """A publish worked out, and the state of things that it was worked out for."""

    version: int
    asked: Asked
    servers: Sequence[ServerLine]
    judged: Judged


class Told(NamedTuple):
    """A plan as JSON, and the draft's version that it was made for."""

    version: int
    text: str


async def prepare(
    database: Database,
    workshop: Workshop,
    content: dict[str, Any] | None,
    given: Sequence[Acknowledgement] = (),
) -> Prepared:
    """Work a publish of `content` (None: the draft) out, without holding up writers. Raises Invalid."""
    version, asked, servers = await _gather(database, content, given)
    judged = await workshop.run(_size(asked), judge, asked)
    return Prepared(version, asked, servers, judged)


async def tell(database: Database, workshop: Workshop, content: dict[str, Any] | None) -> Told:
    """Plan `content` (None: the draft) for somebody to read. Raises Invalid."""
    version, asked, _ = await _gather(database, content, ())
    return Told(version, await workshop.run(_size(asked), plan_text, asked))


async def _gather(
    database: Database, content: dict[str, Any] | None, given: Sequence[Acknowledgement]
) -> tuple[int, Asked, Sequence[ServerLine]]:
    async with database.reading() as session:
        draft = await drafts.read(session)
        servers = await server_rows.active_lines(session)
        published = await repository.published_side(session, servers)
        known = await repository.acknowledgements(session)
    asked = Asked(
        content=draft.content if content is None else content,
        servers=[assigning.facts_of(server) for server in servers],
        published=published,
        acknowledgements=[*known, *given],
        now=time.time(),
    )
    return draft.version, asked, servers


def _size(asked: Asked) -> int:
    characters = documents.weight(asked.content) + len(asked.published.text)
    return characters + SERVER_CHARS * len(asked.servers)


def taken_on(caller: Caller, wanted: Sequence[AcknowledgementIn]) -> list[Acknowledgement]:
    """What the caller acknowledges. NotAllowed for anybody but an admin."""
    if wanted:
        require(caller, Role.admin, "Acknowledging a finding is for admins.")
    return [Acknowledgement(one.id, caller.name, one.reason, _until(one).timestamp()) for one in wanted]


def _until(wanted: AcknowledgementIn) -> datetime:
    return wanted.until or datetime.now(UTC) + FOR


async def acknowledge(
    session: AsyncSession, caller: Caller, wanted: Sequence[AcknowledgementIn], findings: Sequence[Finding]
) -> None:
    """Keep acknowledgements of findings that were found. Raises Invalid for others."""
    known = {finding.id: finding for finding in findings}
    for at, one in enumerate(wanted):
        finding = known.get(one.id)
        if finding is None or not finding.acknowledgeable:
            raise _not_acknowledged(at, one.id, finding)
        row = await session.get(AcknowledgementRow, one.id)
        if row is None:
            row = AcknowledgementRow(finding_id=one.id, created_at=datetime.now(UTC))
            session.add(row)
        row.who, row.token_id, row.why, row.until = caller.name, caller.token_id, one.reason, _until(one)
        after = AcknowledgementOut(id=one.id, who=row.who, reason=row.why, until=row.until)
        shown = after.model_dump(mode="json") | {"finding": finding.model_dump(mode="json")}
        record(
            session,
            caller,
            "acknowledge",
            Target("finding", one.id, finding.rule),
            after=shown,
            reason=one.reason,
        )


def _not_acknowledged(at: int, finding_id: str, finding: Finding | None) -> Invalid:
    detail = "this finding cannot be acknowledged" if finding else "there is no such finding in this draft"
    remedy = finding.remedy if finding else "Plan again: what was acknowledged is exactly what was seen."
    fault = FieldError(
        pointer=f"/acknowledgements/{at}/id",
        type="not-acknowledged",
        detail=detail,
        value=finding_id,
        remedy=remedy,
    )
    return Invalid(f"{detail.capitalize()}. {remedy}", errors=[fault])


def refuse_held(holding: Sequence[Finding]) -> None:
    """RefusedByPolicy with the findings that hold the publish up; EmbeddedTestsFailed when it is tests alone."""
    if not holding:
        return
    told = "; ".join(finding.detail for finding in holding[:3])
    more = f"; and {len(holding) - 3} more" if len(holding) > 3 else ""
    only_tests = all(finding.rule == "test-failed" for finding in holding)
    kind: type[ApiError] = EmbeddedTestsFailed if only_tests else RefusedByPolicy
    shown = [finding.model_dump(mode="json") for finding in holding[:SHOWN_FINDINGS]]
    raise kind(f"{told}{more}.", findings=shown)
