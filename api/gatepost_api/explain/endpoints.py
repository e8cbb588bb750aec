"""POST /v1/explain."""

from fastapi import Request

from gatepost_api import documents
from gatepost_api.auth import Viewer
from gatepost_api.explain import service
from gatepost_api.explain.schemas import ExplainIn, ExplainOut
from gatepost_api.routing import noun

router = noun("/explain", "explain")


@router.post("")
async def explain(caller: Viewer, request: Request, body: ExplainIn) -> ExplainOut:
    """What a client on a server would be answered: connector, range, right, and the whole dialogue."""
    state = request.app.state
    async with state.database.reading() as session:
        rows = await service.find_server(session, body.server)
        subject = await service.subject_of(session, body.of)
        users = await service.relay_users(session)
    server = service.server_of(rows.server, body.of)
    found: service.Answered = await state.workshop.run(
        documents.weight(subject.content),
        service.answer,
        subject.content,
        server,
        users,
        body,
        state.fleet.denied,
    )
    return service.shown(found, rows, subject.number, state.settings.offline_after_s)
