"""What all sessions of this host share."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from gatepost_agent.current import Current
from gatepost_agent.smtp.account import Books
from gatepost_agent.smtp.certificates import Certificates
from gatepost_agent.smtp.input import Budget
from gatepost_agent.smtp.ledger import Rates, Sessions
from gatepost_agent.spool.spool import Spool


class Host(NamedTuple):
    """clock: seconds since 1970. sleep: how a tarpit waits, so that tests need not. session_cap and
    arrivals_per_minute: as in Usage."""

    current: Current
    spool: Spool
    sessions: Sessions
    rates: Rates
    books: Books
    certificates: Certificates
    budget: Budget
    session_cap: int
    arrivals_per_minute: int
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
