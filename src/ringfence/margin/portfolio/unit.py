"""What one risk unit is required to hold: its scenarios, the worst of them, its charges, and how they make a margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ringfence.numbers import ZERO

if TYPE_CHECKING:
    from ringfence.margin.portfolio.charges import Charge
    from ringfence.margin.portfolio.exposure import Exposure
    from ringfence.margin.scenario import Grid
    from ringfence.numbers import Price, Quantity, Value


class Margins(NamedTuple):
    """The requirement of some exposures of a unit, every charge and dampener included.

    ``worst``: the scenario's place in the grid, None where no scenario loses or the model has none; ``worst_loss`` is
    what counts of it. ``columns``: gain of the whole in each scenario; ``losses``: what counts of it as a loss.
    ``parts``: the worst by group.
    """

    maintenance: Value
    initial: Value
    worst: int | None
    worst_loss: Value
    columns: tuple[Value, ...]
    losses: tuple[Value, ...]
    charges: tuple[Charge, ...]
    parts: tuple[tuple[str, Value, int | None], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One coin's risk unit: what is held on it, at which index, over which scenarios.

    ``spot``: coins held that may hedge; as many as do are among the ``exposures``.
    """

    coin: str
    index: Price
    grid: Grid | None
    exposures: tuple[Exposure, ...]
    margins: Margins
    spot: Quantity = ZERO

    @property
    def delta(self) -> Value:
        """Net delta in coins: what the unit gains, per unit of price, when the price rises."""
        return sum((item.delta for item in self.exposures), ZERO)


__all__ = ["Margins", "Unit"]
