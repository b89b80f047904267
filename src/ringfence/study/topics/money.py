"""Topics of money in an account: totals, realised PnL, what a bonus pays, usable equity, copy trading caps."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from ringfence.margin.bonus import offset_of_losses, paid_by_bonus, used_as_margin
from ringfence.margin.formulas import rate_by_size
from ringfence.numbers import ONE, PRICE_PLACES, ZERO, divide
from ringfence.study.topics.inputs import NotThisForm, number, take, take_or

if TYPE_CHECKING:
    from ringfence.study.topics.inputs import Figures, Inputs

_BYBIT_RATE_PLACES = 4
_DERIBIT_INITIAL, _DERIBIT_MAINTENANCE, _DERIBIT_SLOPE = Decimal("0.02"), Decimal("0.01"), Decimal("0.00005")


def account_totals(_rulebook: str, inputs: Inputs) -> Figures:
    """Totals of a whole account: balance, what is available, and the account's margin rates.

    Bybit's unified account shows rates truncated to four digits, and none in isolated mode (API replies of 2024 and
    2025). Deribit's segregated account charges 2 % and 1 % of the position in coin, plus 0.005 % per coin of it
    (support 25944738177565 and an API reply).
    """
    if "totalWalletBalance" in inputs:
        return _unified_totals(inputs)
    if "walletBalance" in inputs:
        equity = take(inputs, "walletBalance") + take(inputs, "unrealisedPnl", "unrealizedPnl")
        found: Figures = {"equity": equity, "accountIMRate": "", "accountMMRate": ""}
        if "usdValue" in inputs:
            found["totalEquity"] = take(inputs, "usdValue")
        return found
    equity = take(inputs, "balance") + _sum(inputs, ("futures_session_upl", "futures_session_rpl", "session_upl"))
    size = abs(take(inputs, "delta_btc_usd", "delta_eth_usd", "delta_total", "position_coin"))
    initial = size * rate_by_size(_DERIBIT_INITIAL, _DERIBIT_SLOPE, size)
    maintenance = size * rate_by_size(_DERIBIT_MAINTENANCE, _DERIBIT_SLOPE, size)
    return {
        "equity": equity,
        "initial_margin": initial,
        "maintenance_margin": maintenance,
        "available_funds": equity - initial,
    }


def _unified_totals(inputs: Inputs) -> Figures:
    balance = take(inputs, "totalWalletBalance") + take(inputs, "totalPerpUPL")
    found: Figures = {"totalMarginBalance": balance}
    for given, rate in (("totalInitialMargin", "accountIMRate"), ("totalMaintenanceMargin", "accountMMRate")):
        if given in inputs and balance > 0:
            found[rate] = divide(take(inputs, given), balance, places=_BYBIT_RATE_PLACES, rounding=ROUND_DOWN)
    if "totalInitialMargin" in inputs:
        found["totalAvailableBalance"] = max(ZERO, balance - take(inputs, "totalInitialMargin"))
    return found


def _sum(inputs: Inputs, names: tuple[str, ...]) -> Decimal:
    return sum((number(inputs[name]) for name in names if inputs.get(name) is not None), ZERO)


def realised_pnl(rulebook: str, inputs: Inputs) -> Figures:
    """PnL of closing at a price: linear ``s · n · face · (exit − from)``, inverse ``s · n · face · (1/from − 1/exit)``.

    ``from``: the last settlement price where the venue settles daily (OKX until 2020), else the entry price. What fees
    are given is taken off.
    """
    sign = {"long": ONE, "short": -ONE}.get(str(inputs.get("side")))
    if sign is None:
        raise NotThisForm("no side, long or short")
    size = take(inputs, "contracts", "quantity", "qty", "size") * take_or(ONE, inputs, "face", "face_usd", "multiplier")
    start = take(inputs, "settlement_reference_price", "entry_price", "entry", "open_price")
    end = take(inputs, "exit_price", "close_price", "price", "exit")
    inverse = inputs.get("kind") == "inverse" or "face_usd" in inputs or rulebook.endswith(("-coinm", "-inverse"))
    if inverse:
        pnl = sign * divide(size * (end - start), start * end, places=PRICE_PLACES)
    else:
        pnl = sign * size * (end - start)
    return {"realised_pnl": pnl - _sum(inputs, ("fee", "fees", "open_fee", "close_fee", "funding_fee"))}


_ORDER_OF_USE = {
    "mexc": "bonus_first", "bybit": "bonus_first", "bitget": "bonus_first", "htx": "half", "bingx": "pro_rata",
}  # fmt: skip


def bonus(rulebook: str, inputs: Inputs) -> Figures:
    """What a trial fund offsets of a net loss (BingX), or what bonus and own money each pay and back (the others).

    Sources: BingX 12089589367439 and 11494211324943; MEXC, futures bonus (2025-10-20): costs from the bonus first,
    margin from own money first.
    """
    if "offset_ratio" in inputs:
        realised = [number(value) for value in inputs.get("realised_since_claim", inputs.get("realised", ()))]
        net_loss, used = offset_of_losses(
            realised, ratio=take(inputs, "offset_ratio"), trial_fund=take(inputs, "trial_fund", "bonus")
        )
        return {"net_loss": net_loss, "trial_fund_used": used}
    credit = take(inputs, "bonus", "bonus_balance", "futures_bonus", "trial_fund")
    cash = take(inputs, "own", "own_usdt", "own_funds", "usdt_balance", "balance", "wallet", "usdt")
    costs = _sum(inputs, ("fee", "fees", "funding", "loss", "losses", "realised_loss"))
    order = _ORDER_OF_USE.get(rulebook.partition("-")[0], "own_first")
    from_bonus = paid_by_bonus(order, costs, credit=credit, cash=cash)
    found: Figures = {
        "bonus_used": from_bonus,
        "own_used": costs - from_bonus,
        "bonus_left": credit - from_bonus,
        "own_left": cash - costs + from_bonus,
    }
    if "margin" in inputs:
        own, backed = used_as_margin("own_first", take(inputs, "margin"), credit=credit, cash=cash)
        found |= {"own_margin": own, "bonus_margin": backed}
    return found


def usable_margin(_rulebook: str, inputs: Inputs) -> Figures:
    """Equity that may open positions where a venue counts what is above a threshold only in part, and what it opens.

    ``T + (equity − T) · coefficient`` above the threshold ``T``; contracts = usable · leverage ÷ (price · face), whole
    ones. Source: HTX, tiered margin of large accounts (44892511689070).
    """
    equity, threshold = take(inputs, "equity"), take(inputs, "full_use_threshold", "threshold")
    above = max(ZERO, equity - threshold)
    usable = equity - above + above * take(inputs, "excess_coefficient", "coefficient")
    found: Figures = {"available_margin": usable}
    face = next((name for name in inputs if name.startswith("face")), None)
    if face is not None and "price" in inputs and "leverage" in inputs:
        value = take(inputs, "price") * take(inputs, face)
        found["max_contracts"] = divide(usable * take(inputs, "leverage"), value, places=0, rounding=ROUND_DOWN)
    return found


def copy_trading(_rulebook: str, inputs: Inputs) -> Figures:
    """Whether a copied order is taken: the day's used margin plus its own must not exceed the daily cap.

    ``next_order`` may be ``any>0``: taken only where something is left. Source: BingX, copy trading settings.
    """
    orders = [number(order) for order in inputs.get("orders", ())]
    left = take(inputs, "max_daily_copy_margin") - sum(orders, ZERO)
    following = str(inputs.get("next_order", "any>0"))
    allowed = left > 0 if following.startswith("any") else number(following) <= left
    ordinals = ("first", "second", "third", "fourth", "fifth")
    name = ordinals[len(orders)] if len(orders) < len(ordinals) else "next"
    return {f"{name}_order_allowed": allowed}


__all__ = ["account_totals", "bonus", "copy_trading", "realised_pnl", "usable_margin"]
