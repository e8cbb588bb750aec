"""How a server stands to what is published for it: pure, from the API's server objects."""

from collections.abc import Mapping
from typing import Any

Server = Mapping[str, Any]
FAILED = ("rejected", "rolled_back")
STUCK = ("blocked", "held")  # until findings are gone, or an operator chooses adopt or overwrite


def drift(server: Server) -> list[str]:
    """What is not as published: desired against running, and how the last attempt ended. Empty: no drift."""
    assignment, running = server["assignment"], server.get("running") or {}
    attempt = server.get("last_attempt") or {}
    found = []
    if assignment["digest"] != running.get("digest"):
        found.append(f"runs {short(running.get('digest'))}, should run {short(assignment['digest'])}")
    elif assignment["digest"] and running.get("generation") != assignment["generation"]:
        found.append(f"runs generation {running.get('generation')}, should run {assignment['generation']}")
    if assignment["state"] in (*FAILED, *STUCK):
        found.append(why(server))
    elif attempt.get("outcome") in FAILED:
        found.append(f"generation {attempt.get('generation')} ended {attempt['outcome']}")
    return found


def why(server: Server) -> str:
    """One sentence on what went wrong on a server, or what it waits for."""
    assignment, attempt = server["assignment"], server.get("last_attempt") or {}
    if assignment["state"] in FAILED and attempt.get("generation") == assignment["generation"]:
        errors = "; ".join(
            str(error.get("detail") or error.get("type")) for error in attempt.get("errors", ())
        )
        return f"{assignment['state']} in phase {attempt.get('phase') or '?'}: {errors or 'no reason given'}"
    return f"{assignment['state']}: {assignment['reason'] or 'no reason given'}"


def short(digest: object) -> str:
    """The beginning of a digest."""
    return str(digest).removeprefix("sha256:")[:12] if digest else "nothing"
