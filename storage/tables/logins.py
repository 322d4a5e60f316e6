"""The console_logins table: who is logged in to the console; cookies and keys are stored as hashes only."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Transaction, stamp
from storage.tables.columns import read


@dataclass(frozen=True)
class Login:
    """One row; `key_hash` names the key of the login, which ends with its key."""

    token_hash: str
    key_hash: str
    principal: str
    end_user: str
    expires_at: str


async def add(tx: Transaction, login: Login) -> None:
    """Remember a login, and forget those that have run out."""
    await tx.run("remove_expired_logins", now=stamp())
    await tx.run("add_login", **vars(login))


async def find(tx: Transaction, token_hash: str) -> Login | None:
    """Return the login of a cookie, None when it has run out or was ended."""
    row = await tx.row("find_login", token_hash=token_hash, now=stamp())
    return read(Login, row) if row else None


async def remove(tx: Transaction, login: Login, *, everywhere: bool) -> None:
    """End this login, or every login of the same principal and user."""
    if everywhere:
        await tx.run("remove_logins", principal=login.principal, end_user=login.end_user)
    else:
        await tx.run("remove_login", token_hash=login.token_hash)
