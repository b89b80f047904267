"""The calculators traders know, on the exact core: before an order, and for changes of a position that is held.

:func:`profit` (PnL and return), :func:`target` (the price of a wanted PnL), :func:`liquidation` (where a position would
be called, liquidated and bankrupt), :func:`largest` (the biggest position a balance opens at a leverage),
:func:`average` (the entry of several fills). Every figure carries the formula it comes from, with the numbers put in.
Changes of a position that is held: :mod:`~ringfence.study.edit`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import Account, MarginMode, Position
from ringfence.errors import BadConfiguration
from ringfence.margin.assess import assess_account
from ringfence.margin.change import Fill, entry_margin, trade
from ringfence.margin.price import bankruptcy_price, break_even_price, liquidation_prices
from ringfence.margin.refusal import Refusal
from ringfence.numbers import (
    ONE,
    PRICE_PLACES,
    RATIO_PLACES,
    ROUND_CEILING,
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
    from collections.abc import Sequence

    from ringfence.contract import Contract
    from ringfence.numbers import Price, Quantity, Rate, Value
    from ringfence.rulebook import Rulebook

SCHEMA = "ringfence.size/1"
STAND_IN_STEP = Decimal("0.00000001")
"""What quantities are counted in where a contract's step is not known. Ours."""


_MOST_STEPS = 10**24


class Figure(NamedTuple):
    """One result. ``unit``: an asset, ``price``, ``fraction``, ``contracts``, ``×``.

    None: no such number, or, where it is not ``known``, one that something unknown keeps from being computed.
    """

    name: str
    value: Decimal | None
    unit: str
    formula: str
    known: bool = True


class Sizing(NamedTuple):
    """What one calculator answers. ``notes``: what was assumed, and why a number is missing."""

    kind: str
    symbol: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()

    def value(self, name: str) -> Decimal | None:
        """Return the figure of that name. Raises KeyError where there is none."""
        for figure in self.figures:
            if figure.name == name:
                return figure.value
        raise KeyError(name)


def direction_of(side: str) -> int:
    """Return +1 for ``long``, −1 for ``short``. Raises BadConfiguration for any other word."""
    if side not in {"long", "short"}:
        raise BadConfiguration("not a side", where="--side", expected="long or short", found=side, hint="write one")
    return 1 if side == "long" else -1


def fee_of(contract: Contract, given: Rate | None) -> tuple[Rate, tuple[str, ...]]:
    """Return the fee rate to reckon with (the given one, the contract's taker rate, or 0), and what that assumes."""
    if given is not None:
        return given, ()
    if contract.taker_fee_rate is not None:
        return contract.taker_fee_rate, (f"fees at the taker rate {plain(contract.taker_fee_rate)}",)
    return ZERO, (f"the taker fee of {contract.symbol} is not known: no fee is charged; --fee-rate gives one",)


@exact
def profit(
    contract: Contract,
    *,
    side: str,
    quantity: Quantity,
    entry: Price,
    exit_price: Price,
    leverage: Decimal | None = None,
    fee_rate: Rate | None = None,
) -> Sizing:
    """Return what closing at ``exit_price`` makes: gross, fees of both ways, net; and as a return on initial margin.

    ``quantity`` > 0 in contracts. The return (ROE) is net PnL ÷ (entry value ÷ leverage), 18 places, half-even.
    """
    signed, asset = quantity * direction_of(side), contract.settle_asset
    rate, notes = fee_of(contract, fee_rate)
    opened, closed = contract.contract_value(entry), contract.contract_value(exit_price)
    gross = signed * (contract.unit_value(exit_price) - contract.unit_value(entry))
    fees = rate * quantity * (opened + closed)
    figures = [
        Figure("pnl", gross, asset, _pnl_formula(contract, signed, entry, exit_price)),
        Figure(
            "fees", fees, asset, f"rate × (value at entry + at exit) = {_n(rate)} × {_n(quantity * (opened + closed))}"
        ),
        Figure("net_pnl", gross - fees, asset, f"PnL − fees = {_n(gross)} − {_n(fees)}"),
    ]
    if leverage is not None:
        value = quantity * opened
        margin = divide(value, leverage, places=VALUE_PLACES, rounding=ROUND_CEILING)
        figures += [
            Figure("initial_margin", margin, asset, f"value at entry ÷ leverage = {_n(value)} ÷ {_n(leverage)}"),
            Figure(
                "roe",
                divide(gross - fees, margin, places=RATIO_PLACES),
                "fraction",
                f"net PnL ÷ initial margin = {_n(gross - fees)} ÷ {_n(margin)}",
            ),
        ]
    return Sizing("pnl", contract.symbol, tuple(figures), notes)


@exact
def target(
    contract: Contract,
    *,
    side: str,
    quantity: Quantity,
    entry: Price,
    pnl: Value | None = None,
    roe: Rate | None = None,
    leverage: Decimal | None = None,
    fee_rate: Rate | None = None,
) -> Sizing:
    """Return the exit price at which a position has made ``pnl``, or ``roe`` times its initial margin, after fees.

    Exactly one of the two is given; ``roe`` needs a leverage. Rounded to the price step so that at least as much is
    made; 24 places where the step is not known. The price is None where no price above 0 makes so much.
    """
    asset, sign = contract.settle_asset, direction_of(side) * contract.orientation
    rate, notes = fee_of(contract, fee_rate)
    opened = contract.contract_value(entry)
    wanted = _wanted(pnl, roe, leverage, quantity * opened)
    # sign · size · (v − opened) − rate · size · (v + opened) = wanted
    numerator = wanted + quantity * opened * (rate + sign)
    slope = quantity * (sign - rate)
    price = None
    if (numerator > 0) == (slope > 0) and numerator:
        price = contract.price_at(abs(numerator), abs(slope), places=PRICE_PLACES, rounding=ROUND_HALF_EVEN)
        if contract.price_step is not None:
            toward = ROUND_CEILING if side == "long" else ROUND_FLOOR
            price = round_to(price, contract.price_step, rounding=toward) or None
    more, less = ("+", "−") if sign > 0 else ("−", "+")
    formula = (
        f"value of one contract = (entry value {more} (wanted + fee at entry) ÷ size) ÷ (1 {less} fee rate), "
        f"with {_n(opened)}, {_n(wanted)}, {_n(rate * quantity * opened)}, {_n(quantity)} and {_n(rate)}"
    )
    figures = [Figure("wanted_pnl", wanted, asset, "given" if roe is None else "ROE × value at entry ÷ leverage")]
    figures.append(Figure("target_price", price, "price", formula))
    if price is None:
        notes = (*notes, f"no price above 0 makes a {side} of {plain(quantity)} from {plain(entry)} that much")
        return Sizing("target", contract.symbol, tuple(figures), notes)
    move = divide(price - entry, entry, places=RATIO_PLACES)
    figures.append(Figure("move", move, "fraction", f"price ÷ entry − 1 = {_n(price)} ÷ {_n(entry)} − 1"))
    return Sizing("target", contract.symbol, tuple(figures), notes)


def _wanted(pnl: Value | None, roe: Rate | None, leverage: Decimal | None, value: Value) -> Value:
    if (pnl is None) == (roe is None):
        raise BadConfiguration(
            "what is wanted is not clear", where="size target", expected="one of --pnl and --roe",
            found="neither" if pnl is None else "both", hint="give an amount, or a return in percent",
        )  # fmt: skip
    if pnl is not None:
        return pnl
    if leverage is None:
        raise BadConfiguration(
            "a return is of a margin, and a margin needs a leverage", where="size target", expected="--leverage",
            found="none", hint="give --leverage, or --pnl",
        )  # fmt: skip
    return divide((roe or ZERO) * value, leverage, places=VALUE_PLACES)


@exact
def liquidation(
    rulebook: Rulebook, position: Position, *, wallet: Value | None = None, mark: Price | None = None
) -> Sizing:
    """Return where a position would be called, liquidated and bankrupt, before it is opened.

    An isolated one stands on its margin (entry value ÷ leverage where none is given), a cross one on ``wallet``, alone
    in its pool. Its mark is ``mark``, else its entry.
    """
    contract = rulebook.contract(position.symbol)
    asset, side, price = contract.settle_asset, position.side, mark or position.entry_price
    account = Account(positions=(position,), wallet={asset: wallet})
    assessment = next(a for a in assess_account(account, {position.symbol: price}, rulebook) if a.lines)
    line = assessment.lines[0]
    found = liquidation_prices(assessment, position.symbol).of_side(side)
    call = liquidation_prices(assessment, position.symbol, health=rulebook.levels.margin_call).of_side(side)
    distance = None if found is None else divide(found - price, price, places=RATIO_PLACES, rounding=ROUND_FLOOR)
    held = position.isolated_margin if position.isolated_margin is not None else wallet
    tier = "no tier" if line.tier is None else f"tier {line.tier + 1}"
    rate = "not known" if line.maintenance_rate is None else plain(line.maintenance_rate)
    required = f"{tier}: value × {rate} − {_n(line.deduction)}" + (" + closing fee" if line.closing_fee else "")
    level, known = plain(rulebook.levels.margin_call), health_known(assessment)
    free = contract.taker_fee_rate is None
    even = "the taker fee is not known; --fee-level names one" if free else "PnL = taker fee to open and to close"
    figures = (
        Figure("value", line.position_value, asset, f"{_n(abs(position.quantity))} contracts at {_n(price)}"),
        Figure("initial_margin", line.initial_margin, asset, _initial_formula(position)),
        Figure("maintenance_margin", line.maintenance_margin, asset, required, line.maintenance_margin is not None),
        Figure("margin_call_price", call, "price", f"balance = {level} × requirement", known),
        Figure("liquidation_price", found, "price", f"{_n(held)} + PnL at the price = requirement at the price", known),
        Figure("distance", distance, "fraction", f"price ÷ mark − 1, mark {_n(price)}", known),
        Figure("bankruptcy_price", bankruptcy_price(assessment, line), "price", f"{_n(held)} + PnL at the price = 0"),
        Figure("break_even_price", break_even_price(line), "price", even, known=not free),
        Figure("health", assessment.health, "×", "margin balance ÷ liquidation requirement, now", known),
    )
    return Sizing(
        "liquidation", position.symbol, figures, () if found is not None else (_no_price(position, held, known=known),)
    )


def _initial_formula(position: Position) -> str:
    return "not known without a leverage" if position.leverage is None else f"value ÷ {_n(position.leverage)}"


def _no_price(position: Position, held: Value | None, *, known: bool) -> str:
    if held is None:
        return "what stands behind the position is not known"
    if not known:
        return f"no maintenance rate of {position.symbol} is known: where it is liquidated is not either"
    return f"no price liquidates this {position.side}: {plain(held)} covers every loss it can make"


class Most(NamedTuple):
    """The largest quantity that opens, counted in ``step``; ``refusal``: of one step more, None where none is."""

    quantity: Quantity
    step: Quantity
    refusal: Refusal | None


@exact
def most_that_opens(
    rulebook: Rulebook,
    symbol: str,
    *,
    side: str,
    balance: Value,
    leverage: Decimal,
    price: Price,
    mode: MarginMode = MarginMode.CROSS,
    fee_rate: Rate | None = None,
) -> Most:
    """Return the largest multiple of the quantity step whose fill at ``price`` the venue's own checks let through.

    Searched for by halving: exact, as long as what is refused stays refused when it grows.
    """
    contract = rulebook.contract(symbol)
    sign = direction_of(side)
    rate, _ = fee_of(contract, fee_rate)
    step = contract.quantity_step or STAND_IN_STEP
    account, marks = Account(wallet={contract.settle_asset: balance}), {symbol: price}

    def outcome(steps: int) -> Refusal | None:
        fill = Fill(symbol, sign * steps * step, price, leverage, mode, None, rate)
        found = trade(account, fill, marks=marks, rulebook=rulebook)
        return found if isinstance(found, Refusal) else None

    value = contract.contract_value(price)
    fits, fails = 0, int(divide(balance * leverage, value * step, places=0, rounding=ROUND_CEILING)) + 1
    while fails < _MOST_STEPS and outcome(fails) is None:  # margin that does not follow from the leverage
        fits, fails = fails, 2 * fails
    while fails - fits > 1:
        middle = (fits + fails) // 2
        fits, fails = (fits, middle) if outcome(middle) is not None else (middle, fails)
    return Most(fits * step, step, outcome(fails))


@exact
def largest(
    rulebook: Rulebook,
    symbol: str,
    *,
    side: str,
    balance: Value,
    leverage: Decimal,
    price: Price,
    mode: MarginMode = MarginMode.CROSS,
    fee_rate: Rate | None = None,
) -> Sizing:
    """Return the largest position that ``balance`` opens at ``leverage``, by the venue's own checks.

    Found exactly: the largest multiple of the quantity step whose fill at ``price`` the rulebook's tiers and the
    balance (after the opening fee) allow; one step more is refused, and the note says why.
    """
    contract = rulebook.contract(symbol)
    asset, value = contract.settle_asset, contract.contract_value(price)
    rate, notes = fee_of(contract, fee_rate)
    quantity, step, refusal = most_that_opens(
        rulebook, symbol, side=side, balance=balance, leverage=leverage, price=price, mode=mode, fee_rate=fee_rate
    )
    figures = [
        Figure("quantity", quantity, "contracts", f"the largest multiple of {plain(step)} that is not refused"),
        Figure("value", quantity * value, asset, f"{_n(quantity)} contracts at {_n(price)}"),
    ]
    if quantity:
        held = Position(symbol, direction_of(side) * quantity, price, mode, None, leverage)
        margin = entry_margin(held, rulebook)
        fee = rate * quantity * value
        figures += [
            Figure("margin", margin, asset, f"value ÷ leverage = {_n(quantity * value)} ÷ {_n(leverage)}"),
            Figure("opening_fee", fee, asset, f"value × {plain(rate)}"),
            Figure("left", balance - (margin or ZERO) - fee, asset, f"{_n(balance)} − margin − fee"),
        ]
    why = f"{plain(quantity + step)} would be {refusal}" if refusal is not None else "nothing limits it"
    return Sizing("max", symbol, tuple(figures), (*notes, why))


@exact
def average(contract: Contract, fills: Sequence[tuple[Quantity, Price]]) -> Sizing:
    """Return the entry price that several fills of one side average to, by value: harmonic for inverse contracts.

    ``fills``: (contracts > 0, price). Rounded half-even to 24 places.
    """
    if not fills:
        raise BadConfiguration(
            "no fills", where="size average", expected="--fill QUANTITY@PRICE", hint="give at least one"
        )
    size = sum((quantity for quantity, _ in fills), ZERO)
    value = sum((quantity * contract.contract_value(price) for quantity, price in fills), ZERO)
    entry = contract.price_at(value, size, places=PRICE_PLACES, rounding=ROUND_HALF_EVEN)
    if contract.inverse:
        terms = " + ".join(f"{_n(quantity)} ÷ {_n(price)}" for quantity, price in fills)
        how = f"{_n(size)} ÷ ({terms})"
    else:
        terms = " + ".join(f"{_n(quantity)} × {_n(price)}" for quantity, price in fills)
        how = f"({terms}) ÷ {_n(size)}"
    figures = (
        Figure("quantity", size, "contracts", " + ".join(_n(quantity) for quantity, _ in fills)),
        Figure("entry_price", entry, "price", how),
        Figure("entry_value", value, contract.settle_asset, f"{_n(size)} contracts at {_n(entry)}"),
    )
    return Sizing("average", contract.symbol, figures)


def _pnl_formula(contract: Contract, signed: Quantity, entry: Price, exit_price: Price) -> str:
    size = _n(abs(signed)) + ("" if contract.contract_size == ONE else f" × {_n(contract.contract_size)}")
    first, second = (exit_price, entry) if signed > 0 else (entry, exit_price)
    if contract.inverse:
        return f"contracts × size × difference of 1 ÷ price = {size} × (1 ÷ {_n(second)} − 1 ÷ {_n(first)})"
    return f"quantity × difference of prices = {size} × ({_n(first)} − {_n(second)})"


def _n(value: Decimal | None) -> str:
    """Return a number for a formula: at most twelve significant digits."""
    if value is None:
        return "?"
    places = max(0, 11 - value.adjusted()) if value else 0
    return plain(value if places > 36 else round_to(value, ONE.scaleb(-places), rounding=ROUND_HALF_EVEN))


def as_json(sizing: Sizing) -> dict[str, Any]:
    """Return a calculator's answer as ``ringfence size --json`` prints it: decimals as strings, none as null."""
    return {
        "schema": SCHEMA,
        "kind": sizing.kind,
        "symbol": sizing.symbol,
        "figures": {f.name: None if f.value is None else plain(f.value) for f in sizing.figures},
        "units": {f.name: f.unit for f in sizing.figures},
        "formulas": {f.name: f.formula for f in sizing.figures},
        "not_known": [f.name for f in sizing.figures if not f.known],
        "notes": list(sizing.notes),
    }


__all__ = ["SCHEMA", "Figure", "Most", "Sizing", "as_json", "average", "direction_of", "fee_of", "largest",
           "liquidation", "most_that_opens", "profit", "target"]  # fmt: skip
