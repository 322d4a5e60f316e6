"""What calls of a model cost, from `prices.toml` or an operator's file of the same form."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from errors import ConfigurationError
from settings import PREFIX, Settings

_OURS = Path(__file__).with_name("prices.toml")
_PER = Decimal(1_000_000)
_VERSION = re.compile(r"(?:-\d{4}-\d{2}-\d{2}|[-@]\d{8}|-latest)$")
"""A date or `latest` behind a name: the price is that of the name."""


class Price(BaseModel):
    """What a model costs, in USD per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Decimal = Field(ge=0)
    cached: Decimal | None = Field(None, ge=0)
    """Prompt tokens that the provider had in its cache; None: they cost as much as the others."""
    output: Decimal = Field(ge=0)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    models: dict[str, Price]


@cache
def read_prices(own: Path | None = None) -> Mapping[str, Price]:
    """Read the shipped prices and those of the operator's file, whose rows win.

    Raises ConfigurationError when `own` cannot be read or is malformed.
    """
    prices = _read(_OURS)
    return MappingProxyType(prices if own is None else {**prices, **_read(own)})


def cost(
    model: str,
    prompt_tokens: int,
    completion_tokens: int,
    cached_tokens: int = 0,
    prices: Mapping[str, Price] | None = None,
) -> Decimal | None:
    """Return the price of one call or of many in USD, None for a model without a price.

    `cached_tokens` are part of `prompt_tokens`. A vendor before the name (`openai/gpt-4.1`) and a date behind it
    (`gpt-4.1-2025-04-14`) make no difference, nor does `.` for `-`.
    """
    known = read_prices() if prices is None else prices
    name = _plain(model)
    price = known.get(name) or known.get(_VERSION.sub("", name))
    if price is None:
        return None
    cached = min(max(cached_tokens, 0), prompt_tokens)
    of_cached = price.input if price.cached is None else price.cached
    return ((prompt_tokens - cached) * price.input + cached * of_cached + completion_tokens * price.output) / _PER


def check_prices(settings: Settings) -> None:
    """Read the prices; raises ConfigurationError, also for a budget in money and a model that has no price."""
    prices = read_prices(settings.llm_prices_file)
    if not any(unit == "usd" for _, unit in settings.budgets):
        return
    for model in filter(None, (settings.llm_model, settings.llm_fallback_model)):
        if cost(model, 0, 0, prices=prices) is None:
            raise ConfigurationError(
                f"{PREFIX}BUDGET_USD_… needs the price of {model}: write it into the file of "
                f"{PREFIX}LLM_PRICES_FILE, or set a budget in tokens."
            )


def _plain(model: str) -> str:
    return model.strip().lower().rpartition("/")[2].replace(".", "-")


def _read(path: Path) -> dict[str, Price]:
    try:
        found = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal))
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"The prices file {path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"The prices file {path} is no TOML: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"The prices file {path} is not usable at {where}: {first['msg']}.") from error
    return {_plain(name): price for name, price in found.models.items()}
