"""What is put in for a coin that a tape lacks, and how it is taken to move with the others."""

from __future__ import annotations

from decimal import Decimal
from math import sqrt
from random import Random
from statistics import correlation, stdev
from typing import TYPE_CHECKING

import pytest

from ringfence.study.stand_in import put_in, said
from ringfence.study.volatility import ALONE, estimate
from ringfence.tape.coins import standing
from ringfence.tape.csv_file import read_csv_text

if TYPE_CHECKING:
    from ringfence.tape.bars import Tape

MINUTES_A_DAY = 1440


def tape(**returns: list[float]) -> Tape:
    """Return a tape of minutes whose closes make these returns, from 1,000 each."""
    lines = ["ts,symbol,open,high,low,close,volume"]
    for symbol, moves in returns.items():
        close = 1000.0
        for minute, move in enumerate([0.0, *moves]):
            close *= 1 + move
            stamp = f"2024-01-01T{minute // 60:02}:{minute % 60:02}:00Z"
            lines.append(f"{stamp},{symbol},{close:.6f},{close:.6f},{close:.6f},{close:.6f},1")
    return read_csv_text("\n".join(lines) + "\n", name="t", file="t.csv")


def drawn(seed: int, *, with_: list[float] | None = None) -> list[float]:
    draw = Random(seed)  # noqa: S311 - a test
    own = [draw.gauss(0, 0.01) for _ in range(200)]
    return own if with_ is None else [(a + b) / 2 for a, b in zip(own, with_, strict=True)]


X = drawn(1)
Y = drawn(2, with_=X)
Z = drawn(3, with_=X)


def test_with_one_symbol_its_volatility_stands_in_and_the_correlation_is_ours() -> None:
    found = estimate(tape(AUSDT=X), ("AUSDT", "QUSDT"))
    assert found.volatility("QUSDT") == pytest.approx(stdev(X), rel=1e-4)
    assert found.correlation("AUSDT", "QUSDT") == pytest.approx(ALONE[0], rel=1e-4)
    (one,) = found.put_in
    assert (one.of, one.least * 2, one.most / 2) == (1, one.median, one.median)


def test_with_several_the_volatility_is_their_median_and_the_correlation_that_of_one_with_the_others() -> None:
    found = estimate(tape(AUSDT=X, BUSDT=Y, CUSDT=Z), ("AUSDT", "QUSDT"))
    sigmas = sorted(stdev(moves) for moves in (X, Y, Z))
    assert found.volatility("QUSDT") == pytest.approx(sigmas[1], rel=1e-4)
    (one,) = found.put_in
    assert [float(share) for share in (one.least, one.most)] == pytest.approx(
        [sigmas[0] * sqrt(MINUTES_A_DAY), sigmas[2] * sqrt(MINUTES_A_DAY)], rel=1e-4
    )

    def others(a: list[float], b: list[float]) -> list[float]:
        return [(x + y) / 2 for x, y in zip(a, b, strict=True)]

    fits = sorted(correlation(m, others(a, b)) for m, a, b in ((X, Y, Z), (Y, X, Z), (Z, X, Y)))
    common = [sorted(moves)[1] for moves in zip(X, Y, Z, strict=True)]
    assert found.common is not None
    assert [found.common.least, found.common.correlation, found.common.most] == pytest.approx(fits, rel=1e-3)
    assert found.correlation("AUSDT", "QUSDT") == pytest.approx(fits[1] * correlation(X, common), rel=1e-3)


def test_two_coins_that_nothing_is_known_of_do_not_hedge_each_other_perfectly() -> None:
    found = estimate(tape(AUSDT=X), ("AUSDT", "QUSDT", "RUSDT"))
    assert found.correlation("QUSDT", "RUSDT") == pytest.approx(ALONE[0] ** 2)
    assert len(found.notes()) == 2  # one sentence for both


@pytest.mark.parametrize("known", [{"AUSDT": X}, {"AUSDT": X, "BUSDT": Y}, {"AUSDT": X, "BUSDT": Y, "CUSDT": Z}])
def test_prices_can_have_every_covariance_with_something_put_in(known: dict[str, list[float]]) -> None:
    numpy = pytest.importorskip("numpy")
    found = estimate(tape(**known), ("AUSDT", "QUSDT", "RUSDT"))
    for one in (found, *found.extremes()):
        values = numpy.linalg.eigvalsh(numpy.array(one.covariance))
        assert values[0] > -1e-9 * values[-1]


def test_the_extremes_are_the_least_and_the_most_of_volatility_and_correlation() -> None:
    found = estimate(tape(AUSDT=X), ("AUSDT", "QUSDT"))
    half, twice = found.volatility("AUSDT") / 2, found.volatility("AUSDT") * 2
    assert [(e.volatility("QUSDT"), e.correlation("AUSDT", "QUSDT")) for e in found.extremes()] == [
        pytest.approx(pair, rel=1e-4) for pair in ((half, 0.4), (half, 1.0), (twice, 0.4), (twice, 1.0))
    ]


def test_a_tape_that_has_every_coin_puts_nothing_in() -> None:
    found = estimate(tape(AUSDT=X, BUSDT=Y), ("AUSDT", "BUSDT"))
    assert (found.put_in, found.common, found.extremes(), found.notes()) == ((), None, (), ())


def test_a_move_is_put_in_between_the_smallest_and_the_largest_and_no_price_falls_to_nothing() -> None:
    several = put_in("QUSDT", [Decimal("-0.1"), Decimal("-0.4"), Decimal("-0.2")], tape="t")
    assert (several.median, several.least, several.most) == (Decimal("-0.2"), Decimal("-0.1"), Decimal("-0.4"))
    alone = put_in("QUSDT", [Decimal("-0.6")], tape="t")
    assert (alone.median, alone.least, alone.most) == (Decimal("-0.6"), Decimal("-0.3"), Decimal("-0.99"))


def test_symbols_that_are_given_the_same_are_told_in_one_sentence() -> None:
    moves = [Decimal("-0.1"), Decimal("-0.3"), Decimal("-0.2")]
    sentences = said([put_in(symbol, moves, tape="t") for symbol in ("Q", "R")], of="t low")
    assert sentences == [
        "* t low has no Q, R: the median move of its 3 symbols stands in, −20.0 %; theirs are −10.0 % to −30.0 %"
    ]


def test_a_tape_stands_for_the_coins_that_it_has_under_any_name() -> None:
    assert standing(("PI_XBTUSD", "QUSDT"), ("BTCUSDT",)) == {"PI_XBTUSD": "BTCUSDT"}
    assert standing(("QUSDT",), ("BTCUSDT",)) == {}
