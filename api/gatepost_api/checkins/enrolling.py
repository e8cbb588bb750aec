"""Enrolment: a one-time token becomes a server. Idempotent on (token, public key), so a lost reply costs no use."""

import time
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost.policy.model.errors import BadValue
from gatepost.signing import SignatureError, Signer, parse_public_key
from gatepost.tokens import BadToken, parse_enrollment_token
from gatepost.wire import EnrollReply, EnrollRequest, Keyring
from gatepost_api.audit.service import Target, record
from gatepost_api.auth import Caller, Role, issue, new_id, proves
from gatepost_api.errors import Banned, FieldError, Invalid, NameTaken, NotAuthenticated
from gatepost_api.fleet import Fleet, tick
from gatepost_api.plans.judging import holding_one
from gatepost_api.plans.repository import acknowledgements
from gatepost_api.relay_users import repository as relay_users
from gatepost_api.revisions import repository as revisions
from gatepost_api.revisions.rendering import render_published
from gatepost_api.servers import assigning
from gatepost_api.servers.repository import first_rows, named_server
from gatepost_api.servers.schemas import ServerName
from gatepost_api.tables import AgentToken, Assignment, EnrollmentToken, Server, ServerStatus
from gatepost_api.work import Workshop

NAME = TypeAdapter(ServerName)


class Enrolling:
    """What enrolment needs of the process."""

    def __init__(self, fleet: Fleet, signer: Signer, workshop: Workshop) -> None:
        self._fleet = fleet
        self._signer = signer
        self._workshop = workshop

    async def enroll(
        self, session: AsyncSession, request: EnrollRequest, remote: str, request_id: str
    ) -> EnrollReply:
        """The new server's identity. NotAuthenticated, Invalid, NameTaken or Banned, none of which burns a use."""
        token = await _valid_token(session, request.token)
        _check_key(request.public_key)
        await _refuse_banned(session, request.public_key)
        server = await _enrolled_before(session, token, request.public_key)
        if server is None:
            caller = Caller(
                token.id, f"enrollment:{request.hostname[:80]}", Role.viewer, remote, request_id, ""
            )
            server = await self._new_server(session, caller, token, request)
        secret = issue("agt")
        await session.execute(delete(AgentToken).where(AgentToken.server_id == server.id))
        session.add(
            AgentToken(id=secret.id, server_id=server.id, digest=secret.digest, created_at=datetime.now(UTC))
        )
        return EnrollReply(
            server_id=server.id,
            name=server.name,
            agent_token=secret.text,
            keyring=Keyring(keys=(self._signer.public.text,)),
        )

    async def _new_server(
        self, session: AsyncSession, caller: Caller, token: EnrollmentToken, request: EnrollRequest
    ) -> Server:
        if token.uses_left < 1:
            raise NotAuthenticated("The enrollment token was used. Ask for a new one.")
        name = _granted_name(token, request)
        _check_claims(token, request)
        if await named_server(session, name) is not None:
            raise NameTaken(f"A server named {name!r} exists. Retire it first, or enrol under another name.")
        token.uses_left -= 1
        v = await tick(session, self._fleet)
        now = datetime.now(UTC)
        server = Server(
            id=new_id("srv"),
            name=name,
            name_key=name.lower(),
            fqdn="",
            labels=token.labels,
            addresses=token.addresses,
            published_fqdn="",
            published_labels=token.labels,
            published_addresses=token.addresses,
            state="active",
            public_key=request.public_key,
            enrollment_token_id=token.id,
            created_at=now,
        )
        assignment, status, liveness = first_rows(server, now, v)
        session.add(server)
        await session.flush()
        session.add_all((assignment, status, liveness))
        await self._assign(session, server, assignment, v)
        after = {"name": name, "labels": server.labels, "addresses": server.addresses}
        record(session, caller, "enroll", Target("server", server.id, name), after=after)
        return server

    async def _assign(self, session: AsyncSession, server: Server, assignment: Assignment, v: int) -> None:
        """What is in force already is for the new server too, unless findings about it hold it up."""
        latest = await revisions.latest(session)
        if latest is None:
            return
        facts = [assigning.facts_of(server)]
        text = latest.document
        users = await relay_users.bundled(session)
        rendered = await self._workshop.run(len(text), render_published, text, facts, users)
        await revisions.keep_bundles(session, self._signer, rendered.bundles)
        digest = rendered.by_server[server.id]
        known = await acknowledgements(session)
        holding = await self._workshop.run(len(text), holding_one, text, facts[0], users, known, time.time())
        if holding:
            reason = "; ".join(finding.detail for finding in holding)[:1000]
            assigning.block(assignment, digest, latest.number, v, reason)
        else:
            assigning.assign(assignment, digest, latest.number, v)


async def _valid_token(session: AsyncSession, text: str) -> EnrollmentToken:
    """The live token that the text proves; which of its parts is wrong is nobody's business."""
    refusal = NotAuthenticated("The enrollment token is not valid, or it has expired. Ask for a new one.")
    try:
        parsed = parse_enrollment_token(text)
    except BadToken as error:
        raise refusal from error
    token = await session.get(EnrollmentToken, f"enr_{parsed.id}", with_for_update=True)
    if token is None or not proves(parsed.text, token.digest) or token.expires_at <= datetime.now(UTC):
        raise refusal
    return token


def _check_key(text: str) -> None:
    try:
        parse_public_key(text)
    except SignatureError as error:
        fault = FieldError(
            pointer="/public_key",
            type="bad-value",
            detail=str(error),
            value=text,
            remedy="Send the host's ed25519 public key as ed25519:<base64>.",
        )
        raise Invalid("The public key cannot be read.", errors=[fault]) from error


async def _refuse_banned(session: AsyncSession, public_key: str) -> None:
    query = select(Server.id).where(Server.public_key == public_key, Server.state == "banned")
    if (await session.scalars(query)).first() is not None:
        raise Banned("This host's key is banned.")


async def _enrolled_before(session: AsyncSession, token: EnrollmentToken, public_key: str) -> Server | None:
    """The server that this token and key made, as long as it has not checked in: then the reply was not lost."""
    query = (
        select(Server)
        .join(ServerStatus, ServerStatus.server_id == Server.id)
        .where(Server.enrollment_token_id == token.id, Server.public_key == public_key)
        .where(Server.state == "active", ServerStatus.incarnation == "")
    )
    return (await session.scalars(query)).first()


def _granted_name(token: EnrollmentToken, request: EnrollRequest) -> str:
    """The token's name, or the host's choice where the token leaves it free."""
    if token.server_name is not None and token.server_name.lower() != request.name.lower():
        detail = f"The token is for the server {token.server_name!r}."
        remedy = f"Enrol as {token.server_name}, or with an enrollment token for {request.name!r}."
        raise _not_granted("/name", request.name, detail, remedy)
    try:
        return NAME.validate_python(token.server_name or request.name)
    except ValidationError as error:
        cause: BadValue = error.errors()[0]["ctx"]["error"]
        detail = f"The name is {cause.problem}."
        raise _not_granted("/name", request.name, detail, cause.remedy) from error


def _check_claims(token: EnrollmentToken, request: EnrollRequest) -> None:
    """A host may repeat what the token grants; it cannot claim anything else."""
    granted = {"labels": token.labels, "addresses": token.addresses}
    for field, claims in (("labels", request.labels), ("addresses", request.addresses)):
        for key, value in claims.items():
            if granted[field].get(key) != value:
                what = f"{key}={value}"
                detail = f"The token does not grant {what}; labels come from the token."
                remedy = "Create an enrollment token that grants it, or leave it out."
                raise _not_granted(f"/{field}/{key}", what, detail, remedy)


def _not_granted(pointer: str, value: str, detail: str, remedy: str) -> Invalid:
    fault = FieldError(pointer=pointer, type="not-granted", detail=detail, value=value[:200], remedy=remedy)
    return Invalid(f"{detail} {remedy}", errors=[fault])
