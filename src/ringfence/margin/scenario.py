"""Profit and loss of a book over scenarios, exact: a table of positions × scenarios, and its worst column.

A scenario moves the price of one coin, its options' volatility, time and rates. What a position gains in it is counted
in the account's currency. Four kinds of holding are told apart, by what their gain is made of (``m``: the price move):

==================  ==================================================================================================
holding             gain
==================  ==================================================================================================
linear, spot        ``value · m``
inverse             ``base coins · index · m``, in coin worth ``m ÷ (1 + m)`` of them
option in quote     ``index · (price after − price before)``, prices as shares of the spot before the scenario
option in coin      ``index · (price after ÷ (1 + m) − price before)`` in coin at today's index
==================  ==================================================================================================

A gain in a coin counts at today's index (Deribit holds coin against coin) or at the scenario's price
(``coin_loss_at``). Option prices come rounded from :mod:`ringfence.margin.portfolio.black76`; everything here is exact
but for the division by ``1 + m``, which is carried to :data:`ringfence.numbers.UNIT_VALUE_PLACES` places.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ringfence.margin.portfolio.black76 import STEP, UNMOVED, Shock, Shocks, prices
from ringfence.numbers import ONE, UNIT_VALUE_PLACES, ZERO, divide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringfence.margin.portfolio.black76 import Option, VolatilityMove
    from ringfence.numbers import Rate, Value


class Scenario(NamedTuple):
    """One scenario of a risk unit. ``group``: which table or component it belongs to.

    ``move``: of the coin's price, above −1. ``share``: of the gain or loss that counts. ``dampener``: taken off a loss
    (never below 0), in the account's currency. ``edge``: the move at whose price an extended scenario's loss in a coin
    is counted. ``days``: that pass; ``rate``: added to a year's interest.
    """

    name: str
    group: str
    move: Rate
    volatility: VolatilityMove = UNMOVED
    share: Rate = ONE
    dampener: Value = ZERO
    edge: Rate | None = None
    days: Decimal = ZERO
    rate: Rate = ZERO


class Grid:
    """Scenarios with the factors that turn a holding's value into its gain in each of them. Made once per terms."""

    __slots__ = ("coin_after", "coin_before", "coin_dampeners", "dampeners", "inverse", "linear", "scenarios", "shocks")

    def __init__(self, scenarios: Sequence[Scenario], *, coin_loss_at: str) -> None:
        self.scenarios = tuple(scenarios)
        self.linear = tuple(s.move * s.share for s in scenarios)
        self.shocks = Shocks(
            Shock(float(ONE + s.move), s.volatility, float(s.days), float(s.rate)) for s in self.scenarios
        )
        weights = [self._coin_weights(s, coin_loss_at) for s in scenarios]
        self.inverse = tuple(after * s.move for (after, _), s in zip(weights, scenarios, strict=True))
        self.coin_after = tuple(after for after, _ in weights)
        self.coin_before = tuple(before for _, before in weights)
        self.dampeners = tuple(s.dampener for s in scenarios)
        self.coin_dampeners = tuple(
            s.dampener if s.edge is None else divide(s.dampener, ONE + s.edge, places=UNIT_VALUE_PLACES)
            for s in scenarios
        )

    @staticmethod
    def _coin_weights(scenario: Scenario, coin_loss_at: str) -> tuple[Decimal, Decimal]:
        """Return what a price after, and one before, count as in a coin's gain, both as shares of the spot before."""
        factor = ONE + scenario.move
        if coin_loss_at == "scenario":
            return scenario.share, factor * scenario.share
        at = factor if scenario.edge is None else ONE + scenario.edge
        after = divide(scenario.share, at, places=UNIT_VALUE_PLACES)
        return after, scenario.share if at == factor else factor * after


class Holding(NamedTuple):
    """What the rows of a table are of. ``value``: its signed value per unit move of the price, in account currency.

    For an option: the signed value of what it is on, at the index. ``in_coin``: whether it settles in the coin that
    moves. ``option``: None for everything that moves one to one with the price.
    """

    name: str
    value: Value
    in_coin: bool
    option: Option | None = None


def gains(holding: Holding, grid: Grid) -> tuple[Value, ...]:
    """Return what ``holding`` gains (negative: loses) in each scenario, in the account's currency."""
    value = holding.value
    if holding.option is None:
        return tuple([value * factor for factor in (grid.inverse if holding.in_coin else grid.linear)])
    found = prices(holding.option, grid.shocks)
    start = prices(holding.option, _NOW)[0]
    unit = value * STEP
    if holding.in_coin:
        return tuple([
            unit * (Decimal(price) * after - start * before)
            for price, after, before in zip(found, grid.coin_after, grid.coin_before, strict=True)
        ])  # fmt: skip
    return tuple([
        unit * (Decimal(price - start) * scenario.share)
        for price, scenario in zip(found, grid.scenarios, strict=True)
    ])  # fmt: skip


_NOW = Shocks((Shock(1.0),))


def totals(rows: Sequence[Sequence[Value]], width: int) -> tuple[Value, ...]:
    """Return the sum of every column; zeros where there are no rows."""
    if not rows:
        return (ZERO,) * width
    if len(rows) == 1:
        return tuple(rows[0])
    return tuple([sum(column, ZERO) for column in zip(*rows, strict=True)])


def losses(columns: Sequence[Value], grid: Grid, *, in_coin: bool = False) -> tuple[Value, ...]:
    """Return each scenario's loss after its dampener, 0 where the book gains.

    ``in_coin``: the book settles in the coin that moves, and so does what is taken off its loss.
    """
    dampeners = grid.coin_dampeners if in_coin else grid.dampeners
    return tuple([max(ZERO, -column - off) for column, off in zip(columns, dampeners, strict=True)])


def worst(found: Sequence[Value], grid: Grid, group: str | None = None) -> tuple[Value, int | None]:
    """Return the largest loss and its scenario's place, of ``group`` only when given; (0, None) where none loses.

    Of equal losses the first; where volatility makes none, as without options, the one at volatility as it is.
    """
    largest, place = ZERO, None
    for index, loss in enumerate(found):
        if loss > largest and group in (None, grid.scenarios[index].group):
            largest, place = loss, index
    if place is not None and grid.scenarios[place].volatility is not UNMOVED:
        same = grid.scenarios[place]._replace(volatility=UNMOVED)
        for index, scenario in enumerate(grid.scenarios):
            if found[index] == largest and scenario._replace(name=same.name) == same:
                return largest, index
    return largest, place


__all__ = ["Grid", "Holding", "Scenario", "gains", "losses", "totals", "worst"]
