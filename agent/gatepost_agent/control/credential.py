"""The agent's bearer token in use: changed by directive, the old one good until the new one has been used."""

from pydantic import BaseModel, ValidationError

from gatepost.wire import TokenReply
from gatepost_agent.control.identity import Tokens, load_tokens, save_tokens
from gatepost_agent.control.link import Link, Unreachable
from gatepost_agent.control.state_folder import StateFolder

PATH = "/agent/v1/token:rotate"


class _Nothing(BaseModel):
    """An empty message."""


class Credential:
    """The token of the moment; see `Tokens`."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._tokens = load_tokens(folder)

    @property
    def token(self) -> str:
        """What goes into `Authorization`."""
        return self._tokens.token

    async def rotate(self, link: Link) -> None:
        """Fetch a new token and keep it with the old one. Raises LinkError, OSError."""
        try:
            reply = TokenReply.model_validate_json(await link.post(PATH, _Nothing()))
        except ValidationError as error:
            raise Unreachable(f"{link.url} sent no token") from error
        self._keep(Tokens(reply.agent_token, previous=self._tokens.token))

    def fall_back(self) -> bool:
        """After a 401: try the token before this one, if there is one."""
        if not self._tokens.previous:
            return False
        self._keep(Tokens(self._tokens.previous, previous=self._tokens.token))
        return True

    def was_taken(self) -> None:
        """The control plane took the token: the one before it is dead now."""
        if self._tokens.previous:
            self._keep(Tokens(self._tokens.token))

    def _keep(self, tokens: Tokens) -> None:
        save_tokens(self._folder, tokens)
        self._tokens = tokens
