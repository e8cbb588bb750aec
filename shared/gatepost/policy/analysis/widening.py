"""What a change lets anybody do that they could not do before. Nothing: the change only narrows.

Exact for clients: both sides' winners are compared stretch by stretch on every local address and port, now and after
every expiry, so a range that is added to a connector with fewer rights narrows, and one that is removed from such a
connector widens. Settings are compared where a connector stays, and where its clients come to another one; what cannot
be ranked counts as widening.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain

from gatepost.policy.analysis.ranges import EMPTY, RangeSet, difference, from_spans, union
from gatepost.policy.analysis.settings import LISTS, looser
from gatepost.policy.analysis.shown import Shown
from gatepost.policy.analysis.sides import Group, Side
from gatepost.policy.analysis.succession import Meeting, successions
from gatepost.policy.dialogue.compiled import CompiledConnector, Endpoint, Policy
from gatepost.policy.dialogue.domains import within
from gatepost.policy.dialogue.selection import Stretch
from gatepost.policy.model.addresses import LAST
from gatepost.policy.model.rights import AUTHENTICATED_USERS, EFFECTIVE, USER_PREFIX, Right


class Widening(Shown):
    """kind: `clients` gain rights (`ranges`: exactly which), a connector's `setting` was loosened, an accepted
    `domain`, `route`, `assertion` or relay `user` changed. subject: the connector, or whose name it is.
    """

    kind: str
    subject: str
    detail: str
    gains: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()


def widenings(old: Side, new: Side) -> tuple[Widening, ...]:
    """Everything that widens; empty when the change only narrows."""
    pairs: dict[tuple[Group | None, Group], list[str]] = {}
    for name in new.servers:
        group = new.group(name)
        if group is not None:
            pairs.setdefault((old.group(name), group), []).append(name)
    clients = (
        widening.model_copy(update={"servers": tuple(names)})
        for (before, after), names in pairs.items()
        for widening in _clients(before, after)
    )
    return (*clients, *_settings(old, new), *_domains(old, new), *_others(old, new))


# --- what the document says ------------------------------------------------------------------------------------


def _settings(old: Side, new: Side) -> Iterator[Widening]:
    before = {connector.name: connector for connector in old.document.connectors}
    for connector in new.document.connectors:
        known = before.get(connector.name)
        for field in looser(known, connector) if known else ():
            told = f"{field} was {_told(getattr(known, field))} and is {_told(getattr(connector, field))}"
            yield Widening(kind="setting", subject=connector.name, detail=told)


def _told(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return "none" if value is None else text or "none"


def _domains(old: Side, new: Side) -> Iterator[Widening]:
    before, after = old.document.accepted_domains, new.document.accepted_domains
    for entry in after:
        if entry not in before:
            yield Widening(kind="domain", subject=entry.domain, detail=f"accepted as {entry.type}")
    gone = [entry.domain for entry in before if entry not in after]
    if gone and any(_minds_own_senders(group) for group in new.groups):
        # Whoever may not send as our domains, but as any other, may now send as these.
        detail = "no longer ours, so senders in it need another right"
        yield from (Widening(kind="domain", subject=domain, detail=detail) for domain in gone)


def _minds_own_senders(group: Group) -> bool:
    return any(
        Right.ANY_SENDER in rights and Right.AUTHORITATIVE_SENDER not in rights
        for connector in (group.policy.connectors.values() if group.policy else ())
        for rights in (_rights(connector, principal) for principal in (None, *_proved(connector)))
    )


def _others(old: Side, new: Side) -> Iterator[Widening]:
    if old.document.send_connectors != new.document.send_connectors:
        yield Widening(kind="route", subject="send_connectors", detail="mail may leave by another way")
    for assertion in old.document.assertions:
        if assertion not in new.document.assertions:
            yield Widening(kind="assertion", subject=assertion.name, detail="what it forbade is allowed")
    for user in new.users:
        if user not in old.users:
            yield Widening(kind="user", subject=user.name, detail="may log on as it could not before")


# --- who takes which client ------------------------------------------------------------------------------------


_Pair = tuple[str | None, str]
"""Who took the clients, and who takes them."""


def _clients(before: Group | None, after: Group) -> Iterator[Widening]:
    new, old = after.policy, before.policy if before else None
    if new is None or (old is not None and _same_doors(old, new)):
        return
    gains = cache(lambda was, is_: _gains(old.connectors.get(was) if old else None, new.connectors[is_]))
    locals_ = tuple(dict.fromkeys((*new.tables, *(old.tables if old else ()))))
    now = _gaining(((local, _joint(old, new, local)) for local in locals_), gains)
    later = _gaining(successions(old, new, locals_), gains)
    for (was, is_), clients in now.items():
        yield _gain(is_, _come(was, is_), gains(was, is_), clients)
    for (was, is_), clients in later.items():
        rest = difference(clients, now.get((was, is_), EMPTY))
        if not rest.empty:
            yield _gain(is_, _stay(was, is_), gains(was, is_), rest)


def _gaining(
    found: Iterable[tuple[Endpoint, Iterable[Meeting]]],
    gains: Callable[[str | None, str], tuple[str, ...]],
) -> dict[_Pair, RangeSet]:
    """The clients of each pair of connectors between which they gain anything."""
    sets: dict[_Pair, list[RangeSet]] = {}
    for local, meetings in found:
        moved: dict[_Pair, list[tuple[int, int]]] = {}
        for lo, hi, was, is_ in meetings:
            if is_ is not None and gains(was, is_):
                moved.setdefault((was, is_), []).append((lo, hi))
        for pair, spans in moved.items():
            known = from_spans(spans, ()) if local.address.version == 4 else from_spans((), spans)
            sets.setdefault(pair, []).append(known)
    return {pair: union(known) for pair, known in sets.items()}


def _come(was: str | None, is_: str) -> str:
    if was == is_:
        return f"stay with {is_!r}"
    return f"come to {is_!r} from {was!r}" if was else f"come to {is_!r}"


def _stay(was: str | None, is_: str) -> str:
    who = repr(was) if was else "nobody"
    return f"{is_!r} takes where {who} would have, once a range expires,"


def _gain(subject: str, which: str, gains: tuple[str, ...], clients: RangeSet) -> Widening:
    what = "rights" if gains[0].startswith("ms-Exch-") else "by laxer settings"
    detail, ranges = f"clients that {which} gain {what}", tuple(clients.texts())
    return Widening(kind="clients", subject=subject, detail=detail, gains=gains, ranges=ranges)


def _same_doors(old: Policy, new: Policy) -> bool:
    return old.bindings == new.bindings and old.bundle.connectors == new.bundle.connectors


def _gains(was: CompiledConnector | None, is_: CompiledConnector) -> tuple[str, ...]:
    """What a client gains that comes from one connector to the other, laxer settings included."""
    found = gained(was, is_)
    # A connector's own settings are compared once, not for each of its clients.
    return found if was is None or was.name == is_.name else tuple(dict.fromkeys((*found, *_laxer(was, is_))))


def _laxer(was: CompiledConnector, is_: CompiledConnector) -> Iterator[str]:
    """Settings by which another connector allows more to those who may submit to both."""
    kept = [(before, after) for _, before, after in _compared(was, is_) if Right.SUBMIT in before & after]
    # Who falls from a relay to what anybody has, with its limits, is no gainer: taking a relay's ranges away must not
    # be held up. Mail to or from more domains is more even so.
    demoted = all(Right.ANY_RECIPIENT in before - after for before, after in kept)
    fields = looser(was.model, is_.model) if kept else ()
    return (field for field in fields if field in LISTS or not demoted)


def gained(was: CompiledConnector | None, is_: CompiledConnector) -> tuple[str, ...]:
    """What a client gains that one connector took and the other takes: rights, then wider lists where it relays."""
    rights = _compared(was, is_)
    found = [
        f"{right} as {principal}" if principal else str(right)
        for principal, before, after in rights
        for right in sorted(after - before)
    ]
    if was is not None and any(Right.ANY_RECIPIENT in before & after for _, before, after in rights):
        lists = ("allowed_recipient_domains", "allowed_sender_domains")
        found += (
            field for field in lists if not within(getattr(was.model, field), getattr(is_.model, field))
        )
    return tuple(found)


_Compared = tuple[str | None, frozenset[Right], frozenset[Right]]
"""A principal, and its rights before and after."""


def _compared(was: CompiledConnector | None, is_: CompiledConnector) -> list[_Compared]:
    """Everybody whom a client may prove to be, and nobody (None)."""
    principals = (None, *dict.fromkeys((*_proved(was), *_proved(is_))))
    return [(principal, _rights(was, principal), _rights(is_, principal)) for principal in principals]


def _proved(connector: CompiledConnector | None) -> tuple[str, ...]:
    """Whoever a password proves here; Authenticated Users stands for all whom no entry names."""
    if connector is None or "BasicAuth" not in connector.model.auth_mechanism:
        return ()
    named = (ace.principal for ace in connector.model.aces if ace.principal.startswith(USER_PREFIX))
    return (AUTHENTICATED_USERS, *named)


def _rights(connector: CompiledConnector | None, principal: str | None) -> frozenset[Right]:
    """What a client can do that proved to be this principal, or proved nothing (None). Nothing without Submit."""
    if connector is None or (principal and "BasicAuth" not in connector.model.auth_mechanism):
        return frozenset()
    rights = connector.rights(principal or connector.first_principal)
    return rights & EFFECTIVE if Right.SUBMIT in rights else frozenset()


def _joint(old: Policy | None, new: Policy, local: Endpoint) -> Iterator[Meeting]:
    """The winners of now, in ascending order."""
    version = local.address.version
    before, after = _stretches(old, local), _stretches(new, local)
    lo, (_, old_hi, was), (_, new_hi, is_) = 0, next(before), next(after)
    while True:
        hi = min(old_hi, new_hi)
        yield lo, hi, was, is_
        if hi == LAST[version]:
            return
        lo = hi + 1
        if old_hi == hi:
            _, old_hi, was = next(before)
        if new_hi == hi:
            _, new_hi, is_ = next(after)


def _stretches(policy: Policy | None, local: Endpoint) -> Iterator[Stretch]:
    """The winners over the whole space of addresses."""
    table = policy.table(local) if policy else None
    version = local.address.version
    found = table.stretches(version) if table else iter(())
    first = next(found, None)
    if first is None:
        return iter([(0, LAST[version], None)])
    gap: list[Stretch] = [(0, first[0] - 1, None)] if first[0] else []
    return chain(gap, [first], found)
