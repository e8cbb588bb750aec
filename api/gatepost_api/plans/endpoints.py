"""POST /v1/plan."""

from fastapi import Request
from starlette.responses import Response

from gatepost.policy.analysis.plan import Plan
from gatepost_api import documents
from gatepost_api.auth import Viewer
from gatepost_api.etags import ETAG_HEADER, etag
from gatepost_api.plans import service
from gatepost_api.plans.schemas import PlanIn
from gatepost_api.routing import noun

router = noun("/plan", "plan")


@router.post("", response_model=Plan, responses={200: {"description": "The plan", **ETAG_HEADER}})
async def plan(caller: Viewer, request: Request, body: PlanIn) -> Response:
    """What publishing a document, or the draft, would change; the ETag is the draft's that it was made for."""
    state = request.app.state
    content = None if body.document is None else await checked(request, body.document)
    told = await service.tell(state.database, state.workshop, content)
    return Response(told.text, media_type="application/json", headers={"ETag": etag(told.version)})


async def checked(request: Request, document: dict[str, object]) -> dict[str, object]:
    """The document in its canonical form. Raises Invalid with every fault."""
    size = int(request.headers.get("content-length", "0"))
    parsed = await request.app.state.workshop.run(size, documents.check, document)
    if parsed.faults:
        raise documents.invalid(parsed.faults)
    content: dict[str, object] = parsed.content
    return content
