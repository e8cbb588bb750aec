"""What the policy core costs at 1,000 connectors and 100,000 ranges: compile, look up, expose, plan.

Design section 8 asks for: selection 1,000 times faster than a linear scan, 2 us as a goal; plan and exposure with the
published side kept in 5 s, 1.5 s as a goal.
"""

import random
import tracemalloc
from collections.abc import Callable
from time import process_time
from typing import Any

from gatepost.policy.analysis.exposure import exposure, raw_union
from gatepost.policy.analysis.lint import lint
from gatepost.policy.analysis.plan import plan
from gatepost.policy.analysis.sides import Side
from gatepost.policy.analysis.widening import widenings
from gatepost.policy.dialogue.compiled import Endpoint, Policy, compile_policy, live_ranges
from gatepost.policy.model.addresses import Address, AddressRange
from gatepost.policy.model.bundle import Bundle, Server, render
from gatepost.policy.model.document import FleetDocument

CONNECTORS, RANGES = 1_000, 100
NOW = 1_700_000_000.0
MX1 = Server("mx1", fqdn="mx1.contoso.com")
RELAY_ROW = {"principal": "anonymous logon", "rights": ["ms-Exch-SMTP-Accept-Any-Recipient"]}


def fleet(*, without: int | None = None) -> FleetDocument:
    """A default connector and 1,000 of 100 hosts, spans and networks each, in no order; every second one relays.

    without: leave this one out of the relaying connectors' rights, so that a plan has something to tell.
    """
    chance = random.Random(7)
    bases = iter(range(10 << 24, 11 << 24, 128))
    listed: list[dict[str, Any]] = [
        {
            "name": "Default Frontend",
            "bindings": ["0.0.0.0:25"],
            "remote_ip_ranges": ["0.0.0.0-255.255.255.255"],
            "permission_groups": ["AnonymousUsers"],
        }
    ]
    for at in range(CONNECTORS):
        ranges = [_range(chance, next(bases)) for _ in range(RANGES)]
        chance.shuffle(ranges)
        listed.append(
            {
                "name": f"connector {at}",
                "bindings": ["0.0.0.0:25"],
                "remote_ip_ranges": ranges,
                "permission_groups": ["AnonymousUsers"],
                "permissions": [RELAY_ROW] if at % 2 and at != without else [],
                "message_rate_limit": 600,
            }
        )
    chance.shuffle(listed)
    send = {"name": "out", "address_spaces": ["*"], "smart_hosts": ["smtp.contoso.com"]}
    content = {
        "accepted_domains": [{"domain": "contoso.com"}],
        "connectors": listed,
        "send_connectors": [send],
    }
    return FleetDocument.model_validate(content)


def _range(chance: random.Random, base: int) -> str:
    kind = chance.random()
    first = base + chance.randrange(1, 60)
    if kind < 0.6:
        return str(Address(4, first))
    if kind < 0.9:
        return f"{Address(4, first)}-{Address(4, first + chance.randrange(1, 60))}"
    return f"{Address(4, base)}/26"


def best(work: Callable[[], object], repeats: int = 1, rounds: int = 3) -> float:
    """Seconds of processor time for one call, the best of several rounds: the machine has other work."""

    def once() -> float:
        started = process_time()
        for _ in range(repeats):
            work()
        return (process_time() - started) / repeats

    return min(once() for _ in range(rounds))


def compiled(bundle: Bundle) -> Policy:
    return compile_policy(bundle, addresses={}, fqdn="mx1.contoso.com", now=NOW)


def kept_mib(bundle: Bundle) -> tuple[float, float]:
    """Memory that a compiled policy keeps, and the most it took on the way."""
    tracemalloc.start()
    policy = compiled(bundle)
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del policy
    return now / 2**20, peak / 2**20


def linear(ranges: list[AddressRange], client: Address) -> AddressRange:
    return min((known for known in ranges if known.holds(client)), key=lambda known: known.size)


def selection(bundle: Bundle, policy: Policy) -> None:
    table = policy.tables[Endpoint(Address(4, 0), 25)]
    ranges = [known for model in bundle.connectors for known in live_ranges(model, NOW)]
    client = Address(4, (10 << 24) + 77_777 * 128 + 5)
    match = table.lookup(client)
    assert match is not None
    assert match.range == linear(ranges, client).text
    indexed, scanned = best(lambda: table.lookup(client), 20_000), best(lambda: linear(ranges, client), 2)
    print(
        f"look-up among {len(ranges)} ranges: {indexed * 1e6:5.2f} us, {scanned / indexed:,.0f} x a linear scan"
    )


def planning(old: FleetDocument, new: FleetDocument) -> None:
    published = Side(old, [MX1], now=NOW)
    plan(published, published, now=NOW)  # so that all of it is kept
    seconds = best(lambda: plan(published, Side(new, [MX1], now=NOW), now=NOW))
    print(f"plan, published side kept: {seconds:6.3f} s, {5 / seconds:4.1f} x under the floor of 5 s")
    side = Side(new, [MX1], now=NOW)
    print(f"  of which the new side: {best(lambda: Side(new, [MX1], now=NOW)):6.3f} s")
    print(f"  of which lint: {best(lambda: lint(side)):6.3f} s")
    print(f"  of which what widens: {best(lambda: widenings(published, side)):6.3f} s")


def main() -> None:
    document = fleet()
    bundle = render(document, MX1)
    policy = compiled(bundle)
    seconds = best(lambda: compiled(bundle))
    kept, peak = kept_mib(bundle)
    print(
        f"compile {CONNECTORS} connectors, {CONNECTORS * RANGES} ranges: {seconds:6.3f} s, "
        f"{0.5 / seconds:4.1f} x under 0.5 s"
    )
    print(f"  keeps {kept:4.1f} MiB, {peak:4.1f} MiB on the way")
    selection(bundle, policy)
    print(
        f"exposure: {best(lambda: exposure(policy)):6.3f} s; raw union: {best(lambda: raw_union(policy, NOW)):6.3f} s"
    )
    planning(fleet(without=501), document)


if __name__ == "__main__":
    main()
