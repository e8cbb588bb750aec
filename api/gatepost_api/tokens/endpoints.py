"""/v1/api-tokens: admins only."""

from fastapi import Request, Response

from gatepost_api.auth import Admin
from gatepost_api.db import ReadSession, WriteSession
from gatepost_api.etags import IfMatch, set_etag
from gatepost_api.idempotency import show_secret
from gatepost_api.pages import AskedPage, Page, shown_as
from gatepost_api.routing import noun
from gatepost_api.tokens import repository, service
from gatepost_api.tokens.schemas import ApiTokenIn, ApiTokenOut, CreatedApiToken

router = noun("/api-tokens", "tokens")


@router.get("")
async def list_api_tokens(caller: Admin, session: ReadSession, asked: AskedPage) -> Page[ApiTokenOut]:
    """Every token, revoked ones too; never the secret."""
    rows = await repository.list_tokens(session, asked.after, asked.limit + 1)
    return shown_as(asked.page(rows, lambda row: row.id), service.shown)


@router.post("", status_code=201)
async def create_api_token(
    caller: Admin, session: WriteSession, request: Request, body: ApiTokenIn
) -> CreatedApiToken:
    """A new token, shown this once."""
    show_secret(request)
    return await service.create(session, caller, body)


@router.get("/{token_id}")
async def get_api_token(
    caller: Admin, session: ReadSession, response: Response, token_id: str
) -> ApiTokenOut:
    token = await service.get(session, token_id)
    set_etag(response, token.version)
    return service.shown(token)


@router.delete("/{token_id}")
async def revoke_api_token(
    caller: Admin, session: WriteSession, match: IfMatch, token_id: str
) -> ApiTokenOut:
    """Ends the token at once."""
    return service.shown(await service.revoke(session, caller, token_id, match))
