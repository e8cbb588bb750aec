"""POST /v1/explain."""

from fastapi import Request

from gatepost.policy.analysis.explain import Explanation
from gatepost_api import documents
from gatepost_api.auth import Viewer
from gatepost_api.explain import service
from gatepost_api.explain.schemas import ExplainIn
from gatepost_api.routing import noun

router = noun("/explain", "explain")


@router.post("")
async def explain(caller: Viewer, request: Request, body: ExplainIn) -> Explanation:
    """What a client on a server would be answered: connector, range, right, and the whole dialogue."""
    state = request.app.state
    async with state.database.reading() as session:
        row = await service.find_server(session, body.server)
        content = await service.content_for(session, body.of)
        users = await service.relay_users(session)
    server = service.server_of(row, body.of)
    found: Explanation = await state.workshop.run(
        documents.weight(content), service.answer, content, server, users, body, state.fleet.denied
    )
    return found
