"""A pool to be rescued, what counts as saved, and the smallest amount that saves it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ringfence.margin.assess import assess_account
from ringfence.margin.price import liquidation_prices
from ringfence.numbers import RATIO_PLACES, ROUND_CEILING, ROUND_FLOOR, ZERO, divide, exact
from ringfence.study.rescue.result import Way

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.account import Account, Marks
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Rate, Value
    from ringfence.rulebook import Rulebook

STEP = Decimal("0.00000001")
"""What cash is counted in, and contracts whose step is not known. Ours."""

FURTHEST = 10**6  # a deposit is looked for up to that many times the obvious one


class Case(NamedTuple):
    """A pool to be rescued, with all that the search for ways needs."""

    account: Account
    before: tuple[Assessment, ...]
    pool: Assessment
    marks: Marks
    rulebook: Rulebook
    target: Decimal
    fee_rate: Rate | None

    def fee(self, symbol: str) -> Rate:
        """Return the rate that a close or a hedge pays."""
        return self.fee_rate if self.fee_rate is not None else self.rulebook.contract(symbol).taker_fee_rate or ZERO

    def assessed(self, account: Account) -> tuple[Assessment, ...]:
        """Return the pools of a changed account."""
        return assess_account(account, self.marks, self.rulebook)

    def saved(self, account: Account, *, shared: bool = False) -> bool:
        """Whether this pool is above the target and no other one has fallen to it. ``shared``: the cross one counts."""
        others = {a.pool.name for a in self.before if not above(a, self.target)} - {self.pool.pool.name}
        return all(
            above(a, self.target) or (a.pool.name in others and not (shared and not a.pool.isolated))
            for a in self.assessed(account)
        )


def above(assessment: Assessment, target: Decimal) -> bool:
    """Whether a pool's health is above ``target``; what requires nothing must only not be below 0."""
    balance, required = assessment.balance_held_against, assessment.liquidation_requirement
    if balance is None and not assessment.lines and not assessment.orders:
        return True
    if balance is None or required is None:
        return False
    return bool(balance > target * required) if required else bool(balance >= 0)


def way_of(
    case: Case,
    kind: str,
    what: str,
    account: Account,
    *,
    amount: Decimal | None = None,
    unit: str | None = None,
    cash: tuple[Value, Value, Value] = (ZERO, ZERO, ZERO),
) -> Way:
    """Return a way that was found, with the health it leads to. ``cash``: cost, from outside, tied up."""
    return Way(kind, what, amount, unit, *cash, health_after(case, account), room_after(case, account), None, account)


def no_way(kind: str, what: str, why: str, health: Decimal | None = None) -> Way:
    """Return a way that is none, with the reason, and the health it would come to where that is known."""
    return Way(kind, what, None, None, ZERO, ZERO, ZERO, health, None, why, None)


def health_after(case: Case, account: Account) -> Decimal | None:
    """Return the health after a change of the pool that then holds the positions; None where nothing is left."""
    healths = [a.health for a in _concerned(case, account) if a.health is not None]
    return min(healths, default=None)


def _concerned(case: Case, account: Account) -> list[Assessment]:
    """Return the pools that hold what the endangered one held: itself, another one after a switch, none if closed."""
    held = {(line.position.symbol, line.position.side) for line in case.pool.lines}
    return [a for a in case.assessed(account) if any((x.position.symbol, x.position.side) in held for x in a.lines)]


def room_after(case: Case, account: Account) -> Decimal | None:
    """Return the smallest move of one mark alone that liquidates the pool after a change."""
    moves = []
    for assessment in _concerned(case, account):
        for symbol in dict.fromkeys(line.position.symbol for line in assessment.lines):
            prices = liquidation_prices(assessment, symbol)
            mark = case.marks[symbol]
            moves += [
                divide(abs(price - mark), mark, places=RATIO_PLACES, rounding=ROUND_FLOOR)
                for price in (prices.below, prices.above)
                if price is not None
            ]
    return min(moves, default=None)


@exact
def smallest(
    reaches: Callable[[Decimal], bool], *, step: Decimal, most: Decimal, guess: Decimal | None
) -> Decimal | None:
    """Return the smallest multiple of ``step`` up to ``most`` (or ``most`` itself) that reaches; None: not even that.

    ``reaches`` is taken to stay true once it is. Begins at ``guess``, which mostly is the answer.
    """
    top = int(divide(most, step, places=0, rounding=ROUND_CEILING))
    fails, does = 0, top
    if guess is not None:
        near = int(divide(guess, step, places=0, rounding=ROUND_CEILING))
        for number in (near - 1, near, near + 1):
            if not fails < number < does:
                continue
            if reaches(number * step):
                does = number
                break
            fails = number
    if does == top and not reaches(most):
        return None
    while does - fails > 1:
        middle = (fails + does) // 2
        fails, does = (fails, middle) if reaches(middle * step) else (middle, does)
    return min(does * step, most)


__all__ = ["FURTHEST", "STEP", "Case", "above", "health_after", "no_way", "room_after", "smallest", "way_of"]
