"""Why a server may not do what is published: it runs something else, is not heard of, or denies more. Pure."""

from collections.abc import Iterator

from gatepost_api.servers.schemas import ServerOut

RUNS = frozenset({"running", "settled"})
BY_CONDITION = {
    "DeniedSetAhead": "denies more than the control plane knows",
    "DeniedHere": "denies clients on this host alone",
    "RelayKeptShut": "keeps ranges from relaying since it went back to an older config",
}


def caveats(server: ServerOut, number: int, digest: str) -> Iterator[str]:
    """One for each reason. number, digest: the published revision, and the server's bundle of it."""
    running, state = server.running or {}, server.assignment.state
    if state not in RUNS or running.get("digest") != digest:
        why = "" if state in RUNS else f" ({state})"
        yield f"{server.name} {_runs(running.get('revision'), number)}{why}"
    if server.state != "active":
        yield f"{server.name} is {server.state}"
    elif not server.online:
        yield f"{server.name} is offline"
    for condition in server.health.get("conditions", ()):
        kind = condition["type"]
        if kind in BY_CONDITION and condition["status"] == "True":
            yield f"{server.name} {BY_CONDITION[kind]} ({kind})"


def _runs(revision: int | None, number: int) -> str:
    if revision == number:
        return f"runs another form of revision {number} than the published one"
    what = "nothing" if revision is None else f"revision {revision}"
    return f"runs {what}, not the published {number}"
