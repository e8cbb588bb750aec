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
        """After a 401: the other token of the two is tried next, if there are two.

        A control plane that was restored from a backup may know the older one only.
        """
        if not self._tokens.previous:
            return False
        # In memory only: which of the two is right, the next start finds out as we do now.
        self._tokens = Tokens(self._tokens.previous, previous=self._tokens.token)
        return True

    def _keep(self, tokens: Tokens) -> None:
        save_tokens(self._folder, tokens)
        self._tokens = tokens
