"""Topics of portfolio margin and options: the parts of a requirement that venues have published figures for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence import rulebooks
from ringfence.account import DOLLARS, Account, Collateral, CollateralMode, MarginMode, Position, RiskInputs
from ringfence.contract import Contract, ContractKind
from ringfence.margin.assess import assess_account
from ringfence.margin.portfolio.charges import components, net_short, offsetting, scaled_by_steps
from ringfence.numbers import ONE, ZERO
from ringfence.portfolio_rules import UnifiedTerms
from ringfence.rulebook import Tier, TierTable
from ringfence.study.topics.inputs import NotThisForm, number, take, take_or

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ringfence.rulebook import Rulebook
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
    """Binance, portfolio margin (5e33af8e6ac04d57a1d0a3398e0a0752): net equity, maintenance of loans, open PnL.

    The account is assessed as ``ringfence assess`` does it. ``unimmr`` and the sums it is of are there where every
    asset that is not a dollar has an ``index``.
    """
    held, tables, marks = _positions(inputs)
    loans = {str(item["coin"]): number(item["loan"]) for item in inputs.get("margin", ())}
    wallet = {str(item["coin"]): number(item["asset"]) for item in inputs.get("margin", ())}
    for name in ("um_wallet", "cm_wallet"):
        if name in inputs:
            amount, asset = str(inputs[name]).split()
            wallet[asset] = wallet.get(asset, ZERO) + number(amount)
    index = {str(coin): number(price) for coin, price in inputs.get("index", {}).items()}
    shares = {str(coin): number(rate) for coin, rate in inputs.get("collateral_rate", {}).items()}
    assets = {*wallet, *(contract.settle_asset for contract, _ in tables.values())}
    account = Account(
        positions=tuple(held),
        wallet=wallet,
        collateral={asset: Collateral(index.get(asset, ONE), shares.get(asset, ONE)) for asset in assets},
        collateral_mode=CollateralMode.PORTFOLIO,
        risk=RiskInputs(loans=loans, reference=marks),
    )
    terms = UnifiedTerms(take_or(ZERO, inputs, "loan_mmr"), ONE, ONE)
    assessment = assess_account(account, marks, _unified_rulebook(terms).with_tables(tables))[0]
    found: Figures = {}
    for coin, loan in loans.items():
        net = number(next(item["asset"] for item in inputs["margin"] if str(item["coin"]) == coin)) - loan
        found |= {f"eq_{coin.lower()}_margin": net, f"eq_{coin.lower()}": net}
        found[f"margin_mm_{coin.lower()}"] = loan * terms.loan_rate
    for line in assessment.lines:
        name = line.position.symbol
        found["upnl_cm" if name == "cm" else f"upnl_{name}"] = line.unrealised_pnl
        found["cm_mm" if name == "cm" else name.replace("um_", "um_mm_")] = line.maintenance_margin or ZERO
    if all(asset in index or asset in DOLLARS for asset in assets) and assessment.margin_balance is not None:
        found |= {"equity": assessment.margin_balance, "mm": assessment.maintenance_margin or ZERO}
        if assessment.margin_ratio is not None:
            found["unimmr"] = assessment.margin_ratio
    return found


def _unified_rulebook(terms: UnifiedTerms) -> Rulebook:
    """Return Binance's rulebook with the terms of a case."""
    rulebook = rulebooks.load("binance-usdm")
    if rulebook.portfolio is None:
        raise NotThisForm("no rules of portfolio margin")
    return replace(rulebook, portfolio=replace(rulebook.portfolio, terms=terms))


_Table = tuple[Contract, TierTable | None]


def _positions(inputs: Inputs) -> tuple[list[Position], dict[str, _Table], dict[str, Decimal]]:
    """Return a case's positions with their contracts and marks, named ``um_perp``, ``um_q`` and ``cm``."""
    held: list[Position] = []
    tables: dict[str, _Table] = {}
    marks: dict[str, Decimal] = {}
    for item in (*inputs.get("um", ()), *inputs.get("cm", ())):
        coin_margined = "usd" in item
        name = "cm" if coin_margined else "um_perp" if str(item["sym"]).endswith("PERP") else "um_q"
        kind = ContractKind.INVERSE if coin_margined else ContractKind.LINEAR
        coin = str(item["sym"]).partition("USD")[0]
        settle = coin if coin_margined else "USDT"
        tier = Tier(ZERO, number(item["mmr"]), ZERO, None)
        tables[name] = (Contract(name, kind, ONE, settle, underlying=coin), TierTable((tier,)))
        quantity = number(item["usd" if coin_margined else "qty"])
        signed = quantity if item["side"] == "long" else -quantity
        held.append(Position(name, signed, number(item["entry"]), MarginMode.CROSS))
        marks[name] = number(item["mark"])
    return held, tables, marks


def _stress_requirement(inputs: Inputs) -> Figures:
    """``MMR = max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5, scaled MR7) + MR8 + MR9``; MR7 is scaled tier by tier.

    Source: OKX, scaling factor of portfolio margin (4417291853837) and portfolio margin mode. The functions are those
    of :mod:`ringfence.margin.portfolio.components`.
    """
    parts = {index: take_or(ZERO, inputs, f"mr{index}") for index in range(1, 10)}
    if "mr_max126_plus345" in inputs:
        parts |= {1: take(inputs, "mr_max126_plus345"), 2: ZERO, 3: ZERO, 4: ZERO, 5: ZERO, 6: ZERO}
    raw = take_or(parts[7], inputs, "mr7_raw")
    scaled = scaled_by_tier(raw, inputs["tiers"]) if "tiers" in inputs else raw
    after = components({**parts, 7: scaled})
    return {
        "mr7_adj": scaled,
        "mmr_before": components({**parts, 7: raw}) + parts[8] + parts[9],
        "mmr_after": after + parts[8] + parts[9],
        "mmr": after + parts[8] + parts[9],
        "imr": _INITIAL * (after + parts[9]),
    }


def scaled_by_tier(amount: Decimal, tiers: Iterable[Mapping[str, Any]]) -> Decimal:
    """Return ``amount`` with each slice of it (``upto`` the end of a tier) times that tier's ``mult`` or ``ratio``.

    What lies above the last tier's end takes the last factor.
    """
    return scaled_by_steps(
        amount,
        [
            (
                None if row.get("upto") is None else number(row["upto"]),
                number(row["mult" if "mult" in row else "ratio"]),
            )
            for row in tiers
        ],
    )


def _contingencies(inputs: Inputs) -> Figures:
    """Charges for what offsets only in part: Deribit, portfolio margin (older edition).

    Futures: a percentage of what expiries offset. Options: so much per net short contract of a strike.
    """
    found: Figures = {}
    if "future_contingency_pct" in inputs:
        futures = [
            abs(number(value)) if name.startswith("long_future") else -abs(number(value))
            for name, value in inputs.items()
            if name.startswith(("long_future", "short_future"))
        ]
        found["future_contingency_btc"] = offsetting(futures) * take(inputs, "future_contingency_pct").scaleb(-2)
    if "short_option_contingency_btc" in inputs:
        strikes: dict[object, Decimal] = {}
        for name, value in inputs.items():
            kind, _, strike = name.partition("_strike_")
            if kind in {"call", "put"} and strike:
                strikes[strike] = strikes.get(strike, ZERO) + number(value)
        found["option_contingency_btc"] = net_short(strikes) * take(inputs, "short_option_contingency_btc")
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
