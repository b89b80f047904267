"""Topics of portfolio margin and options: the parts of a requirement that venues have published figures for."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence.numbers import PRICE_PLACES, ZERO, divide
from ringfence.study.topics.inputs import NotThisForm, number, take, take_or

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ringfence.study.topics.inputs import Figures, Inputs

_INITIAL = Decimal("1.3")  # OKX: initial margin of derivatives is 1.3 times maintenance


def portfolio_margin(rulebook: str, inputs: Inputs) -> Figures:
    """Parts of a portfolio requirement, as the venue states them."""
    if "margin" in inputs or "um" in inputs:
        return _unified_maintenance(inputs)
    if "mr7_raw" in inputs or any(name.startswith("mr") for name in inputs):
        return _stress_requirement(inputs)
    if "future_contingency_pct" in inputs or "short_option_contingency_btc" in inputs:
        return _contingencies(inputs)
    raise NotThisForm(f"no form of {rulebook}'s portfolio margin that is known")


def _unified_maintenance(inputs: Inputs) -> Figures:
    """Binance, portfolio margin (5e33af8e6ac04d57a1d0a3398e0a0752): net equity, maintenance of loans, open PnL."""
    found: Figures = {}
    rate = take_or(ZERO, inputs, "loan_mmr")
    for held in inputs.get("margin", ()):
        coin = str(held["coin"]).lower()
        net, loan = number(held["asset"]) - number(held["loan"]), number(held["loan"])
        found |= {f"eq_{coin}_margin": net, f"eq_{coin}": net, f"margin_mm_{coin}": loan * rate}
    for held in inputs.get("um", ()):
        perpetual = str(held["sym"]).endswith("PERP")
        quantity, mark = _sign(held) * number(held["qty"]), number(held["mark"])
        name = "perp" if perpetual else "q"
        found[f"upnl_um_{name}"] = quantity * (mark - number(held["entry"]))
        found[f"um_mm_{name}"] = abs(quantity) * mark * number(held["mmr"])
    for held in inputs.get("cm", ()):
        value, mark, entry = number(held["usd"]), number(held["mark"]), number(held["entry"])
        found["upnl_cm"] = _sign(held) * divide(value * (mark - entry), mark * entry, places=PRICE_PLACES)
        found["cm_mm"] = divide(value * number(held["mmr"]), mark, places=PRICE_PLACES)
    return found


def _sign(held: Mapping[str, Any]) -> Decimal:
    return Decimal(1) if held["side"] == "long" else Decimal(-1)


def _stress_requirement(inputs: Inputs) -> Figures:
    """``MMR = max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5, scaled MR7) + MR8 + MR9``; MR7 is scaled tier by tier.

    Source: OKX, scaling factor of portfolio margin (4417291853837) and portfolio margin mode.
    """
    part = {index: take_or(ZERO, inputs, f"mr{index}") for index in range(1, 10)}
    if "mr_max126_plus345" in inputs:
        stress = take(inputs, "mr_max126_plus345")
    else:
        stress = max(part[1], part[2], part[6]) + part[3] + part[4] + part[5]
    raw = take_or(part[7], inputs, "mr7_raw")
    scaled = scaled_by_tier(raw, inputs["tiers"]) if "tiers" in inputs else raw
    extra = part[8] + part[9]
    after = max(stress, scaled) + extra
    return {
        "mr7_adj": scaled,
        "mmr_before": max(stress, raw) + extra,
        "mmr_after": after,
        "mmr": after,
        "imr": _INITIAL * max(stress, scaled),
    }


def scaled_by_tier(amount: Decimal, tiers: Iterable[Mapping[str, Any]]) -> Decimal:
    """Return ``amount`` with each slice of it (``upto`` the end of a tier) times that tier's ``mult`` or ``ratio``.

    What lies above the last tier's end takes the last factor.
    """
    total, floor, factor = ZERO, ZERO, ZERO
    for row in tiers:
        factor = number(row["mult"] if "mult" in row else row["ratio"])
        end = number(row["upto"]) if row.get("upto") is not None else amount
        total += max(ZERO, min(amount, end) - floor) * factor
        floor = max(floor, end)
    return total + max(ZERO, amount - floor) * factor


def _contingencies(inputs: Inputs) -> Figures:
    """Charges for what offsets only in part: Deribit, portfolio margin (older edition).

    Futures: a percentage of what expiries offset. Options: so much per net short contract of a strike.
    """
    found: Figures = {}
    if "future_contingency_pct" in inputs:
        long = sum((abs(number(value)) for name, value in inputs.items() if name.startswith("long_future")), ZERO)
        short = sum((abs(number(value)) for name, value in inputs.items() if name.startswith("short_future")), ZERO)
        found["future_contingency_btc"] = min(long, short) * take(inputs, "future_contingency_pct").scaleb(-2)
    if "short_option_contingency_btc" in inputs:
        strikes: dict[str, Decimal] = {}
        for name, value in inputs.items():
            kind, _, strike = name.partition("_strike_")
            if kind in {"call", "put"} and strike:
                strikes[strike] = strikes.get(strike, ZERO) + number(value)
        short_contracts = sum((max(ZERO, -net) for net in strikes.values()), ZERO)
        found["option_contingency_btc"] = short_contracts * take(inputs, "short_option_contingency_btc")
    return found


def option_margin(_rulebook: str, inputs: Inputs) -> Figures:
    """Premium of an option order, and how far a strike is out of the money, by type.

    Source: Gate, options margin (28364): premium = price · |size| · multiplier.
    """
    found: Figures = {}
    if "order_price" in inputs:
        multiplier = take_or(Decimal(1), inputs, "multiplier")
        found["premium"] = take(inputs, "order_price") * abs(take(inputs, "size")) * multiplier
    if "underlying" in inputs:
        underlying = take(inputs, "underlying")
        if "strike_call" in inputs:
            found["otm_call"] = max(ZERO, take(inputs, "strike_call") - underlying)
        if "strike_put" in inputs:
            found["otm_put"] = max(ZERO, underlying - take(inputs, "strike_put"))
    if not found:
        raise NotThisForm("neither an order's price nor an underlying with strikes")
    return found


__all__ = ["option_margin", "portfolio_margin", "scaled_by_tier"]
