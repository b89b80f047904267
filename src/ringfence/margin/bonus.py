"""What a bonus pays of a charge, by the order in which its venue spends own money and bonus.

====================  =========================================================================================
order of use          what the bonus pays of a charge
====================  =========================================================================================
``bonus_first``       all it can; own money pays the rest (MEXC, Bybit, Bitget; BingX for losses and funding)
``own_first``         only what own money does not cover
``half``              half, as far as it goes (HTX)
``pro_rata``          its share of bonus and own money together (BingX until 2026-06-25)
``never``             nothing
====================  =========================================================================================

Whatever the order (``never`` excepted), the bonus pays what own money does not cover: it stands behind the account.

Sources: venue pages named in the rulebooks. Where a venue publishes no order, ``own_first`` is ours.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.numbers import VALUE_PLACES, ZERO, divide, exact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringfence.numbers import Rate, Value

ORDERS_OF_USE = ("bonus_first", "own_first", "half", "pro_rata", "never")


@exact
def paid_by_bonus(order: str, amount: Value, *, credit: Value, cash: Value) -> Value:
    """Return what ``credit`` of bonus pays of a charge of ``amount`` (≥ 0), beside ``cash`` of own money.

    Never more than the credit or the charge. A division (half, pro rata) is rounded half-even to 24 places.
    """
    if credit <= 0 or amount <= 0 or order == "never":
        return ZERO
    most, own = min(amount, credit), max(ZERO, cash)
    if order == "bonus_first":
        return most
    share = ZERO
    if order == "pro_rata":
        share = divide(amount * credit, credit + own, places=VALUE_PLACES)
    elif order == "half":
        share = divide(amount, Decimal(2), places=VALUE_PLACES)
    return min(most, max(share, amount - own))


@exact
def offset_of_losses(realised: Iterable[Value], *, ratio: Rate, trial_fund: Value) -> tuple[Value, Value]:
    """Return (net loss, what a trial fund has paid of it) after PnL ``realised`` since it was claimed.

    Net loss is what all of it together lost, at least 0; the fund pays ``ratio`` of it, at most itself.
    Source: BingX, trial fund offset of standard futures (12089589367439) and of perpetual futures (11494211324943).
    """
    net_loss = max(ZERO, -sum(realised, ZERO))
    return net_loss, min(trial_fund, ratio * net_loss)


@exact
def paid_by_voucher(
    charge: Value, *, left: Value, share: Rate, given: Value = ZERO, realised: Value | None = None
) -> Value:
    """Return what a voucher with ``left`` on it pays of a charge (≥ 0): its ``share``, never more than is left.

    ``realised``: the PnL since it was claimed, before this charge, where its venue limits it to the net loss; then it
    pays its share of that part of the charge which is not covered by earlier profit, and in all (``given``: so far) no
    more than :func:`offset_of_losses`. None: no such limit. Source: as there, and Bitget 12560603808912 for the share.
    """
    wanted = share * charge
    if realised is not None:
        before, after = max(ZERO, -realised), max(ZERO, charge - realised)
        wanted = min(share * (after - before), share * after - given)
    return max(ZERO, min(left, wanted))


@exact
def used_as_margin(order: str, margin: Value, *, credit: Value, cash: Value) -> tuple[Value, Value]:
    """Return (own money, bonus) that stand behind ``margin``: the first named in ``order`` first.

    Own money first at MEXC (2025-10-20). What neither covers is not in the sums.
    """
    bonus = paid_by_bonus(order, margin, credit=credit, cash=cash)
    return min(max(ZERO, cash), margin - bonus), bonus


__all__ = ["ORDERS_OF_USE", "offset_of_losses", "paid_by_bonus", "paid_by_voucher", "used_as_margin"]
