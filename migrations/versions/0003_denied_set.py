"""one block for each set of addresses, and denied sets that a restored database does not know"""

import sqlalchemy as sa
from alembic import op

from gatepost.policy.model.errors import BadValue
from gatepost_api.denied.schemas import canonical

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DENIED = sa.table(
    "denied",
    sa.column("id", sa.String),
    sa.column("address_range", sa.String),
    sa.column("created_at", sa.DateTime(timezone=True)),
)


def upgrade() -> None:
    with op.batch_alter_table("fleet_clock", schema=None) as batch_op:
        batch_op.add_column(sa.Column("denied_ahead_v", sa.BigInteger(), server_default="0", nullable=False))
    _write_alike()


def downgrade() -> None:
    with op.batch_alter_table("fleet_clock", schema=None) as batch_op:
        batch_op.drop_column("denied_ahead_v")


def _write_alike() -> None:
    """`10.9.9.9/32` is `10.9.9.9`: of blocks of the same addresses the first stays, and as much is blocked."""
    bind = op.get_bind()
    alike: dict[str, list[tuple[str, str]]] = {}
    for row in bind.execute(sa.select(DENIED).order_by(DENIED.c.created_at, DENIED.c.id)).all():
        alike.setdefault(_written(row.address_range), []).append((row.id, row.address_range))
    for written, ((first, text), *others) in alike.items():
        bind.execute(sa.delete(DENIED).where(DENIED.c.id.in_([id_ for id_, _ in others])))
        if text != written:
            bind.execute(sa.update(DENIED).where(DENIED.c.id == first).values(address_range=written))


def _written(text: str) -> str:
    try:
        return canonical(text)
    except BadValue:  # nothing that could be stored; it is none of this change's business
        return text
