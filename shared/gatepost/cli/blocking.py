"""`gatepost block` and `unblock`: the denied set, past drafts and publishing."""

from typing import Annotated

import typer

from gatepost.cli.answers import Answer
from gatepost.cli.settings import connected
from gatepost.cli.tables import listing, moment, words
from gatepost.policy.model.addresses import read_range

Address = Annotated[str, typer.Argument(metavar="ADDR|CIDR", help="192.168.5.66 or 10.9.0.0/16")]
COLUMNS = (
    ("range", "range"),
    ("reason", "reason"),
    ("by", "created_by"),
    ("since", lambda row: moment(row.get("created_at"))),
)


def block(
    ctx: typer.Context,
    address: Address,
    *,
    reason: Annotated[str, typer.Option(help="Why; shown in trace, health and audit trail")] = "",
) -> Answer:
    """Serve an address nowhere, at once: open sessions end at their next command."""
    read_range(address)
    with connected(ctx) as client:
        made = client.denied_set.block(address, reason=reason)
    return Answer(made, note=f"{address} is blocked on every server.")


def unblock(
    ctx: typer.Context,
    address: Address,
    *,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit trail")] = "",
) -> Answer:
    """Lift a block."""
    with connected(ctx) as client:
        gone = client.denied_set.unblock(address, reason=reason)
        left = [entry["range"] for entry in client.denied_set.covering(address)]
    told = f"{address} is no longer blocked."
    if left:
        verb = "blocks" if len(left) == 1 else "block"
        told = f"The block of {address} is lifted; {words(left)} still {verb} it."
    return Answer(gone, note=told)


def overwrite_blocked(
    ctx: typer.Context,
    addresses: Annotated[list[str] | None, typer.Argument(metavar="[ADDR|CIDR]...")] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit trail")] = "",
) -> Answer:
    """After a restored backup: what is blocked, and these addresses, is what every server gets."""
    for address in addresses or ():
        read_range(address)
    with connected(ctx) as client:
        made = client.denied_set.overwrite(addresses or (), reason=reason)
    return Answer(made, note="Every server gets what `gatepost blocked` shows.")


def blocked(ctx: typer.Context) -> Answer:
    """What is blocked, since when, by whom and why."""
    with connected(ctx) as client:
        rows = list(client.denied_set.list())
    return listing(rows, COLUMNS, "Nothing is blocked.")


COMMANDS = {
    "block": block,
    "unblock": unblock,
    "blocked": blocked,
    "overwrite-blocked": overwrite_blocked,
}
