"""Numbers for people: grouped, with the decimals that mean something."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ringfence.cli import show
from ringfence.cli.policy_words import LIQUIDATION_STEPS, SWITCHES, WORDS, meaning
from ringfence.rulebook import Policies, choices
from ringfence.rulebooks.check import STEPS

D = Decimal


@pytest.mark.parametrize(
    ("value", "asset", "shown"),
    [
        ("123456.789", "USDT", "123,456.79"),
        ("-1234567.891", "USDT", "-1,234,568"),
        ("-0.004", "USDT", "-0.0040"),
        ("0", "USDT", "0.00"),
        ("0.00000001", "BTC", "0.00000001"),
        ("1.5", "BTC", "1.50000000"),
        ("1234.56789", "ADA", "1,234.5679"),
        ("-0.001", "USDC", "-0.0010"),
        ("2.5", None, "2.50"),
    ],
)
def test_amounts_have_the_decimals_of_their_asset(value: str, asset: str | None, shown: str) -> None:
    assert show.amount(D(value), asset) == shown


def test_an_amount_that_is_not_known_says_so() -> None:
    assert show.amount(None, "USDT") == "not known"


@pytest.mark.parametrize(
    ("step", "given", "decimals"),
    [
        ("0.5", ("61000",), 1),
        ("10", ("61000",), 0),
        (None, ("117590.8",), 1),
        (None, ("3",), 4),
        (None, ("0.00001234",), 9),
        (None, ("26.699", "26.7"), 3),
    ],
)
def test_prices_have_the_decimals_of_their_step_or_of_what_was_given(
    step: str | None, given: tuple[str, ...], decimals: int
) -> None:
    assert show.price_decimals(None if step is None else D(step), [D(price) for price in given]) == decimals


def test_a_price_that_is_not_there_is_none() -> None:
    assert show.price(None, 2) == "none"
    assert show.price(D("61000.5"), 2) == "61,000.50"


@pytest.mark.parametrize(
    ("value", "shown"), [("-0.12345", "-12.34 %"), ("0.1", "+10.00 %"), ("1000", "> 10,000 %"), ("-0.00001", "+0.00 %")]
)
def test_percentages_have_their_sign(value: str, shown: str) -> None:
    assert show.percent(D(value)) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [("1.009", "1.00"), ("0.999", "0.99"), ("-0.001", "-0.01"), ("2000000", "> 1,000,000")]
)
def test_health_is_never_shown_better_than_it_is(value: str, shown: str) -> None:
    assert show.factor(D(value)) == shown


@pytest.mark.parametrize(
    ("used", "bar"),
    [("0", "····"), ("0.5", "██··"), ("1", "████"), ("9", "████"), ("0.25", "█···"), ("0.28125", "█▏··")],
)
def test_a_gauge_fills_up_to_liquidation(used: str, bar: str) -> None:
    assert show.gauge(D(used), width=4) == bar


def test_every_policy_and_every_choice_has_its_words() -> None:
    assert {policy: set(words) for policy, words in WORDS.items()} == {
        policy: set(names) for policy, names in choices().items()
    }
    switches = {name for name in Policies.__dataclass_fields__ if isinstance(getattr(Policies(), name), bool)}
    assert set(SWITCHES) == switches


def test_every_step_of_a_liquidation_has_its_words() -> None:
    assert set(LIQUIDATION_STEPS) == set(STEPS)


def test_a_number_among_the_policies_is_told_plainly() -> None:
    assert meaning("adjustment_factor", D("0.10")) == "adjustment factor is 0.1"
    assert meaning("adjustment_factor", None) is None
    assert meaning("orders_in_requirement", False) is None  # noqa: FBT003 - a policy's value
