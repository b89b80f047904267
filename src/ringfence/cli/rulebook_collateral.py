"""What ``rulebooks show`` says of a venue's margin architectures, its collateral list, and how debts are exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

    from ringfence.account import Collateral
    from ringfence.rulebook import AutoExchange, Offer, Rulebook


def print_collateral(screen: Console, rulebook: Rulebook) -> None:
    """Print the three sections, each where the rulebook has something to say."""
    from rich.text import Text

    from ringfence.cli import show

    sections = [("Margin architectures", [(offer.name, _said(offer)) for offer in rulebook.architectures()])]
    sections.append(("Collateral", [(asset, _counts(rulebook, asset)) for asset in rulebook.accepted()]))
    rule = rulebook.auto_exchange
    sections.append(("Debts in a basket", [] if rule is None else _exchange(rule)))
    for title, entries in sections:
        if entries:
            screen.print()
            screen.print(Text(title, style="bold"))
            screen.print(show.definitions(entries))


def _said(offer: Offer) -> str:
    if offer.offered is None:
        return offer.reason
    word = "offered" if offer.offered else "not offered"
    return f"{word}: {offer.reason}" if offer.reason else word


def _counts(rulebook: Rulebook, asset: str) -> str:
    try:
        terms = rulebook.collateral(asset)
    except BadInput:
        return "in part only: where its tiers end is not known"
    return "not known" if terms is None else f"{_ratios(terms)}  ({terms.source})"


def _ratios(terms: Collateral) -> str:
    from ringfence.cli import show

    if not terms.slices:
        return show.percent(terms.ratio).lstrip("+")
    unit = " of its worth" if terms.unit == "usd" else ""
    parts = []
    for one in terms.slices:
        upto = "beyond that" if one.cap is None else f"up to {show.exactly(one.cap)}{unit}"
        parts.append(f"{show.percent(one.ratio).lstrip('+')} {upto}")
    if terms.slices[-1].cap is not None:
        parts.append("nothing beyond that")
    return ", ".join(parts)


def _exchange(rule: AutoExchange) -> list[tuple[str, str]]:
    from ringfence.cli import show

    found = [(f"{asset} at −{show.exactly(amount)}", "is paid back whole") for asset, amount in rule.thresholds.items()]
    if rule.loan_to_value is not None:
        when = " without positions and orders" if rule.idle_only else ""
        found.append((f"owing {show.percent(rule.loan_to_value).lstrip('+')}", f"of what the rest counts for{when}"))
    order = "the same share of every asset" if rule.order_of_sale == "pro_rata" else "the asset that brings most first"
    found.append(("sold", order))
    lost = [f"{show.percent(rate).lstrip('+')} of {asset}" for asset, rate in rule.haircuts.items()]
    if rule.haircut_share:
        lost.append(f"of others {show.percent(rule.haircut_share).lstrip('+')} of their haircut")
    found.append(("lost in it", ", ".join(lost) or "nothing: at the index"))
    return [*found, ("ours", rule.assumed)] if rule.assumed else found


def collateral_json(rulebook: Rulebook) -> dict[str, Any]:
    """Return architectures, collateral list and exchange of debts as ``rulebooks show --json`` has them."""
    from ringfence.numbers import text

    listed: dict[str, Any] = {}
    for asset in rulebook.accepted():
        try:
            terms = rulebook.collateral(asset)
        except BadInput:
            terms = None  # published in part only
        listed[asset] = None
        if terms is not None:
            slices = [{key: text(value) for key, value in one._asdict().items()} for one in terms.slices]
            whole = [{"floor": "0", "cap": None, "ratio": text(terms.ratio)}]
            listed[asset] = {"tiers": slices or whole, "tier_unit": terms.unit, "source": terms.source}
    rule = rulebook.auto_exchange
    exchange = None
    if rule is not None:
        exchange = {
            "thresholds": {asset: text(amount) for asset, amount in rule.thresholds.items()},
            "haircuts": {asset: text(rate) for asset, rate in rule.haircuts.items()},
            "haircut_share": text(rule.haircut_share),
            "loan_to_value": text(rule.loan_to_value),
            "idle_only": rule.idle_only,
            "order_of_sale": rule.order_of_sale,
            "assumed": rule.assumed,
        }
    return {
        "architectures": {
            offer.name: {"offered": offer.offered, "reason": offer.reason} for offer in rulebook.architectures()
        },
        "collateral": listed,
        "auto_exchange": exchange,
    }


__all__ = ["collateral_json", "print_collateral"]
