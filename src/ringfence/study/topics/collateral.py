"""Topics of collateral: what an asset counts for, when a venue sells it, and isolated positions in borrowed coins."""

from __future__ import annotations

from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

from ringfence.account import Collateral
from ringfence.margin.exchange import beyond_threshold, loan_to_value, worth_sold
from ringfence.numbers import ONE, PRICE_PLACES, VALUE_PLACES, ZERO, divide
from ringfence.study.topics.inputs import NotThisForm, number, take, take_or
from ringfence.study.topics.portfolio import scaled_by_tier

if TYPE_CHECKING:
    from ringfence.numbers import Value
    from ringfence.study.topics.inputs import Figures, Inputs

_DRIFT_NUMERATOR = Decimal("1.1")
_ROOT = Context(prec=40, rounding=ROUND_HALF_EVEN)


def collateral_weight(_rulebook: str, inputs: Inputs) -> Figures:
    """Weight of an asset by the size held: ``min(w, 1.1 ÷ (1 + imf · √size))`` (Drift v2), or by tiers of discount.

    Drift counts the size in quote units of 1e-6, the factor in 1e-6, weights in 1e-4, rounded down. Tiers apply slice
    by slice (OKX).
    Source: drift-labs/protocol-v2, ``spot_market_asset_weight`` of its margin tests; OKX, discount rate tiers.
    """
    if "tiers" in inputs:
        amount = take(inputs, "amount", "size", "equity")
        return {"discounted": scaled_by_tier(amount, inputs["tiers"]) * take_or(ONE, inputs, "price", "index")}
    size: Value = take(inputs, "size_quote_1e6").scaleb(-6)
    factor = take(inputs, "imf_factor").scaleb(-6)
    weight = take(inputs, "initial_asset_weight").scaleb(-4)
    by_size = divide(_DRIFT_NUMERATOR, ONE + factor * _ROOT.sqrt(abs(size)), places=4, rounding=ROUND_FLOOR)
    return {"asset_weight_1e4": min(weight, by_size).scaleb(4)}


def auto_exchange(_rulebook: str, inputs: Inputs) -> Figures:
    """Whether a venue sells collateral for a negative balance, and how much: ``|balance| ÷ (1 − haircut)``.

    Triggered at or beyond a threshold of the balance (Binance, Multi-Assets mode), or by loan-to-value (BingX: 0.995).
    """
    found: Figures = {}
    if "debt" in inputs or "loan" in inputs:
        worth = take(inputs, "collateral_value", "collateral")
        ratio = loan_to_value(
            {"debt": -take(inputs, "debt", "loan"), "rest": worth}, {"debt": Collateral(), "rest": Collateral()}
        )
        if ratio is None:
            raise NotThisForm("no collateral")
        return {"loan_to_value": ratio, "triggered": ratio >= take_or(Decimal("0.995"), inputs, "ltv_threshold")}
    wallet = next((name for name in inputs if name.endswith("wallet")), None)
    if wallet is None:
        raise NotThisForm("no wallet")
    balance = take(inputs, wallet)
    if "threshold" in inputs:
        found["triggered"] = beyond_threshold(balance, -take(inputs, "threshold"))
    share = take_or(ONE - take_or(ZERO, inputs, "autoexchange_haircut", "haircut"), inputs, "exchange_ratio")
    sold = worth_sold(max(ZERO, -balance), ONE - share)
    return found | {"collateral_sold": sold, "collateral_sold_usd": sold}


def spot_margin(_rulebook: str, inputs: Inputs) -> Figures:
    """Isolated spot margin: a long's margin is in the coin bought, a short's in the currency it is sold for.

    Long: margin ``qty ÷ L``, borrowed ``qty · price``, position assets ``qty + margin``. Short: margin ``qty · price
    ÷ L``, borrowed ``qty``, assets ``qty · price + margin``. A long's liquidation price is ``(liability + interest) ·
    (1 + m) · (1 + f) ÷ assets``. Source: OKX, isolated mode, spot margin (2024-08-28).
    """
    base, _, quote = str(inputs.get("product", "")).rpartition(" ")[2].lower().partition("/")
    if not quote:
        raise NotThisForm("no product such as 'margin BTC/USDT'")
    size = take(inputs, f"qty_{base}", "qty", "quantity")
    price, leverage = take(inputs, "fill_price", "price", "entry_price"), take(inputs, "leverage")
    if inputs.get("side") == "short":
        margin = divide(size * price, leverage, places=VALUE_PLACES)
        return {
            f"margin_{quote}": margin,
            f"borrowed_{base}": size,
            f"position_assets_{quote}": size * price + margin,
        }
    margin, owed = divide(size, leverage, places=VALUE_PLACES), size * price
    found: Figures = {f"margin_{base}": margin, f"borrowed_{quote}": owed, f"position_assets_{base}": size + margin}
    if "mmr" in inputs:
        owed += take_or(ZERO, inputs, "interest")
        owed *= (ONE + number(inputs["mmr"])) * (ONE + take_or(ZERO, inputs, "taker_fee_rate", "fee_rate"))
        found["liquidation_price"] = divide(owed, size + margin, places=PRICE_PLACES)
    return found


__all__ = ["auto_exchange", "collateral_weight", "spot_margin"]
