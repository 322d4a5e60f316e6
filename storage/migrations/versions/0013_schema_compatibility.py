"""Which releases can work on this schema: `compatible_from` is the oldest revision that a process has to know."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the table; a later revision that older code cannot live with raises the value in its one row."""
    op.execute("create table schema_compatibility (compatible_from text not null)")
    op.execute("insert into schema_compatibility (compatible_from) values ('0001')")
