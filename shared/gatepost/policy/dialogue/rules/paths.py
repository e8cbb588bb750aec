"""The arguments of MAIL and RCPT: `FROM:<path> PARAM=value …`, with what devices leave out (RFC 5321 4.1.2)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from gatepost.policy.model.tolerances import Tolerance

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ARGUMENT = re.compile(
    rf"(?P<space> *)(?:<(?P<path>(?:{_QUOTED}|[^\">])*)>|(?P<bare>(?:{_QUOTED}|[^\s<>\"])+))(?P<rest>(?: .*)?)"
)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^= \x00-\x1f\x7f]*))?")


class Argument(NamedTuple):
    """A parsed argument. path: the address without brackets, "" for the null path. parameters: upper-case names."""

    path: str
    parameters: Mapping[str, str]
    tolerated: tuple[str, ...]


@lru_cache(maxsize=1024)  # a device sends from one address to a few
def parse(text: str, keyword: str) -> Argument | None:
    """The argument of MAIL (`keyword` FROM) or RCPT (TO); None when it is not one."""
    if text[: len(keyword) + 1].upper() != f"{keyword}:":
        return None
    found = _ARGUMENT.fullmatch(text, len(keyword) + 1)
    if found is None:
        return None
    parameters = _parameters(found["rest"].split())
    if parameters is None:
        return None
    given = found["bare"] if found["path"] is None else found["path"]
    path = given.strip()
    tolerated = (Tolerance.SPACE_BEFORE_PATH,) if found["space"] or path != given else ()
    if found["path"] is None:
        tolerated = (*tolerated, Tolerance.PATH_WITHOUT_BRACKETS)
    return Argument(path, parameters, tolerated)


def _parameters(words: list[str]) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    for word in words:
        found = _PARAMETER.fullmatch(word)
        if found is None or found[1].upper() in parameters:
            return None
        parameters[found[1].upper()] = found[2] or ""
    return parameters
