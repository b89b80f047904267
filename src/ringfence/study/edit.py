"""What an account looks like after edits a trader has in mind: add margin, close a third, add at a price, hedge.

Edits are tried one after another by the rules of the venue (:mod:`ringfence.margin.change`); the first refusal ends it,
and nothing is half done: the outcome then has no account. Fills are at the mark unless a price is given, at the given
fee rate or the contract's taker rate.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import MarginMode, PositionMode
from ringfence.errors import BadConfiguration, nearest
from ringfence.margin import change
from ringfence.margin.assess import assess_account
from ringfence.margin.price import bankruptcy_price, liquidation_prices
from ringfence.margin.rails import against_rails
from ringfence.margin.refusal import Refusal
from ringfence.numbers import (
    ONE,
    RATIO_PLACES,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    VALUE_PLACES,
    ZERO,
    divide,
    exact,
    plain,
    round_to,
)
from ringfence.study.unknown import health_known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringfence.account import Account, Marks, Position
    from ringfence.guard_rails import GuardRails
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.numbers import Price, Quantity, Rate, Value
    from ringfence.rulebook import Rulebook

SCHEMA = "ringfence.size/1"
KINDS = ("deposit", "leverage", "close", "add-margin", "add", "hedge", "remove-margin")
"""What can be edited, in the order in which edits are made."""


class Edit(NamedTuple):
    """One edit. ``target``: a symbol, or an asset for a deposit; ``side`` names the leg where there are two.

    ``amount`` is an amount of the asset, a leverage, or contracts; with ``share`` it is a share of the position.
    """

    kind: str
    target: str
    amount: Decimal
    side: str | None = None
    share: bool = False
    price: Price | None = None


class HeldLeg(NamedTuple):
    """A position as the account holds it. None: no such number, or not known.

    ``known``: whether its pool has a health; where it has none, that there is no liquidation price says nothing.
    """

    symbol: str
    side: str
    pool: str
    quantity: Quantity
    entry_price: Price
    leverage: Decimal | None
    margin: Value | None
    unrealised_pnl: Value
    liquidation_price: Price | None
    distance: Decimal | None
    bankruptcy_price: Price | None
    health: Decimal | None
    formula: str
    known: bool


class _Terms(NamedTuple):
    """What edits are made on: fee, margin mode and leverages of what is opened anew, and guard rails."""

    fee_rate: Rate | None
    mode: MarginMode
    leverages: Mapping[str, Decimal]
    rails: GuardRails | None


class Edited(NamedTuple):
    """The account before and after. ``refusal``: why the venue says no; then there is no account and no after."""

    account: Account | None
    refusal: Refusal | None
    refused: Edit | None
    before: tuple[HeldLeg, ...]
    after: tuple[HeldLeg, ...]
    free_before: Mapping[str, Value | None]
    free_after: Mapping[str, Value | None]
    notes: tuple[str, ...]


@exact
def edit(
    account: Account,
    edits: Sequence[Edit],
    *,
    marks: Marks,
    rulebook: Rulebook,
    fee_rate: Rate | None = None,
    mode: MarginMode = MarginMode.CROSS,
    rails: GuardRails | None = None,
) -> Edited:
    """Return the account after ``edits``, made in the order of :data:`KINDS`. ``mode``: of positions opened anew.

    ``rails``: guard rails that whatever opens is held to; they refuse like the venue does.
    Raises BadConfiguration for an edit that cannot be meant so (no such position, a share of none).
    """
    ordered = sorted(edits, key=lambda item: KINDS.index(item.kind))
    known, notes = dict(marks), []
    leverages = {item.target: item.amount for item in ordered if item.kind == "leverage"}
    before = assess_account(account, known, rulebook)
    now = account
    for item in ordered:
        if item.kind in {"add", "close", "hedge"} and fee_rate is None:
            taker = rulebook.contract(item.target).taker_fee_rate
            notes.append(f"the taker fee of {item.target} is not known: no fee is charged; --fee-rate gives one"
                         if taker is None else f"fees of {item.target} at the taker rate {plain(taker)}")  # fmt: skip
        outcome = _step(now, item, known, rulebook, _Terms(fee_rate, mode, leverages, rails))
        if isinstance(outcome, Refusal):
            legs = _legs(before)
            return Edited(None, outcome, item, legs, (), _free(before), {}, tuple(dict.fromkeys(notes)))
        now = outcome
    after = assess_account(now, known, rulebook)
    unique = tuple(dict.fromkeys(notes))
    return Edited(now, None, None, _legs(before), _legs(after), _free(before), _free(after), unique)


def _step(
    account: Account,
    item: Edit,
    marks: dict[str, Price],
    rulebook: Rulebook,
    terms: _Terms,
) -> Account | Refusal:
    if item.kind == "deposit":
        if account.wallet.get(item.target, ZERO) is None:
            raise BadConfiguration(f"the balance of {item.target} is not known", where="--deposit",
                                   expected="a known balance", hint="give it in the account file")  # fmt: skip
        return replace(
            account, wallet={**account.wallet, item.target: (account.wallet.get(item.target) or ZERO) + item.amount}
        )
    outcome: change.Outcome
    if item.kind == "leverage":
        if account.position(item.target) is None:
            return account  # the leverage of a position still to be opened
        outcome = change.change_leverage(account, item.target, item.amount, marks=marks, rulebook=rulebook)
    elif item.kind in {"add-margin", "remove-margin"}:
        held = _held(account, item)
        move = change.add_isolated_margin if item.kind == "add-margin" else change.remove_isolated_margin
        outcome = move(account, held.symbol, held.side, item.amount, marks=marks, rulebook=rulebook)
    else:
        fill = _fill(account, item, marks, rulebook, terms)
        marks.setdefault(fill.symbol, fill.price)
        if terms.rails is not None:
            no = against_rails(account, fill, terms.rails, marks=marks, rulebook=rulebook)
            if no is not None:
                return no
        outcome = change.trade(account, fill, marks=marks, rulebook=rulebook)
    return outcome if isinstance(outcome, Refusal) else outcome.account


def _fill(
    account: Account,
    item: Edit,
    marks: Marks,
    rulebook: Rulebook,
    terms: _Terms,
) -> change.Fill:
    given, mode, leverages, _ = terms
    contract = rulebook.contract(item.target)
    rate = given if given is not None else contract.taker_fee_rate or ZERO
    held = account.position(item.target, item.side)
    hedged = account.position_mode is PositionMode.HEDGE
    if held is None and (item.kind != "add" or item.side is None or item.share):
        held = _held(account, item)
    price = item.price or marks.get(item.target)
    if price is None:
        raise BadConfiguration(f"no price for {item.target}", where=f"--{item.kind}", expected="QUANTITY@PRICE",
                               found=plain(item.amount), hint="write the price after an @")  # fmt: skip
    if item.kind == "hedge" and not hedged:
        raise BadConfiguration(
            f"hedging {item.target} in one-way mode would close it", where="--hedge",
            expected='an account in hedge mode ("position_mode": "hedge")', found="one_way",
            hint="use --close, or hedge with another symbol: --add SYMBOL:short=QUANTITY@PRICE",
        )  # fmt: skip
    size = _size(item, held, contract.quantity_step)
    own = (held.side if held is not None else item.side) or "long"
    side = own if item.kind != "hedge" else "short" if own == "long" else "long"
    buys = (side == "long") == (item.kind != "close")
    leverage = held.leverage if held is not None else leverages.get(item.target)
    kept = held.margin_mode if held is not None else mode
    return change.Fill(item.target, size if buys else -size, price, leverage, kept, side if hedged else None, rate)


def _size(item: Edit, held: Position | None, step: Decimal | None) -> Quantity:
    """Return the contracts of a fill; a share of a position is rounded down to the quantity step.

    A share such as 1/3 has been rounded itself: what it misses in the last digits is not what falls below a step.
    """
    if not item.share or held is None:
        return item.amount
    size = round_to(abs(held.quantity) * item.amount, ONE.scaleb(-18), rounding=ROUND_HALF_EVEN)
    return size if step is None else round_to(size, step, rounding=ROUND_FLOOR)


def _held(account: Account, item: Edit) -> Position:
    held = account.position(item.target, item.side)
    if held is None:
        names = [f"{p.symbol}:{p.side}" for p in account.positions]
        asked = item.target + (f":{item.side}" if item.side else "")
        raise BadConfiguration(
            f"no position {asked}", where=f"--{item.kind}", expected="one of " + (", ".join(names) or "none is held"),
            found=asked, hint=nearest(asked, names) or "name a position held; --add SYMBOL:long=1@2 opens one",
        )  # fmt: skip
    return held


def pairs(edited: Edited) -> list[tuple[HeldLeg | None, HeldLeg | None]]:
    """Return each position before and after the edits, in the account's order; None where it is not held."""
    before, after = ({(held.symbol, held.side): held for held in legs} for legs in (edited.before, edited.after))
    return [(before.get(key), after.get(key)) for key in dict.fromkeys((*before, *after))]


def held_alike(before: HeldLeg, after: HeldLeg) -> bool:
    """Whether a leg itself stayed as it was: only what its pool makes of it has moved."""
    own = ("pool", "quantity", "entry_price", "leverage")
    return all(getattr(before, name) == getattr(after, name) for name in own) and (
        before.margin == after.margin or not before.pool.startswith("isolated")
    )


def _legs(assessments: tuple[Assessment, ...]) -> tuple[HeldLeg, ...]:
    return tuple(_leg(assessment, line) for assessment in assessments for line in assessment.lines)


def _leg(assessment: Assessment, line: PositionLine) -> HeldLeg:
    position = line.position
    price = liquidation_prices(assessment, position.symbol).of_side(position.side)
    away = None
    if price is not None:
        away = divide(price - line.mark_price, line.mark_price, places=RATIO_PLACES, rounding=ROUND_FLOOR)
    own = position.isolated_margin if position.isolated_margin is not None else line.initial_margin
    return HeldLeg(
        position.symbol,
        position.side,
        assessment.pool.name,
        abs(position.quantity),
        position.entry_price,
        position.leverage,
        own,
        line.unrealised_pnl,
        price,
        away,
        bankruptcy_price(assessment, line),
        assessment.health,
        _formula(assessment, line),
        health_known(assessment),
    )


def _formula(assessment: Assessment, line: PositionLine) -> str:
    """Return the equation the liquidation price solves, with the numbers put in."""
    position, balance = line.position, assessment.balance_held_against
    if assessment.portfolio is not None:
        return "searched for on the exact requirement, the whole risk unit moving" if not line.contract.option else ""
    if balance is None or assessment.liquidation_requirement is None or line.liquidation_requirement is None:
        return "balance or requirement is not known"
    own = sum((x.unrealised_pnl for x in assessment.lines if x.position.symbol == position.symbol), ZERO)
    required = sum((x.liquidation_requirement or ZERO for x in assessment.lines
                    if x.position.symbol == position.symbol), ZERO)  # fmt: skip
    rest = assessment.liquidation_requirement - required
    rate = "?" if line.maintenance_rate is None else plain(line.maintenance_rate)
    others = f" + {_n(rest)}" if rest else ""
    fee = " + closing fee" if line.closing_fee else ""
    return f"{_n(balance - own)} + PnL(price) = value(price) × {rate} − {_n(line.deduction)}{fee}{others}"


def _n(value: Decimal) -> str:
    return plain(round_to(value, ONE.scaleb(-min(VALUE_PLACES, max(2, 7 - value.adjusted()))), rounding=ROUND_FLOOR))


def _free(assessments: tuple[Assessment, ...]) -> dict[str, Value | None]:
    """Return what each shared pool has available, by asset (``account`` for a basket)."""
    return {a.asset or "account": a.available_balance for a in assessments if not a.pool.isolated}


def as_json(edited: Edited) -> dict[str, Any]:
    """Return edits as ``ringfence size change --json`` prints them: decimals as strings, none as null."""

    def leg(held: HeldLeg) -> dict[str, Any]:
        return {k: plain(v) if isinstance(v, Decimal) else v for k, v in held._asdict().items()}

    def free(held: Mapping[str, Value | None]) -> dict[str, str | None]:
        return {asset: None if value is None else plain(value) for asset, value in held.items()}

    refusal = edited.refusal
    return {
        "schema": SCHEMA,
        "kind": "change",
        "refusal": None if refusal is None else refusal._asdict(),
        "refused_edit": edited.refused.kind if edited.refused is not None else None,
        "before": {"positions": [leg(held) for held in edited.before], "available": free(edited.free_before)},
        "after": None
        if refusal is not None
        else {"positions": [leg(held) for held in edited.after], "available": free(edited.free_after)},
        "notes": list(edited.notes),
    }


__all__ = ["KINDS", "SCHEMA", "Edit", "Edited", "HeldLeg", "as_json", "edit", "held_alike", "pairs"]
