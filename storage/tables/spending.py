"""The spending table: what turns, sessions and owners cost, the owners' by UTC day; money in billionths of a USD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from storage.database import Transaction, now
from storage.tables.runs import Run


@dataclass(frozen=True)
class Spent:
    """What was spent in one scope, and up to where its user let it go; 0 = never asked."""

    tokens: int = 0
    nano_usd: int = 0
    allowed_tokens: int = 0
    allowed_nano_usd: int = 0


@dataclass(frozen=True)
class Allowance:
    """The user lets a budget go up to `upto`: tokens, or billionths of a USD."""

    scope: str
    unit: str
    upto: int


async def add(tx: Transaction, run: Run, owner: str, tokens: int, nano_usd: int) -> None:
    """Count one model call."""
    named = {"run_id": run.id, "session_id": run.session_id, "owner": owner}
    await tx.run("add_spending", **named, day=day_of(0), tokens=tokens, nano_usd=nano_usd)


async def spent(tx: Transaction, run: Run, owner: str, days: int) -> dict[str, Spent]:
    """Return what the turn, the session, and the owner in the last `days` UTC days have spent."""
    named = {"run_id": run.id, "session_id": run.session_id, "owner": owner}
    rows = await tx.rows("spending_of", **named, since=day_of(1 - days))
    figures = ("tokens", "nano_usd", "allowed_tokens", "allowed_nano_usd")
    return {row.scope: Spent(*(int(getattr(row, figure)) for figure in figures)) for row in rows}


async def allow(tx: Transaction, run: Run, owner: str, allowances: Sequence[Allowance]) -> None:
    """Store how far the user lets budgets go: for this turn, for this session, for the owner from today on."""
    names = {"turn": run.id, "session": run.session_id, "owner": owner}
    for allowance in allowances:
        is_owner = allowance.scope == "owner"
        await tx.run(
            "allow_spending",
            scope=allowance.scope,
            subject=names[allowance.scope],
            day=day_of(0) if is_owner else "",
            session_id=None if is_owner else run.session_id,
            tokens=allowance.upto if allowance.unit == "tokens" else 0,
            nano_usd=allowance.upto if allowance.unit == "usd" else 0,
        )


async def forget(tx: Transaction, days: int) -> None:
    """Remove what owners spent more than `days` days ago."""
    await tx.run("forget_spending", before=day_of(1 - days))


def day_of(days: int) -> str:
    """Return the UTC day that is so many days from today."""
    return (now() + timedelta(days=days)).date().isoformat()
