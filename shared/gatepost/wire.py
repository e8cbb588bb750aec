"""Messages between agent and control plane. Times in `_s` (seconds), sizes in `_bytes`.

What the control plane sends is parsed strictly: an unknown field rejects the message. What an agent reports is
taken leniently (`extra="ignore"`), so that a newer agent can talk to an older control plane.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gatepost.signing import Signed

PROTOCOL = 1
INLINE_BUNDLE_BYTES = 32 * 1024
MAX_BUNDLE_BYTES = 64 * 1024 * 1024

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=1024)]
Wait = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Outcome = Literal["applied", "rejected", "rolled_back", "applying"]
Phase = Literal[
    "fetch", "verify", "parse", "test", "guard", "bind", "persist", "listen", "probation", "crash", ""
]


class Sent(BaseModel):
    """Something the control plane says: strict."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reported(BaseModel):
    """Something an agent says: unknown fields are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


# --- enrolment ---------------------------------------------------------------------------------------------


class EnrollRequest(Reported):
    """POST /agent/v1/enroll: idempotent on (token, public_key)."""

    token: Annotated[str, Field(max_length=512)]
    public_key: Annotated[str, Field(max_length=128)]
    name: Annotated[str, Field(min_length=1, max_length=64)]
    labels: dict[str, str] = {}
    addresses: dict[str, str] = {}
    protocol: int = PROTOCOL
    version: Text = ""
    hostname: Text = ""


class Keyring(Sent):
    """The keys that sign bundles and offers, newest first, as `ed25519:<base64>`."""

    keys: tuple[str, ...] = Field(min_length=1)


class EnrollReply(Sent):
    """What the agent keeps of enrolment. `agent_token` is shown once."""

    server_id: str
    name: str
    agent_token: str
    keyring: Keyring


# --- what a server shall run -------------------------------------------------------------------------------


class Offer(Sent):
    """The signed statement of what one server shall run; the payload of a `Signed` of kind `offer`.

    `published_at`: seconds since the epoch, the time at which the bundle's tests run.
    """

    server_id: str
    server: str
    generation: int = Field(ge=1)
    revision: int = Field(ge=0)
    digest: Digest
    fqdn: str = ""
    addresses: dict[str, str] = {}
    published_at: float
    probation_s: float = Field(default=60, ge=0)
    deadline_s: float = Field(default=300, ge=1)


class DeniedRange(Sent):
    """One row of the denied set: `no_service` (block) or `no_relay` (after a rollback)."""

    range: str
    effect: Literal["no_service", "no_relay"] = "no_service"
    source: str = "block"
    reason: str = ""


class DeniedList(Sent):
    """The fleet's denied set for one server, a signed `directive`; `version` only rises."""

    server_id: str
    version: int
    entries: tuple[DeniedRange, ...] = ()


# --- check-in ----------------------------------------------------------------------------------------------


class Running(Reported):
    """The bundle that the listeners hold now."""

    generation: int
    revision: int = 0
    digest: str
    settled: bool = True


class AttemptError(Reported):
    """One reason of a rejection."""

    type: Text
    pointer: Text = ""
    detail: Text = ""
    retryable: bool = False


class Attempt(Reported):
    """How the last generation that was tried ended."""

    generation: int
    digest: str
    outcome: Outcome
    phase: Phase = ""
    errors: Annotated[tuple[AttemptError, ...], Field(max_length=50)] = ()


class Condition(Reported):
    """A fact about the host that an operator should know. `observed_generation`: the config it was seen under."""

    type: Text
    status: Literal["True", "False", "Unknown"]
    reason: Text = ""
    message: Text = ""
    observed_generation: int = 0
    since_s: float = 0


class Health(Reported):
    """`ok`, `degraded` (something to look at) or `failing` (mail is not taken or not delivered)."""

    status: Literal["ok", "degraded", "failing"]
    conditions: Annotated[tuple[Condition, ...], Field(max_length=100)] = ()


class Facts(Reported):
    """What changes rarely; sent when the control plane does not know its digest."""

    version: Text = ""
    hostname: Text = ""
    listening: Annotated[tuple[Text, ...], Field(max_length=200)] = ()
    schemas: tuple[int, ...] = (1,)


class CounterSet(Reported):
    """Cumulative totals of one process life: `{connector: {event: total}}`. Merged by maximum."""

    incarnation: Annotated[str, Field(min_length=8, max_length=64)]
    totals: dict[str, dict[str, Annotated[int, Field(ge=0)]]] = {}
    closed: bool = False


class DeviceRow(Reported):
    """One client address as the agent saw it. Ages in seconds before this report."""

    address: Text
    connector: Text = ""
    range: Text = ""
    first_seen_age_s: float = 0
    last_seen_age_s: float = 0
    accepted: int = 0
    refused: dict[str, int] = {}
    helo: Text = ""
    tls: Text = ""
    tolerances: dict[str, int] = {}


class HitRow(Reported):
    """When a connector's range, as typed, last took a client: seconds before this report."""

    connector: Text
    range: Text
    age_s: float = 0


class CheckinRequest(Reported):
    """POST /agent/v1/checkin: the whole report. `seq` rises by one per message of an incarnation."""

    protocol: int = PROTOCOL
    seq: int = Field(ge=0)
    incarnation: Annotated[str, Field(min_length=8, max_length=64)]
    uptime_s: float = 0
    facts_digest: str = ""
    facts: Facts | None = None
    running: Running | None = None
    last_attempt: Attempt | None = None
    health: Health = Health(status="ok")
    denied_version: int = 0
    queue: dict[str, float] = {}
    counters: Annotated[tuple[CounterSet, ...], Field(max_length=60)] = ()
    devices: Annotated[tuple[DeviceRow, ...], Field(max_length=2000)] = ()
    hits: Annotated[tuple[HitRow, ...], Field(max_length=2000)] = ()


class Directives(Sent):
    """What the agent shall do besides applying an offer."""

    wait_s: Wait = 55
    reconnect_after_s: Wait = 0
    resend_facts: bool = False
    new_incarnation: bool = False
    rotate_token: bool = False


class CheckinReply(Sent):
    """Always 200 when authenticated. `offer` is None when there is nothing new: never «run nothing»."""

    server_time: float
    acknowledged_seq: int
    offer: Signed | None = None
    bundle: Signed | None = None
    denied: Signed | None = None
    held: str = ""
    """Why nothing is offered to this server, when an operator has to choose."""
    directives: Directives = Directives()


class TokenReply(Sent):
    """POST /agent/v1/token:rotate: the old token stays valid until the new one is first used."""

    agent_token: str
