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

from typing import TYPE_CHECKING, NamedTuple

from ringfence.margin.portfolio.black76 import STEP, UNMOVED, Shock, Shocks, price_now, prices
from ringfence.numbers import ONE, UNIT_VALUE_PLACES, ZERO, divide, exact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

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


class Gains:
    """What one holding gains in each scenario of a grid: option prices at once, amounts when they are asked for.

    A book's :func:`totals` need no amounts of single holdings: they are read where a requirement is explained.
    """

    __slots__ = ("_row", "_weighted", "grid", "holding", "prices", "start")

    def __init__(self, holding: Holding, grid: Grid) -> None:
        self.holding, self.grid = holding, grid
        option = holding.option
        self.prices = () if option is None else prices(option, grid.shocks)
        self.start = 0 if option is None else price_now(option)
        self._row: tuple[Value, ...] | None = None
        self._weighted: tuple[int, list[int], int] | None = None

    def weighted(self) -> tuple[int, list[int], int]:
        """Return an option's prices in each scenario and before them, each times its value, as whole numbers.

        First the exponent of ten of their unit, in STEPs. Kept: a holding is added up in many books.
        """
        if self._weighted is None:
            value = self.holding.value
            places = int(value.as_tuple().exponent)
            weight = int(value.scaleb(-places))
            self._weighted = places, [weight * price for price in self.prices], weight * self.start
        return self._weighted

    @property
    def row(self) -> tuple[Value, ...]:
        """Gain (negative: loss) in each scenario, in the account's currency."""
        if self._row is None:
            self._row = totals((self,), self.grid)
        return self._row


@exact
def totals(items: Sequence[Gains], grid: Grid) -> tuple[Value, ...]:
    """Return what ``items`` gain together in each scenario; zeros where there are none.

    The factors of a scenario are the same for all holdings of a kind, so values are added up before they are multiplied
    with them; exact, and therefore the sum of the single rows.
    """
    linear = inverse = ZERO
    quoted: list[Gains] = []
    coined: list[Gains] = []
    for item in items:
        holding = item.holding
        if holding.option is not None:
            (coined if holding.in_coin else quoted).append(item)
        elif holding.in_coin:
            inverse += holding.value
        else:
            linear += holding.value
    columns = [linear * factor for factor in grid.linear]
    if inverse:
        columns = [gain + inverse * factor for gain, factor in zip(columns, grid.inverse, strict=True)]
    if quoted:
        weighted, start, unit = _weighted(quoted, len(columns))
        columns = [
            gain + (unit * scenario.share) * (price - start)
            for gain, price, scenario in zip(columns, weighted, grid.scenarios, strict=True)
        ]
    if coined:
        weighted, start, unit = _weighted(coined, len(columns))
        columns = [
            gain + unit * (price * after - start * before)
            for gain, price, after, before in zip(columns, weighted, grid.coin_after, grid.coin_before, strict=True)
        ]
    return tuple(columns)


def _weighted(items: Sequence[Gains], width: int) -> tuple[list[int], int, Value]:
    """Return options' prices in each scenario and before them, each times its value, added up; and the unit of both.

    In whole numbers, which are quicker than decimals: values are whole multiples of the smallest place among them.
    """
    found = [item.weighted() for item in items]
    least = min(places for places, _, _ in found)
    total, start = [0] * width, 0
    for places, row, before in found:
        if places == least:
            total = [sum_ + amount for sum_, amount in zip(total, row, strict=True)]
            start += before
        else:
            factor = 10 ** (places - least)
            total = [sum_ + factor * amount for sum_, amount in zip(total, row, strict=True)]
            start += factor * before
    return total, start, STEP.scaleb(least)


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


__all__ = ["Gains", "Grid", "Holding", "Scenario", "losses", "totals", "worst"]
