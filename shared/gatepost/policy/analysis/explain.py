"""Explain: what happens to a client, and why. Answered by the session itself, so it is what the agent does."""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from gatepost.policy.analysis.circumstances import EVENTS, Circumstance
from gatepost.policy.analysis.rehearsal import Exchange, Rehearsal
from gatepost.policy.analysis.shown import Shown
from gatepost.policy.dialogue.compiled import Endpoint, Policy
from gatepost.policy.dialogue.denied import NOBODY_DENIED, DeniedSet
from gatepost.policy.model.addresses import Address, Binding, parse_address, parse_binding
from gatepost.policy.model.document import DialogueTest
from gatepost.policy.model.errors import BadValue
from gatepost.policy.model.rights import EFFECTIVE, Ace

_SMTP = 25


class Question(NamedTuple):
    """What a client does, as an operator types it.

    server: its name, for the answer only; the policy says what runs there. remote: the client's address. local: the
    binding it came to; None is the only one of the client's IP version, else port 25. lines: raw command lines,
    instead of mail_from and rcpt_to. tls, user: act out STARTTLS, and AUTH as a relay user, before anything else.
    at: seconds since 1970, None for the time given to `explain`. when: what else goes on at the host.
    """

    remote: str
    server: str = ""
    local: str | None = None
    helo: str = "test"
    mail_from: str | None = None
    rcpt_to: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    tls: bool = False
    user: str | None = None
    at: float | None = None
    when: Circumstance | None = None


class Verdict(StrEnum):
    """What became of the last thing the client said."""

    ACCEPTED = "accepted"
    DEFERRED = "deferred"  # 4xx: a client may try again
    REFUSED = "refused"  # 5xx
    NOT_LISTENING = "not_listening"  # no listener takes the connection


class HeldRight(Shown):
    """An entry that decides a right for the session's principal. `deny`: so it does not hold the right.

    effect: `none here` where nothing in this relay depends on the right.
    """

    right: str
    source: str
    deny: bool = False
    effect: str = ""


class Step(Shown):
    """One exchange: the client's line, our reply, the tarpit delay in seconds, and the trace of the decision."""

    line: str
    reply: str
    delay_s: float
    connector: str
    range: str
    principal: str
    right: str
    source: str
    reason: str


class Explanation(Shown):
    """The answer to a question. `reply`, `reason`: of the last exchange; `range`: as typed in the connector."""

    server: str
    remote: str
    local: str
    verdict: Verdict
    reply: str
    reason: str
    connector: str = ""
    range: str = ""
    principal: str = ""
    rights: tuple[HeldRight, ...] = ()
    steps: tuple[Step, ...] = ()


def explain(
    policy: Policy, question: Question, *, now: float, denied: DeniedSet = NOBODY_DENIED
) -> Explanation:
    """What happens to the client. now: seconds since 1970. Raises BadValue for what no client could be."""
    then = policy.at(now if question.at is None else question.at)
    remote = parse_address(question.remote)
    local = _local(then, question.local, remote)
    if local is None or then.table(local) is None:
        return _nobody_home(question, remote, local)
    exchanges = run_dialogue(then, question._replace(local=_told(local)), now=now, denied=denied)
    return _explanation(then, question, remote, local, exchanges)


def run_dialogue(
    policy: Policy, question: Question, *, now: float, denied: DeniedSet = NOBODY_DENIED
) -> list[Exchange]:
    """The exchanges of the question's dialogue. Raises BadValue.

    With mail_from and rcpt_to the client stops where a person would: when it may not say the next thing. With raw
    lines it says them all, until the session closes.
    """
    at = now if question.at is None else question.at
    policy = policy.at(at)
    remote = parse_address(question.remote)
    local = _local(policy, question.local, remote)
    if local is None:
        raise _no_listener(remote)
    acted = Rehearsal(policy, local=local, remote=Endpoint(remote, 0), now=at, denied=denied)
    _connect(acted, question.when)
    for lines in _opening(acted, question):
        if not acted.refused:
            acted.say(lines)
    if not acted.refused:
        acted.say(question.lines or tuple(f"RCPT TO:<{_bare(address)}>" for address in question.rcpt_to))
    if question.when is Circumstance.NOT_STORED and not question.lines and not acted.refused:
        acted.say(("DATA", "."))
    if question.when in EVENTS and not acted.closed:
        acted.happen(question.when)
    return acted.exchanges


def question_of(test: DialogueTest) -> Question:
    """The question that a test of the fleet document asks."""
    return Question(
        server=test.server,
        remote=test.remote,
        local=test.local,
        helo=test.helo,
        mail_from=test.mail_from,
        rcpt_to=test.rcpt_to,
        lines=test.lines,
        tls=test.tls,
        user=test.user,
        at=test.at.timestamp() if test.at else None,
    )


# --- the client's side -----------------------------------------------------------------------------------------


def _connect(acted: Rehearsal, when: Circumstance | None) -> None:
    if when is not None and when not in (*EVENTS, Circumstance.CONNECTOR_GONE):
        acted.happen(when)
    acted.connect()
    if when is Circumstance.CONNECTOR_GONE:
        acted.happen(when)


def _opening(acted: Rehearsal, question: Question) -> Iterator[tuple[str, ...]]:
    """What comes before the recipients or the raw lines, in steps that each depend on the one before."""
    hello = (f"EHLO {question.helo}".rstrip(),)
    if question.tls or question.user or not question.lines:
        yield hello
    if question.tls:
        yield ("STARTTLS",)
        yield hello
    if question.user and not acted.refused:
        acted.log_on(question.user)
    if not question.lines and (question.mail_from is not None or question.rcpt_to):
        yield (f"MAIL FROM:<{_bare(question.mail_from or '')}>",)


def _bare(address: str) -> str:
    """An address without the angle brackets that some type."""
    return address[1:-1] if address.startswith("<") and address.endswith(">") else address


def _local(policy: Policy, given: str | None, remote: Address) -> Endpoint | None:
    """The local end: as given, else the only one, else that on port 25. None: no listener of this IP version."""
    if given is not None:
        return _given(policy, parse_binding(given), remote)
    known = [end for end in policy.tables if end.address.version == remote.version]
    if len(known) > 1:
        known = [end for end in known if end.port == _SMTP] or known
    if len(known) > 1:
        known = [end for end in known if end.address.value == 0] or known
    if len(known) > 1:
        told = ", ".join(_told(end) for end in known)
        raise BadValue("", "several local addresses take this client", f"Say which as local: one of {told}.")
    return known[0] if known else None


def _given(policy: Policy, binding: Binding, remote: Address) -> Endpoint:
    address = binding.address
    if address is None:
        address = _named(policy.addresses.get(binding.name or ""), binding)
    if address.version != remote.version:
        raise BadValue(str(binding), f"{remote} cannot reach it", "Give both ends in one IP version.")
    return Endpoint(address, binding.port)


def _named(address: str | None, binding: Binding) -> Address:
    if address is None:
        raise BadValue(str(binding), "the server has no address of this name", "Give the address itself.")
    return parse_address(address)


def _told(local: Endpoint) -> str:
    return str(Binding(local.address, None, local.port))


def _no_listener(remote: Address) -> BadValue:
    problem = f"no binding of this server takes IPv{remote.version} clients"
    return BadValue(str(remote), problem, "Bind a connector to [::]:25 or 0.0.0.0:25.")


# --- the answer ------------------------------------------------------------------------------------------------


def _nobody_home(question: Question, remote: Address, local: Endpoint | None) -> Explanation:
    where = _told(local) if local else ""
    reason = f"no connector is bound to {where}" if local else str(_no_listener(remote))
    return Explanation(
        server=question.server,
        remote=str(remote),
        local=where,
        verdict=Verdict.NOT_LISTENING,
        reply="",
        reason=reason,
    )


def _explanation(
    policy: Policy, question: Question, remote: Address, local: Endpoint, exchanges: list[Exchange]
) -> Explanation:
    steps = tuple(_step(exchange) for exchange in exchanges)
    last, trace = steps[-1], exchanges[-1].decision.trace
    return Explanation(
        server=question.server,
        remote=str(remote),
        local=_told(local),
        verdict=_verdict(exchanges[-1]),
        reply=last.reply,
        reason=last.reason,
        connector=trace.connector,
        range=trace.range,
        principal=trace.principal,
        rights=held_rights(policy, trace.connector, trace.principal),
        steps=steps,
    )


def held_rights(policy: Policy, connector: str, principal: str) -> tuple[HeldRight, ...]:
    """The entries that decide for a principal on a connector, in the order of their rights' names."""
    if not connector:
        return ()
    deciding = policy.connectors[connector].deciding(principal)
    return tuple(_held(ace) for _, ace in sorted(deciding.items()))


def _held(ace: Ace) -> HeldRight:
    effect = "" if ace.right in EFFECTIVE else "none here"
    return HeldRight(right=str(ace.right), source=ace.source, deny=ace.deny, effect=effect)


def _step(exchange: Exchange) -> Step:
    decision = exchange.decision
    return Step(
        line=exchange.line,
        reply=decision.reply.text if decision.reply else "",
        delay_s=decision.delay_s,
        **decision.trace._asdict(),
    )


def _verdict(exchange: Exchange) -> Verdict:
    reply = exchange.decision.reply
    if reply is None or not reply.refused:
        return Verdict.ACCEPTED
    return Verdict.REFUSED if reply.code >= 500 else Verdict.DEFERRED
