"""`gatepost-agent enroll`: the state folder made, then enrolled unless it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from gatepost.tokens import BadToken, parse_enrollment_token
from gatepost_agent.control.enroll import Wanted, enroll, enrolled_as
from gatepost_agent.control.identity import Identity
from gatepost_agent.control.link import Link, existing_file
from gatepost_agent.control.state_folder import StateFolder
from gatepost_agent.errors import UsageRefused


class Asked(NamedTuple):
    """What stands on the command line."""

    urls: tuple[str, ...]
    token: str
    name: str
    labels: Mapping[str, str] = {}
    addresses: Mapping[str, str] = {}
    ca_file: str = ""


async def enrolled(state_dir: Path, asked: Asked) -> tuple[Identity, bool]:
    """The identity, and whether it is new. Raises AgentError; a token is used only when there was none."""
    folder = StateFolder.open(state_dir, create=True)
    known = enrolled_as(folder, asked.name)
    if known is not None:
        return known, False
    try:
        token = parse_enrollment_token(asked.token)
    except BadToken as error:
        raise UsageRefused(str(error)) from error
    link = Link(asked.urls, ca_file=existing_file(asked.ca_file))
    try:
        with folder.locked("enroll"):
            return await enroll(folder, link, token, Wanted(asked.name, asked.labels, asked.addresses)), True
    finally:
        await link.close()
