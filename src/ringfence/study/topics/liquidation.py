"""Topics of liquidations: the price a liquidated position is filled at, and how much of it is closed."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ringfence.margin.forced import bankruptcy_proceeds, bankruptcy_rating, fillable_price, restoring_size
from ringfence.numbers import ONE, ZERO
from ringfence.study.topics.inputs import NotThisForm, number, pairs, take, take_or

if TYPE_CHECKING:
    from ringfence.study.topics.inputs import Figures, Inputs

_QUANTUM = {"BTC": -8, "ETH": -9}  # the resolution of a base quantum in dYdX's tests
_PPM = -6


class _Book(NamedTuple):
    """An account of the chain's tests: what all of it is worth, and what it must hold."""

    collateral: Decimal
    requirement: Decimal
    sizes: dict[str, Decimal]


def liquidation_fill(_rulebook: str, inputs: Inputs) -> Figures:
    """Fillable price of a position, and what must come in for a part of it to be closed at bankruptcy (dYdX v4).

    Source: dydxprotocol/v4-chain, ``liquidations_test.go`` (``TestGetFillablePrice`` and the bankruptcy prices).
    """
    prices = pairs(inputs.get("oracle", ""))
    rate = take(inputs, "mmf", "maintenance_fraction")
    book = _book(inputs, prices, rate)
    closing = str(inputs.get("closing") or next(iter(book.sizes), ""))
    if closing not in book.sizes:
        raise NotThisForm(f"no position in {closing}")
    found: Figures = {}
    if "bankruptcy_adjustment_ppm" in inputs:
        rating = bankruptcy_rating(
            collateral=book.collateral,
            requirement=book.requirement,
            adjustment=take(inputs, "bankruptcy_adjustment_ppm").scaleb(_PPM),
        )
        found["fillable_price"] = fillable_price(
            quantity=book.sizes[closing],
            oracle_price=prices[closing],
            maintenance_rate=rate,
            rating=rating,
            spread_to_maintenance=take(inputs, "spread_to_mm_ratio_ppm").scaleb(_PPM),
        )
    delta = next((name for name in ("delta_quantums", "delta") if name in inputs), None)
    if delta is not None:
        after = book.sizes[closing] + number(inputs[delta]).scaleb(_QUANTUM.get(closing, 0))
        proceeds = bankruptcy_proceeds(
            value_change=(after - book.sizes[closing]) * prices[closing],
            requirement_change=(abs(after) - abs(book.sizes[closing])) * prices[closing] * rate,
            collateral=book.collateral,
            requirement=book.requirement,
        )
        in_quanta = proceeds.scaleb(-_PPM)
        found |= {"bankruptcy_price_quote_quantums": in_quanta, "bankruptcy_quote_quantums": in_quanta}
    return found


def _book(inputs: Inputs, prices: dict[str, Decimal], rate: Decimal) -> _Book:
    sizes = {
        str(held["symbol"]): number(held["quantums"]).scaleb(_QUANTUM.get(str(held["symbol"]), 0))
        for held in inputs.get("positions", ())
    }
    missing = [symbol for symbol in sizes if symbol not in prices]
    if missing or not sizes:
        raise NotThisForm(f"no oracle price for {', '.join(missing) or 'any position'}")
    values = {symbol: size * prices[symbol] for symbol, size in sizes.items()}
    collateral = take(inputs, "usdc_balance", "quote_balance") + sum(values.values(), ZERO)
    return _Book(collateral, sum((abs(value) for value in values.values()), ZERO) * rate, sizes)


def liquidation_size(_rulebook: str, inputs: Inputs) -> Figures:
    """Base amount that just makes up a margin shortage (Drift v2), in 1e-9 of the base asset.

    Source: drift-labs/protocol-v2, ``programs/drift/src/math/liquidation/tests.rs``; where fees eat what is freed the
    chain answers with the largest number it has.
    """
    size = restoring_size(
        shortage=take(inputs, "margin_shortage", "shortage"),
        price=take(inputs, "oracle", "oracle_price"),
        margin_rate=take(inputs, "margin_ratio"),
        liquidator_fee=take_or(ZERO, inputs, "liquidator_fee"),
        insurance_fee=take_or(ZERO, inputs, "insurance_fee", "if_fee"),
        quote_price=take_or(ONE, inputs, "quote_oracle", "quote_price"),
    )
    return {"base_1e9": Decimal(2**64 - 1) if size is None else size.scaleb(9)}


__all__ = ["liquidation_fill", "liquidation_size"]
