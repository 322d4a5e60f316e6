"""The budgets of a run: what its turn, its session and its owner may still spend, read and counted in the database."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import get_args

from agents.budget import Overrun
from llm.prices import cost, read_prices
from runs.engine import Engine
from settings import NANO, Scope
from storage.database import patiently
from storage.tables import spending
from storage.tables.runs import Run
from storage.tables.spending import Spent


class RunBudget:
    """The budgets of one run; what is counted is stored at once, so that other runs of the owner see it."""

    def __init__(self, engine: Engine, run: Run, owner: str) -> None:
        self._database = engine.database
        self._settings = engine.settings
        self._budgets = engine.settings.budgets
        self._run = run
        self._owner = owner
        self._spent: dict[str, Spent] = {}

    @property
    def is_used_up(self) -> bool:
        """Whether a budget is used up, by the last reading and what the run has spent since."""
        return bool(self._overruns())

    async def overruns(self) -> list[Overrun]:
        """Read which budgets are used up."""
        self._spent = await patiently(self._read, self._database)
        return self._overruns()

    async def count(self, model: str, prompt_tokens: int, completion_tokens: int, cached_tokens: int) -> None:
        """Count a model call; one by a name without a price costs as the configured model."""
        prices = read_prices(self._settings.llm_prices_file)
        names = (model, self._settings.llm_model)
        figures = (prompt_tokens, completion_tokens, cached_tokens, prices)
        paid = next((found for name in names if (found := cost(name, *figures)) is not None), 0)
        tokens, nano_usd = prompt_tokens + completion_tokens, round(paid * NANO)
        await patiently(partial(self._add, tokens, nano_usd), self._database)
        for scope in get_args(Scope):
            before = self._spent.get(scope, Spent())
            self._spent[scope] = replace(before, tokens=before.tokens + tokens, nano_usd=before.nano_usd + nano_usd)

    async def _read(self) -> dict[str, Spent]:
        async with self._database.autocommit() as tx:
            return await spending.spent(tx, self._run, self._owner, self._settings.budget_owner_days)

    async def _add(self, tokens: int, nano_usd: int) -> None:
        async with self._database.autocommit() as tx:
            await spending.add(tx, self._run, self._owner, tokens, nano_usd)

    def _overruns(self) -> list[Overrun]:
        found = []
        for (scope, unit), budget in self._budgets.items():
            spent = self._spent.get(scope, Spent())
            is_money = unit == "usd"
            used = spent.nano_usd if is_money else spent.tokens
            allowed = max(budget, spent.allowed_nano_usd if is_money else spent.allowed_tokens)
            if used >= allowed:
                one = NANO if is_money else 1
                days = self._settings.budget_owner_days
                found.append(Overrun(scope, unit, budget / one, used / one, allowed / one, days))
        return found
