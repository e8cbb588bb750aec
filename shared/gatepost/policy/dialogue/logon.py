"""The AUTH exchange: which response comes next, and what becomes of it (RFC 4954)."""

from typing import TYPE_CHECKING

from gatepost.policy.dialogue import replies
from gatepost.policy.dialogue.decision import Charge, Decision, Limit, Usage
from gatepost.policy.dialogue.replies import Reply
from gatepost.policy.dialogue.rules import auth
from gatepost.policy.dialogue.rules.refusal import Refusal
from gatepost.policy.dialogue.throttle import take
from gatepost.policy.model.bundle import RelayUser
from gatepost.policy.model.rights import USER_PREFIX, Right

if TYPE_CHECKING:
    from gatepost.policy.dialogue.session import Session


class Logon:
    """An exchange in progress. LOGIN asks for the user, then the secret; PLAIN for one response."""

    def __init__(self, mechanism: str) -> None:
        self.mechanism = mechanism
        self.user: str | None = None

    def begin(self, session: "Session", initial: str, usage: Usage) -> Decision:
        session.logon = self
        if initial:
            return self.proceed(session, initial.encode("utf-8", "surrogateescape"), usage)
        challenge = replies.USERNAME if self.mechanism == "LOGIN" else replies.EMPTY_CHALLENGE
        return session.say(challenge, secret=True)

    def proceed(self, session: "Session", raw: bytes, usage: Usage) -> Decision:
        """One response. Nothing of it is ever logged."""
        if raw == b"*":
            session.logon = None
            return _secret(
                session.protocol_error(replies.AUTHENTICATION_CANCELLED, "cancelled by the client")
            )
        response = auth.decode(raw.decode("ascii", "replace"))
        if response is None:
            session.logon = None
            return _secret(session.protocol_error(replies.INVALID_ARGUMENTS, "a response that is not base64"))
        if self.mechanism == "LOGIN" and self.user is None:
            self.user = response.decode("utf-8", "replace")
            return session.say(replies.PASSWORD, secret=True)
        session.logon = None
        given = auth.Credentials(self.user, response) if self.user is not None else auth.plain(response)
        return _secret(_decide(session, given, usage))


def _secret(decision: Decision) -> Decision:
    return decision._replace(secret=True)


def refused_beforehand(session: "Session", usage: Usage) -> Decision | None:
    """A source that keeps guessing is answered 421 before anything is checked."""
    if take(usage.logon_failures, usage.now, auth.FAILURES_PER_MINUTE).allowed:
        return None
    return session.close(replies.TOO_MANY_LOGON_FAILURES, "too many failed logons from this address")


def _decide(session: "Session", given: auth.Credentials | None, usage: Usage) -> Decision:
    return _outcome(session, auth.check(session.policy.users, given) if given else None, usage)


def prove(session: "Session", name: str, usage: Usage) -> Decision:
    """What the right secret of a relay user is answered, after `334`: explain and tests know no secrets."""
    session.logon = None
    return _secret(_outcome(session, session.policy.users.get(name.lower()), usage))


def _outcome(session: "Session", user: RelayUser | None, usage: Usage) -> Decision:
    principal = f"{USER_PREFIX}{user.name.lower()}" if user else ""
    if user is None or not session.door.holds(principal, Right.SUBMIT):
        return _failed(
            session, usage, "wrong user or secret" if user is None else f"{principal} may not submit here"
        )
    session.become(principal)
    return session.say(replies.AUTHENTICATED)


def _failed(session: "Session", usage: Usage, reason: str) -> Decision:
    """Source: Exchange parameters MaxLogonFailures (0: never close) and AuthTarpitInterval."""
    session.logon_failures += 1
    allowed = session.door.model.max_logon_failures
    closing = bool(allowed) and session.logon_failures >= allowed
    reply: Reply = replies.TOO_MANY_LOGON_FAILURES if closing else replies.AUTHENTICATION_FAILED
    state = take(usage.logon_failures, usage.now, auth.FAILURES_PER_MINUTE).state
    decision = session.refuse(Refusal(reply, reason, close=closing))
    charge = Charge(Limit.LOGON_FAILURES, "", session.client, state)
    return decision._replace(delay_s=session.door.auth_tarpit_s, charges=(charge,))
