"""The control plane's tables, on SQLite and PostgreSQL alike.

Every table says in `info["keeps"]` how it stays bounded: `fixed` (one row per live object), `referenced` (goes
with what refers to it), a number of days by the column `info["by"]`, or `for ever` (revisions: publishing is rare, and
every one can be gone back to). A test walks the metadata, `retention.py` acts on the days.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Json = dict[str, Any]


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime; kept as UTC, since SQLite has no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own declaration
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        dict[str, str]: JSON,
        dict[str, int]: JSON,
    }


class DraftRow(Base):
    """The draft's version (one row), and what is edited only as a whole: tests and assertions."""

    __tablename__ = "draft"
    __table_args__ = {"info": {"keeps": "fixed"}}  # noqa: RUF012
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    rest: Mapped[Json]
    updated_at: Mapped[datetime]
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class DraftObject(Base):
    """A connector, accepted domain or send connector of the draft; its id survives a rename."""

    __tablename__ = "draft_object"
    __table_args__ = (UniqueConstraint("kind", "name_key"), {"info": {"keeps": "fixed"}})
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(255))
    name_key: Mapped[str] = mapped_column(String(255))
    position: Mapped[int]
    body: Mapped[Json]
    version: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Revision(Base):
    """An immutable published snapshot: the document's canonical text, and the servers as published."""

    __tablename__ = "revision"
    __table_args__ = {"info": {"keeps": "for ever"}}  # noqa: RUF012
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(String(80))
    document: Mapped[str] = mapped_column(Text)
    servers: Mapped[Json]
    parent: Mapped[int | None]
    rollback_of: Mapped[int | None]
    message: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(255))
    report: Mapped[Json]
    created_at: Mapped[datetime]


class BundleRow(Base):
    """A signed bundle: the envelope's bytes as they are sent."""

    __tablename__ = "bundle"
    __table_args__ = {"info": {"keeps": "referenced"}}  # noqa: RUF012
    digest: Mapped[str] = mapped_column(String(80), primary_key=True)
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class Server(Base):
    """A mail host. `labels` and `addresses` are as edited; bundles and offers are made of `published_*`."""

    __tablename__ = "server"
    __table_args__ = (UniqueConstraint("name_key"), {"info": {"keeps": "fixed"}})
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    name_key: Mapped[str] = mapped_column(String(255))
    fqdn: Mapped[str] = mapped_column(String(255))
    labels: Mapped[dict[str, str]]
    addresses: Mapped[dict[str, str]]
    published_fqdn: Mapped[str] = mapped_column(String(255))
    published_labels: Mapped[dict[str, str]]
    published_addresses: Mapped[dict[str, str]]
    state: Mapped[str] = mapped_column(String(20))  # active, retired, banned
    version: Mapped[int] = mapped_column(BigInteger)
    public_key: Mapped[str] = mapped_column(String(120))
    enrollment_token_id: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class AgentToken(Base):
    """A server's token: at most two, the older dies with the first use of the newer."""

    __tablename__ = "agent_token"
    __table_args__ = {"info": {"keeps": "referenced"}}  # noqa: RUF012
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    server_id: Mapped[str] = mapped_column(ForeignKey("server.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class EnrollmentToken(Base):
    """What may enrol, once: the name, labels and addresses come from here, never from the host."""

    __tablename__ = "enrollment_token"
    __table_args__ = {"info": {"keeps": "30 days", "by": "expires_at"}}  # noqa: RUF012
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    server_name: Mapped[str | None] = mapped_column(String(255))
    labels: Mapped[dict[str, str]]
    addresses: Mapped[dict[str, str]]
    uses_left: Mapped[int]
    version: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Assignment(Base):
    """What a server shall run. The generation rises with every change, also on rollback and retry."""

    __tablename__ = "assignment"
    __table_args__ = {"info": {"keeps": "fixed"}}  # noqa: RUF012
    server_id: Mapped[str] = mapped_column(ForeignKey("server.id", ondelete="CASCADE"), primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str | None] = mapped_column(String(80))
    revision: Mapped[int | None]
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime]
    v: Mapped[int] = mapped_column(BigInteger, index=True)  # the fleet clock's value at the last change


class ServerStatus(Base):
    """What the agent says of itself; `running` and `last_attempt` are two facts, kept apart."""

    __tablename__ = "server_status"
    __table_args__ = {"info": {"keeps": "fixed"}}  # noqa: RUF012
    server_id: Mapped[str] = mapped_column(ForeignKey("server.id", ondelete="CASCADE"), primary_key=True)
    incarnation: Mapped[str] = mapped_column(String(64))
    seq: Mapped[int] = mapped_column(BigInteger)
    facts: Mapped[Json]
    facts_digest: Mapped[str] = mapped_column(String(80))
    running: Mapped[Json | None]
    last_attempt: Mapped[Json | None]
    health: Mapped[Json]
    reported_at: Mapped[datetime]


class Liveness(Base):
    """When a server was last heard, by our clock: narrow, and written for many servers at once."""

    __tablename__ = "liveness"
    __table_args__ = {"info": {"keeps": "fixed"}}  # noqa: RUF012
    server_id: Mapped[str] = mapped_column(ForeignKey("server.id", ondelete="CASCADE"), primary_key=True)
    last_seen: Mapped[datetime]
    said_goodbye: Mapped[bool]


class Attempt(Base):
    """How a generation ended on a server."""

    __tablename__ = "attempt"
    __table_args__ = (
        UniqueConstraint("server_id", "generation", "outcome"),
        {"info": {"keeps": "30 days", "by": "at"}},
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    server_id: Mapped[str] = mapped_column(ForeignKey("server.id", ondelete="CASCADE"))
    generation: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(String(80))
    outcome: Mapped[str] = mapped_column(String(20))
    phase: Mapped[str] = mapped_column(String(20))
    errors: Mapped[list[Any]]
    at: Mapped[datetime] = mapped_column(index=True)


class CounterMark(Base):
    """High-water marks of one incarnation's counters; the merge is max, so a repeat adds nothing.

    Old incarnations are folded into the one named `""`, which keeps a server's rows few.
    """

    __tablename__ = "counter_mark"
    __table_args__ = {"info": {"keeps": "fixed"}}  # noqa: RUF012
    server_id: Mapped[str] = mapped_column(ForeignKey("server.id", ondelete="CASCADE"), primary_key=True)
    incarnation: Mapped[str] = mapped_column(String(64), primary_key=True)
    totals: Mapped[Json]  # connector -> event -> total
    folded: Mapped[list[Any]]  # of the row "": incarnations that are in it already
    updated_at: Mapped[datetime]


class Device(Base):
    """A client address as a server reported it, over all lives of its agent; `checkins/sightings.py` merges."""

    __tablename__ = "device"
    __table_args__ = {"info": {"keeps": "90 days", "by": "last_seen"}}  # noqa: RUF012
    server_id: Mapped[str] = mapped_column(ForeignKey("server.id", ondelete="CASCADE"), primary_key=True)
    address: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    connector: Mapped[str] = mapped_column(String(255), primary_key=True)
    range: Mapped[str] = mapped_column(String(255), index=True)  # the latest that matched, as typed
    seen: Mapped[Json]
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime] = mapped_column(index=True)


class RangeHit(Base):
    """When a connector's range, as typed, last took a client on a server."""

    __tablename__ = "range_hit"
    __table_args__ = {"info": {"keeps": "400 days", "by": "last_hit"}}  # noqa: RUF012
    server_id: Mapped[str] = mapped_column(ForeignKey("server.id", ondelete="CASCADE"), primary_key=True)
    connector: Mapped[str] = mapped_column(String(255), primary_key=True, index=True)
    range: Mapped[str] = mapped_column(String(255), primary_key=True)
    last_hit: Mapped[datetime] = mapped_column(index=True)


class RelayUserRow(Base):
    """Who may log on with AUTH: the verifier that agents get of the secret, never the secret."""

    __tablename__ = "relay_user"
    __table_args__ = (UniqueConstraint("name_key"), {"info": {"keeps": "fixed"}})
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    name_key: Mapped[str] = mapped_column(String(255))
    verifier: Mapped[str] = mapped_column(String(120))
    senders: Mapped[list[Any]]
    comment: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    secret_since: Mapped[datetime]
    version: Mapped[int] = mapped_column(BigInteger)
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class ApiToken(Base):
    """A person's or pipeline's token: its SHA-256, never itself."""

    __tablename__ = "api_token"
    __table_args__ = {"info": {"keeps": "fixed"}}  # noqa: RUF012
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(20))
    digest: Mapped[str] = mapped_column(String(64))
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(BigInteger)
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class AuditEvent(Base):
    """Who did what, from where, to which object, and why; written in the transaction of the change itself."""

    __tablename__ = "audit_event"
    __table_args__ = (Index(None, "object_kind", "object_id"), {"info": {"keeps": "400 days", "by": "at"}})
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(255))
    token_id: Mapped[str] = mapped_column(String(40))
    remote: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str] = mapped_column(String(80))
    action: Mapped[str] = mapped_column(String(60))
    object_kind: Mapped[str] = mapped_column(String(40))
    object_id: Mapped[str] = mapped_column(String(80))
    object_name: Mapped[str] = mapped_column(String(255))
    before: Mapped[Json | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[Json | None] = mapped_column(JSON(none_as_null=True))
    reason: Mapped[str] = mapped_column(Text)


class IdempotencyRow(Base):
    """The answer to a POST, for whoever repeats it; the body of an answer that held a secret is not kept."""

    __tablename__ = "idempotency_key"
    __table_args__ = {"info": {"keeps": "1 day", "by": "created_at"}}  # noqa: RUF012
    token_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    headers: Mapped[dict[str, str]]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(index=True)


class Denied(Base):
    """An address or network blocked on the whole fleet, whatever is published."""

    __tablename__ = "denied"
    __table_args__ = (UniqueConstraint("address_range"), {"info": {"keeps": "fixed"}})
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    address_range: Mapped[str] = mapped_column(String(100))
    scope: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]


class Acknowledgement(Base):
    """Who takes a finding on, why and until when; the finding's id covers its exact ranges."""

    __tablename__ = "acknowledgement"
    __table_args__ = {"info": {"keeps": "400 days", "by": "until"}}  # noqa: RUF012
    finding_id: Mapped[str] = mapped_column(String(80), primary_key=True)
    who: Mapped[str] = mapped_column(String(255))
    token_id: Mapped[str] = mapped_column(String(40))
    why: Mapped[str] = mapped_column(Text)
    until: Mapped[datetime]
    created_at: Mapped[datetime]


class SigningKey(Base):
    """The public half of a fleet key; the private half is a 0600 file and never comes here."""

    __tablename__ = "signing_key"
    __table_args__ = {"info": {"keeps": "fixed"}}  # noqa: RUF012
    fingerprint: Mapped[str] = mapped_column(String(80), primary_key=True)
    public_key: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[datetime]


class FleetClock(Base):
    """One row, raised first in every change that servers must hear of: its order is commit order, without gaps.

    `denied_v` is its value at the last change of the denied set; `denied_ahead_v` the highest that a server reported
    and this database does not know of, since it was restored from a backup.
    """

    __tablename__ = "fleet_clock"
    __table_args__ = {"info": {"keeps": "fixed"}}  # noqa: RUF012
    id: Mapped[int] = mapped_column(primary_key=True)
    v: Mapped[int] = mapped_column(BigInteger)
    denied_v: Mapped[int] = mapped_column(BigInteger)
    denied_ahead_v: Mapped[int] = mapped_column(BigInteger, server_default="0")
