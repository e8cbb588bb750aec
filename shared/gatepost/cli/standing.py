"""How servers stand to what is published for them: pure, from the API's server objects.

Running is done: "applied" and `--wait` mean that the listeners hold the config and answer; settled comes after.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

Server = Mapping[str, Any]


class Standing(StrEnum):
    """What a server's config state means for someone who waits."""

    DONE = "running"  # running or settled
    ON_ITS_WAY = "on its way"  # pending, offered or applying, and heard of
    FAILED = "failed"  # rejected or rolled back
    STUCK = "waits for an operator"  # blocked by findings, or held until adopt or overwrite
    OFFLINE = "not heard of"  # on its way, if only it were there


_BY_STATE = {
    "none": Standing.DONE,  # nothing was ever published for it
    "running": Standing.DONE,
    "settled": Standing.DONE,
    "rejected": Standing.FAILED,
    "rolled_back": Standing.FAILED,
    "blocked": Standing.STUCK,
    "held": Standing.STUCK,
}


def standing(server: Server) -> Standing:
    """Where one server stands."""
    known = _BY_STATE.get(server["assignment"]["state"], Standing.ON_ITS_WAY)
    return Standing.OFFLINE if known is Standing.ON_ITS_WAY and not server["online"] else known


def why(server: Server) -> str:
    """One sentence on what a server is waiting for, or what went wrong there."""
    assignment, attempt = server["assignment"], server.get("last_attempt") or {}
    generation = assignment["generation"]
    match standing(server):
        case Standing.DONE:
            return f"{assignment['state']}, generation {generation}"
        case Standing.OFFLINE:
            return f"{assignment['state']}; last heard of at {server['last_seen']}"
        case Standing.FAILED if attempt.get("generation") == generation:
            errors = "; ".join(
                str(error.get("detail") or error.get("type")) for error in attempt.get("errors", ())
            )
            return (
                f"{assignment['state']} in phase {attempt.get('phase') or '?'}: {errors or 'no reason given'}"
            )
        case Standing.ON_ITS_WAY:
            return f"{assignment['state']}, generation {generation}"
        case _:
            return f"{assignment['state']}: {assignment['reason'] or 'no reason given'}"


class Fleet(NamedTuple):
    """Every active server by its standing."""

    servers: tuple[Server, ...]

    def names(self, *wanted: Standing) -> list[str]:
        return [str(server["name"]) for server in self.servers if standing(server) in wanted]

    @property
    def waiting(self) -> bool:
        """Whether somebody is still on the way who can be heard of."""
        return bool(self.names(Standing.ON_ITS_WAY))

    def as_data(self) -> dict[str, Any]:
        """For scripts: server names by standing, and why for those that are not done."""
        return {
            "running": self.names(Standing.DONE),
            "progressing": self.names(Standing.ON_ITS_WAY),
            "failed": self.names(Standing.FAILED),
            "waiting_for_operator": self.names(Standing.STUCK),
            "unreachable": self.names(Standing.OFFLINE),
            "why": {
                str(server["name"]): why(server)
                for server in self.servers
                if standing(server) is not Standing.DONE
            },
        }


def fleet(servers: Iterable[Server]) -> Fleet:
    """Of all servers those that count: active ones."""
    return Fleet(tuple(server for server in servers if server["state"] == "active"))


def drift(server: Server) -> list[str]:
    """What is not as published on one server: desired against running, and how the last attempt ended."""
    assignment, running = server["assignment"], server.get("running") or {}
    attempt = server.get("last_attempt") or {}
    found = []
    if assignment["digest"] != running.get("digest"):
        found.append(f"runs {short(running.get('digest'))}, should run {short(assignment['digest'])}")
    elif assignment["digest"] and running.get("generation") != assignment["generation"]:
        found.append(f"runs generation {running.get('generation')}, should run {assignment['generation']}")
    if standing(server) in (Standing.FAILED, Standing.STUCK):
        found.append(why(server))
    elif attempt.get("outcome") in ("rejected", "rolled_back"):
        found.append(f"generation {attempt.get('generation')} ended {attempt['outcome']}")
    return found


def short(digest: object) -> str:
    """The beginning of a digest."""
    return str(digest).removeprefix("sha256:")[:12] if digest else "nothing"
