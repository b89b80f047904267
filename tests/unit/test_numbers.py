"""Exact numbers: what may not happen by accident, and the two ways to round."""

from __future__ import annotations

from decimal import (
    ROUND_HALF_DOWN,
    ROUND_HALF_UP,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    getcontext,
)
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.numbers import (
    EXACT,
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ROUND_UP,
    divide,
    exact,
    plain,
    round_to,
)

DIRECTIONS = [ROUND_CEILING, ROUND_FLOOR, ROUND_UP, ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_HALF_DOWN]


def _rounded(number: Fraction, rounding: str) -> int:
    """A fraction rounded to a whole number, by its definition."""
    floor = number.numerator // number.denominator
    rest = number - floor
    if not rest:
        return floor
    if rounding in {ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_HALF_DOWN} and rest != Fraction(1, 2):
        return floor + (rest > Fraction(1, 2))
    up = {
        ROUND_CEILING: True,
        ROUND_FLOOR: False,
        ROUND_UP: number > 0,
        ROUND_DOWN: number < 0,
        ROUND_HALF_EVEN: floor % 2 == 1,
        ROUND_HALF_UP: number > 0,
        ROUND_HALF_DOWN: number < 0,
    }
    return floor + up[rounding]


numbers = st.builds(lambda whole, exponent: Decimal(whole).scaleb(exponent), st.integers(), st.integers(-30, 10))


@given(numbers, numbers.filter(bool), st.integers(0, 24), st.sampled_from(DIRECTIONS))
def test_a_quotient_is_the_true_one_rounded_once(above: Decimal, below: Decimal, places: int, rounding: str) -> None:
    quotient = divide(above, below, places=places, rounding=rounding)
    true = Fraction(above) / Fraction(below)
    assert Fraction(quotient) * 10**places == _rounded(true * 10**places, rounding)


@given(numbers, numbers.filter(lambda step: step > 0), st.sampled_from(DIRECTIONS))
def test_a_multiple_of_a_step_is_the_nearest_in_the_direction_asked_for(
    number: Decimal, step: Decimal, rounding: str
) -> None:
    multiple = round_to(number, step, rounding=rounding)
    assert Fraction(multiple) == _rounded(Fraction(number) / Fraction(step), rounding) * Fraction(step)


def test_a_quotient_just_past_a_tie_is_not_rounded_twice() -> None:
    # 0.5 and a digit in the 201st place: rounded to 160 digits first, as divide() works, it must not become a tie.
    above, below = Decimal("5" + "0" * 199 + "1"), Decimal("4" + "9" * 200)
    assert divide(above, Decimal("1e201"), places=0, rounding=ROUND_HALF_EVEN) == 1
    assert divide(below, Decimal("1e201"), places=0, rounding=ROUND_HALF_UP) == 0
    assert divide(Decimal("5e200"), Decimal("1e201"), places=0, rounding=ROUND_HALF_EVEN) == 0


def test_a_quotient_just_past_a_whole_number_is_rounded_up_when_up_is_asked_for() -> None:
    just_above = Decimal("1" + "0" * 199 + "1")
    assert divide(just_above, Decimal("1e200"), places=0, rounding=ROUND_CEILING) == 2
    assert divide(just_above.copy_negate(), Decimal("1e200"), places=0, rounding=ROUND_FLOOR) == -2


def test_a_zero_denominator_is_an_error_and_not_a_value() -> None:
    with pytest.raises(DivisionByZero):
        divide(Decimal(1), Decimal(0), places=2)


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [(ROUND_CEILING, "100.5"), (ROUND_FLOOR, "100"), (ROUND_HALF_EVEN, "100"), (ROUND_HALF_UP, "100.5")],
)
def test_a_price_between_two_steps_goes_where_its_direction_says(rounding: str, expected: str) -> None:
    assert round_to(Decimal("100.25"), Decimal("0.5"), rounding=rounding) == Decimal(expected)


def test_a_step_may_be_any_number_not_only_a_power_of_ten() -> None:
    assert round_to(Decimal(100), Decimal("0.3"), rounding=ROUND_CEILING) == 334 * Decimal("0.3")
    assert round_to(Decimal(-100), Decimal("0.3"), rounding=ROUND_CEILING) == -333 * Decimal("0.3")
    assert round_to(Decimal("0.00001234"), Decimal("0.00000025"), rounding=ROUND_FLOOR) == Decimal("0.00001225")


def test_a_number_on_a_step_stays_whatever_the_direction() -> None:
    for rounding in DIRECTIONS:
        assert round_to(Decimal("17.5"), Decimal("2.5"), rounding=rounding) == Decimal("17.5")


def test_the_exact_context_stops_at_a_result_that_would_have_to_be_rounded() -> None:
    @exact
    def third() -> Decimal:
        return Decimal(1) / Decimal(3)

    with pytest.raises(Inexact):
        third()


def test_the_exact_context_stops_at_a_float() -> None:
    @exact
    def with_float() -> object:
        return Decimal(0.1)  # noqa: RUF032 - the point

    @exact
    def compared() -> bool:
        return Decimal(1) < 1.5

    for function in (with_float, compared):
        with pytest.raises(FloatOperation):
            function()


def test_long_products_stay_exact() -> None:
    @exact
    def product() -> Decimal:
        return Decimal("9" * 60) * Decimal("9" * 60) * Decimal("9" * 60) * Decimal("9" * 60)

    assert int(product()) == (10**60 - 1) ** 4


def test_the_callers_context_comes_back_also_after_an_error() -> None:
    before = getcontext()

    @exact
    def fails() -> None:
        assert getcontext() is EXACT
        raise LookupError

    with pytest.raises(LookupError):
        fails()
    assert getcontext() is before


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1E+3", "1000"),
        ("0.10", "0.1"),
        ("100", "100"),
        ("1.000", "1"),
        ("-0.00", "0"),
        ("0E-30", "0"),
        ("-0.0250", "-0.025"),
        ("1E-9", "0.000000001"),
    ],
)
def test_numbers_are_written_plainly(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


@given(numbers)
def test_a_plainly_written_number_reads_back_as_itself(number: Decimal) -> None:
    text = plain(number)
    assert Decimal(text) == number
    assert "E" not in text.upper()
