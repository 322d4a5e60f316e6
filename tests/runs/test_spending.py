"""What budgets count in the database, and what settings are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from errors import ConfigurationError
from runs.keep.housekeeping import KEPT_SPENDING_DAYS
from server import create_app
from settings import Settings
from storage.connect import open_database
from storage.tables import sessions, spending
from storage.tables.spending import Allowance, Spent, day_of
from tests.runs.views import PAUSED

OWNER = "gateway/ann"


async def test_figures_add_up_and_levels_only_rise(db_url: str) -> None:
    database = await open_database(db_url)
    try:
        async with database.transaction() as tx:
            await sessions.create(tx, PAUSED.session_id, OWNER)
            for _ in range(3):
                await spending.add(tx, PAUSED, OWNER, 2**33, 10**12)
            for level in (500, 900, 700):
                await spending.allow(
                    tx, PAUSED, OWNER, [Allowance("owner", "usd", level), Allowance("turn", "tokens", level)]
                )
        async with database.autocommit() as tx:
            found = await spending.spent(tx, PAUSED, OWNER, 1)
            other = await spending.spent(tx, PAUSED, "gateway/bob", 1)
        assert found == {
            "turn": Spent(3 * 2**33, 3 * 10**12, allowed_tokens=900),
            "session": Spent(3 * 2**33, 3 * 10**12),
            "owner": Spent(3 * 2**33, 3 * 10**12, allowed_nano_usd=900),
        }
        assert "owner" not in other
    finally:
        await database.close()


async def test_an_owners_figures_outlive_the_session_but_not_their_time(db_url: str) -> None:
    database = await open_database(db_url)
    try:
        async with database.transaction() as tx:
            await sessions.create(tx, PAUSED.session_id, OWNER)
            await spending.add(tx, PAUSED, OWNER, 10, 0)
            await sessions.hard_delete(tx, PAUSED.session_id)
            assert set(await spending.spent(tx, PAUSED, OWNER, 30)) == {"owner"}
            await spending.forget(tx, KEPT_SPENDING_DAYS)
            assert set(await spending.spent(tx, PAUSED, OWNER, 30)) == {"owner"}, "today is kept"
            await spending.forget(tx, 0)
            assert await spending.spent(tx, PAUSED, OWNER, 30) == {}
    finally:
        await database.close()


def test_an_owners_days_end_with_today() -> None:
    assert day_of(-1) < day_of(0) < day_of(1)


def test_a_budget_in_money_needs_the_price_of_every_model(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text("[models]\nours = { input = 1, output = 1 }\n")
    chosen: dict[str, Any] = {"internal_api_key": "k", "llm_prices_file": own, "db_url": f"sqlite:///{tmp_path}/x.db"}
    create_app(Settings.load(**chosen, llm_model="ours", budget_usd_per_turn=1))
    create_app(Settings.load(**chosen, llm_model="theirs", budget_tokens_per_turn=1))
    without: list[dict[str, Any]] = [{"llm_model": "theirs"}, {"llm_model": "ours", "llm_fallback_model": "theirs"}]
    for models in without:
        with pytest.raises(ConfigurationError, match="needs the price of theirs"):
            create_app(Settings.load(**chosen, **models, budget_usd_per_owner=1))
