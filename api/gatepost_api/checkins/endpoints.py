"""/agent/v1: what agents call. Parked check-ins hold no database session."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from gatepost.signing import Signed
from gatepost.wire import CheckinReply, CheckinRequest, EnrollReply, EnrollRequest, Keyring, TokenReply
from gatepost_api.auth import remote_address
from gatepost_api.checkins.agents import Agents
from gatepost_api.checkins.service import Caller, Desk
from gatepost_api.db import WriteSession
from gatepost_api.problems import RESPONSES, request_id
from gatepost_api.waiting import preferred_wait_s

router = APIRouter(prefix="/agent/v1", tags=["agents"], responses=RESPONSES)


async def identified(request: Request) -> Caller:
    agents: Agents = request.app.state.agents
    desired = await agents.identify(request)
    return Caller(
        server_id=desired.server_id,
        remote=remote_address(request),
        token_is_old=agents.is_old(request),
        wait_s=preferred_wait_s(request),
    )


@router.post("/enroll", status_code=201)
async def enroll(session: WriteSession, request: Request, body: EnrollRequest) -> EnrollReply:
    """A one-time token becomes a server. The same token and key again: the same server, no second use."""
    remote = remote_address(request)
    reply: EnrollReply = await request.app.state.enrolling.enroll(session, body, remote, request_id(request))
    return reply


@router.post("/checkin", response_model=CheckinReply)
async def checkin(request: Request, body: CheckinRequest) -> Response:
    """A report; answered when there is something new for the server, or when `Prefer: wait` is over."""
    caller = await identified(request)
    desk: Desk = request.app.state.desk
    reply = await desk.answer(caller, body)
    applied = {"Preference-Applied": f"wait={caller.wait_s:.0f}"} if caller.wait_s else {}
    return Response(reply.model_dump_json(), media_type="application/json", headers=applied)


@router.get("/bundles/{digest}", response_model=Signed)
async def get_bundle(
    request: Request, digest: Annotated[str, Path(pattern=r"^sha256:[0-9a-f]{64}$")]
) -> Response:
    """A bundle that is offered to the calling server."""
    caller = await identified(request)
    desk: Desk = request.app.state.desk
    headers = {"ETag": f'"{digest}"', "Cache-Control": "private, immutable"}
    return Response(
        await desk.bundle(caller.server_id, digest), media_type="application/json", headers=headers
    )


@router.post("/token:rotate")
async def rotate_agent_token(request: Request, response: Response) -> TokenReply:
    """A new token; the present one stays good until the new one is first used."""
    caller = await identified(request)
    response.headers["Cache-Control"] = "no-store"
    agents: Agents = request.app.state.agents
    return TokenReply(agent_token=await agents.rotate(caller.server_id))


@router.post("/goodbye", status_code=204)
async def goodbye(request: Request, body: CheckinRequest) -> None:
    """A clean stop, with the last report."""
    desk: Desk = request.app.state.desk
    await desk.goodbye(await identified(request), body)


@router.get("/keyring")
async def get_keyring(request: Request) -> Signed:
    """The keys that sign for this fleet, signed by the one in use."""
    await identified(request)
    signer = request.app.state.signer
    ring = Keyring(keys=(signer.public.text,))
    signed: Signed = signer.sign("keyring", ring.model_dump_json().encode())
    return signed
