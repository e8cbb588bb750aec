"""relay users, when ranges were last used, and devices by range"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Row = dict[str, Any]
NOTHING: dict[str, Any] = {"accepted": 0, "refused": {}, "tolerances": {}}
DEVICE = sa.table(
    "device",
    sa.column("server_id", sa.String),
    sa.column("address", sa.String),
    sa.column("connector", sa.String),
    sa.column("range", sa.String),
    sa.column("seen", sa.JSON),
)


def upgrade() -> None:
    op.create_table(
        "relay_user",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("name_key", sa.String(length=255), nullable=False),
        sa.Column("verifier", sa.String(length=120), nullable=False),
        sa.Column("senders", sa.JSON(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("secret_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relay_user")),
        sa.UniqueConstraint("name_key", name=op.f("uq_relay_user_name_key")),
        info={"keeps": "fixed"},
    )
    op.create_table(
        "range_hit",
        sa.Column("server_id", sa.String(length=40), nullable=False),
        sa.Column("connector", sa.String(length=255), nullable=False),
        sa.Column("range", sa.String(length=255), nullable=False),
        sa.Column("last_hit", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["server_id"], ["server.id"], name=op.f("fk_range_hit_server_id_server"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("server_id", "connector", "range", name=op.f("pk_range_hit")),
        info={"keeps": "400 days", "by": "last_hit"},
    )
    with op.batch_alter_table("range_hit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_range_hit_connector"), ["connector"], unique=False)
        batch_op.create_index(batch_op.f("ix_range_hit_last_hit"), ["last_hit"], unique=False)
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.add_column(sa.Column("range", sa.String(length=255), nullable=False, server_default=""))
        batch_op.create_index(batch_op.f("ix_device_address"), ["address"], unique=False)
        batch_op.create_index(batch_op.f("ix_device_range"), ["range"], unique=False)
    _rewrite(_divided)


def downgrade() -> None:
    _rewrite(_joined)
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_device_range"))
        batch_op.drop_index(batch_op.f("ix_device_address"))
        batch_op.drop_column("range")
    with op.batch_alter_table("range_hit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_range_hit_last_hit"))
        batch_op.drop_index(batch_op.f("ix_range_hit_connector"))
    op.drop_table("range_hit")
    op.drop_table("relay_user")


def _rewrite(change: Callable[[Row], tuple[str, dict[str, Any]]]) -> None:
    """Give every device the `range` and `seen` that `change` makes of what it has."""
    bind = op.get_bind()
    for row in bind.execute(sa.select(DEVICE)).mappings().all():
        keys = [DEVICE.c[name] == row[name] for name in ("server_id", "address", "connector")]
        range_, seen = change(dict(row))
        bind.execute(sa.update(DEVICE).where(*keys).values(range=range_, seen=seen))


def _divided(row: Row) -> tuple[str, dict[str, Any]]:
    """What an agent's life had counted becomes what earlier lives counted; its range gets a column."""
    seen = row["seen"]
    counted = {name: seen.get(name, nothing) for name, nothing in NOTHING.items()}
    told = {"helo": seen.get("helo", ""), "tls": seen.get("tls", "")}
    life = {"incarnation": "", "begun": 0.0, "counted": NOTHING}
    return seen.get("range", ""), told | life | {"before": counted}


def _joined(row: Row) -> tuple[str, dict[str, Any]]:
    seen = row["seen"]
    before, counted = seen["before"], seen["counted"]
    totals: dict[str, Any] = {"accepted": before["accepted"] + counted["accepted"]}
    for name in ("refused", "tolerances"):
        names = before[name].keys() | counted[name].keys()
        totals[name] = {key: before[name].get(key, 0) + counted[name].get(key, 0) for key in names}
    told = {name: row[name] for name in ("address", "connector", "range")}
    return row["range"], told | totals | {"helo": seen["helo"], "tls": seen["tls"]}
