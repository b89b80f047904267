"""A state as bytes, so that a venue begins again without deciding, or even folding, all of its history.

Canonical JSON: equal states, kept in equal order, are equal bytes. What is derived is left out and made anew: books and
waiting orders from the orders, views, and the items of the digest. The caller compares the digest of what is loaded
with the one that the journal has for it.

**Command ids are kept for good**, all of them: none is ever handled twice. Their *outcomes* are not in a snapshot. They
are in the journal, under the command's number (:attr:`~ringfence.engine.state.State.handled`); after a load,
:func:`~ringfence.engine.decide.handle` answers a repetition with :class:`~ringfence.engine.decide.HandledBefore` and
that number, and whoever has the journal looks it up.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence import guard_rails
from ringfence.account import CollateralMode, MarginMode, PositionMode
from ringfence.engine import setup_text
from ringfence.engine.evolve import enter_order, enter_voucher, restore_items
from ringfence.engine.liquidity import Consumed
from ringfence.engine.state import Doubt, State
from ringfence.engine.trader import Held, Order, Voucher
from ringfence.errors import BadInput
from ringfence.ledger import Posting
from ringfence.numbers import exact

if TYPE_CHECKING:
    from ringfence.engine.setup import Setup
    from ringfence.engine.trader import Trader

SCHEMA = "ringfence state 1"

_ORDER_DECIMALS = ("quantity", "price", "trigger_price")
# What a snapshot meant that was written before it told; whatever comes to it has its place here.
_BEFORE: dict[str, list[Any]] = {"pressure": [], "doubts": [], "told": [], "baskets": [], "settled": []}
_TRADER_BEFORE: dict[str, Any] = {
    "collateral_mode": CollateralMode.SINGLE_ASSET.value, "rails": None, "fee_level": None, "discounts": [],
    "vouchers": [],
}  # fmt: skip

_VOUCHER_DECIMALS = ("amount", "share", "realised")
_VOUCHER_FIELDS = ("name", "kind", "asset", "amount", "share", "until", "realised")
_ORDER_FIELDS = (
    "id", "account", "symbol", "side", "quantity", "price", "reduce_only", "position_side", "time_in_force",
    "trigger_price", "trigger_by", "trigger_above", "close_position", "sequence",
)  # fmt: skip


def dump(state: State) -> bytes:
    """Return ``state`` as bytes that :func:`load` reads."""
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "setup": setup_text.write(state.setup),
        "set_up": state.set_up,
        "adopted": state.adopted,
        "sequence": state.sequence,
        "handled": list(state.handled),
        "handled_chain": state.handled_chain.hex(),
        "ledger": [[account, asset, str(balance)] for account, asset, balance in state.ledger.entries()],
        "marks": _prices(state.marks),
        "last": _prices(state.last),
        "index": _prices(state.index),
        "marked_at": list(state.marked_at.items()),
        "settled": _prices(state.settled),
        "consumed": [[symbol, str(taken.buy), str(taken.sell)] for symbol, taken in state.consumed.items()],
        "pressure": [[symbol, str(pressure), since] for symbol, (pressure, since) in state.pressure.items()],
        "doubts": [[of, symbol, str(price), count, at] for (of, symbol), (price, count, at) in state.doubts.items()],
        "told": [[kind, symbol, str(price)] for (kind, symbol), price in state.told.items()],
        "baskets": list(state.baskets),
        "holders": [[symbol, list(names)] for symbol, names in state.holders.items()],
        "traders": [_trader(trader) for trader in state.traders.values()],
    }
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()


@exact
def load(data: bytes, setup: Setup | None = None) -> State:
    """Return the state that ``data`` holds.

    ``setup`` stands in for the one in the snapshot, which has to be the same; None takes the snapshot's own. Raises
    BadInput for bytes of another schema, of another set-up, or of no snapshot at all.
    """
    try:
        values = json.loads(data)
        if not isinstance(values, dict) or values.get("schema") != SCHEMA:
            found = values.get("schema") if isinstance(values, dict) else type(values).__name__
            raise _unreadable(str(found))
        stored = setup_text.read(values["setup"])  # by what it means: it may be in an older form
        if setup is None:
            setup = stored
        elif setup_text.write(setup) != setup_text.write(stored):
            raise BadInput(
                "the snapshot belongs to another set-up", where="snapshot", expected=setup_text.write(setup),
                found=values["setup"], hint="open the journal with the set-up it was begun with",
            )  # fmt: skip
        return _loaded(values, setup)
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from error


def _unreadable(found: str) -> BadInput:
    return BadInput(
        "not a snapshot that this version reads", where="snapshot", expected=SCHEMA, found=found,
        hint="replay the journal from its commands, or use the ringfence that wrote the snapshot",
    )  # fmt: skip


def _prices(prices: dict[str, Decimal]) -> list[list[str]]:
    return [[symbol, str(price)] for symbol, price in prices.items()]


def _trader(trader: Trader) -> dict[str, Any]:
    return {
        "name": trader.name,
        "position_mode": trader.position_mode.value,
        "collateral_mode": trader.collateral_mode.value,
        "leverage": [[symbol, str(leverage)] for symbol, leverage in trader.leverage.items()],
        "margin_mode": [[symbol, mode.value] for symbol, mode in trader.margin_mode.items()],
        "replenishment": list(trader.replenishment.items()),
        "fee_level": trader.fee_level,
        "discounts": list(trader.discounts),
        "vouchers": [[_field(voucher, name) for name in _VOUCHER_FIELDS] for voucher in trader.vouchers.values()],
        "rails": None if trader.rails is None else guard_rails.write(trader.rails),
        "held": [
            [symbol, leg, str(held.quantity), str(held.entry_value), str(held.entry_price)]
            for (symbol, leg), held in trader.held.items()
        ],
        "orders": [[_field(order, name) for name in _ORDER_FIELDS] for order in trader.orders.values()],
        "levels": list(trader.levels.items()),
        "liquidating": list(trader.liquidating.items()),
    }


def _field(order: Order | Voucher, name: str) -> Any:
    value = getattr(order, name)
    return str(value) if isinstance(value, Decimal) else value


def _loaded(values: dict[str, Any], setup: Setup) -> State:
    values = {**_BEFORE, **values}
    state = State(setup)
    state.set_up = values["set_up"]
    if values["adopted"] is not None:
        name, as_of = values["adopted"]
        state.rulebook, state.adopted = setup.rulebook(name, as_of), (name, as_of)
    state.sequence = values["sequence"]
    state.handled = {command: number for number, command in enumerate(values["handled"], 1)}
    state.handled_chain = bytes.fromhex(values["handled_chain"])
    state.ledger.apply(tuple(Posting(account, asset, Decimal(amount)) for account, asset, amount in values["ledger"]))
    state.marks = {symbol: Decimal(price) for symbol, price in values["marks"]}
    state.last = {symbol: Decimal(price) for symbol, price in values["last"]}
    state.index = {symbol: Decimal(price) for symbol, price in values["index"]}
    state.marked_at = dict(values["marked_at"])
    state.settled = {symbol: Decimal(price) for symbol, price in values["settled"]}
    state.consumed = {symbol: Consumed(Decimal(buy), Decimal(sell)) for symbol, buy, sell in values["consumed"]}
    state.pressure = {symbol: (Decimal(pressure), since) for symbol, pressure, since in values["pressure"]}
    state.doubts = {(of, symbol): Doubt(Decimal(price), count, at) for of, symbol, price, count, at in values["doubts"]}
    state.told = {(kind, symbol): Decimal(price) for kind, symbol, price in values["told"]}
    state.baskets = dict.fromkeys(values["baskets"])
    for symbol, names in values["holders"]:
        state.holders[symbol] = {}
        for name in names:
            state.holds(name, symbol)
    for kept in values["traders"]:
        _load_trader(state, kept)
    restore_items(state)
    return state


def _load_trader(state: State, kept: dict[str, Any]) -> None:
    kept = {**_TRADER_BEFORE, **kept}
    trader = state.trader(kept["name"])
    trader.position_mode = PositionMode(kept["position_mode"])
    trader.collateral_mode = CollateralMode(kept["collateral_mode"])
    trader.leverage = {symbol: Decimal(leverage) for symbol, leverage in kept["leverage"]}
    trader.margin_mode = {symbol: MarginMode(mode) for symbol, mode in kept["margin_mode"]}
    trader.replenishment = dict(kept["replenishment"])
    rails = kept["rails"]
    trader.rails = None if rails is None else guard_rails.from_text(rails)
    for symbol, leg, quantity, entry_value, entry_price in kept["held"]:
        contract = state.rulebook.contract(symbol)
        trader.held[symbol, leg] = Held(Decimal(quantity), Decimal(entry_value), Decimal(entry_price), contract)
    for row in kept["orders"]:
        fields = dict(zip(_ORDER_FIELDS, row, strict=True))
        for name in _ORDER_DECIMALS:
            fields[name] = None if fields[name] is None else Decimal(fields[name])
        enter_order(state, Order(**fields))
    trader.fee_level = kept["fee_level"]
    trader.discounts = tuple(kept["discounts"])
    for row in kept["vouchers"]:
        fields = dict(zip(_VOUCHER_FIELDS, row, strict=True))
        for name in _VOUCHER_DECIMALS:
            fields[name] = Decimal(fields[name])
        enter_voucher(state, trader, Voucher(**fields))
    trader.levels = dict(kept["levels"])
    trader.liquidating = dict(kept["liquidating"])
    trader.touched(state.sequence)


__all__ = ["SCHEMA", "dump", "load"]
