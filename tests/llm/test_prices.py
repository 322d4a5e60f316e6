"""llm/prices.py: what a call costs, by the shipped file and by an operator's own."""

from decimal import Decimal
from pathlib import Path

import pytest

from errors import ConfigurationError
from llm.prices import cost, read_prices


def test_prompt_cached_prompt_and_completion_have_their_own_prices() -> None:
    assert cost("gpt-4.1", 1_000_000, 0) == Decimal("2.00")
    assert cost("gpt-4.1", 0, 1_000_000) == Decimal("8.00")
    assert cost("gpt-4.1", 1_000_000, 500_000, 250_000) == Decimal("1.50") + Decimal("0.125") + Decimal("4.00")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("openai/gpt-4.1", "gpt-4.1"),
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("GPT-4.1-Mini", "gpt-4.1-mini"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
    ],
)
def test_the_names_that_servers_give_a_model_have_one_price(written: str, name: str) -> None:
    assert cost(written, 1000, 10) == cost(name, 1000, 10) is not None


@pytest.mark.parametrize("model", ["fake-llm", "qwen2.5-coder:7b", "gpt-4.1-of-somebody", "gpt", ""])
def test_a_model_without_a_price_costs_nothing_that_is_known(model: str) -> None:
    assert cost(model, 1000, 10) is None


def test_more_cached_than_prompt_tokens_cost_no_less_than_a_cached_prompt() -> None:
    assert cost("gpt-4.1", 100, 0, 900) == cost("gpt-4.1", 100, 0, 100)


def test_tokens_without_a_cache_price_cost_as_the_others() -> None:
    assert cost("codestral-latest", 1000, 0, 800) == cost("codestral", 1000, 0)


def test_each_shipped_price_is_one_that_a_call_can_have() -> None:
    for name, price in read_prices().items():
        assert cost(name, 1_000_000, 0) == price.input, name
        assert price.output >= price.input >= (price.cached or 0), name


def test_rows_of_an_operators_file_stand_before_ours(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text('[models]\n"gpt-4.1" = { input = 1, output = 2 }\n"team/Our.Model" = { input = 0.1, output = 0 }\n')
    prices = read_prices(own)
    assert cost("gpt-4.1", 1_000_000, 1_000_000, prices=prices) == 3
    assert cost("our-model", 1_000_000, 5, prices=prices) == Decimal("0.1")
    assert cost("gpt-4.1-mini", 1_000_000, 0, prices=prices) == Decimal("0.40")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models = [", "no TOML"),
        ("[models]\na = { input = -1, output = 2 }", r"models\.a\.input"),
        ("[models]\na = { input = 1 }", r"models\.a\.output"),
        ("[models]\na = { input = 1, output = 2, currency = 'EUR' }", r"models\.a\.currency"),
        ("", "models"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    own = tmp_path / "prices.toml"
    own.write_text(text)
    with pytest.raises(ConfigurationError, match=said) as refused:
        read_prices(own)
    assert str(own) in str(refused.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_prices(tmp_path / "none.toml")
