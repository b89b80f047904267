"""How a crowd fared under three architectures, in one paragraph of plain English, every clause computed."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.numbers import RATIO_PLACES, ROUND_HALF_EVEN, ZERO, divide, exact
from ringfence.study.crowd.result import HOLDINGS
from ringfence.study.wording import fixed, listed, percent, price

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.numbers import Value
    from ringfence.study.crowd.result import Crowd, CrowdOutcome, Fate, Holding

_MILLION, _TEN_MILLION = Decimal(1_000_000), Decimal(10_000_000)
_SHOWN_MOVE = Decimal("0.001")


@exact
def paragraph(crowd: Crowd) -> str:
    """Return who was liquidated, who kept what, who paid for it, and what forced orders did to the price."""
    shown = crowd.shown
    said = [_liquidated(crowd, shown), _depth(crowd, shown), _money(crowd, shown), _fund(crowd, shown)]
    deleveraged = _deleveraged(crowd, shown)
    said += [deleveraged] if deleveraged else []
    if crowd.moved:
        said.append(_cascade(crowd))
    return " ".join(said)


def short_amount(value: Value, places: int = 0) -> str:
    """Return an amount as people say it: in millions from ten million on, with ``places`` below."""
    if abs(value) >= _TEN_MILLION:
        return f"{fixed(value / _MILLION, 2)} M"
    return fixed(value, places)


def _liquidated(crowd: Crowd, shown: Mapping[Holding, CrowdOutcome]) -> str:
    most = max(HOLDINGS, key=lambda name: shown[name].liquidated)
    least = min(HOLDINGS, key=lambda name: shown[name].liquidated)
    if shown[most].liquidated == shown[least].liquidated:
        return f"{shown[most].liquidated:,} of {crowd.number:,} accounts are liquidated under each architecture."
    (rest,) = [name for name in HOLDINGS if name not in {most, least}]
    return (
        f"{most.capitalize()} margin liquidates {shown[most].liquidated:,} of {crowd.number:,} accounts, {least} "
        f"{shown[least].liquidated:,}, and {rest} {shown[rest].liquidated:,}."
    )


def _depth(crowd: Crowd, shown: Mapping[Holding, CrowdOutcome]) -> str:
    """Say how deep it cuts: what a liquidated account loses, who is saved and who is ruined by standing together."""
    isolated, cross = shown["isolated"], shown["cross"]
    pairs = list(zip(isolated.fates, cross.fates, strict=True))
    saved = sum(one.liquidated is not None and other.liquidated is None for one, other in pairs)
    ruined = sum(not _ruined(one) and _ruined(other) for one, other in pairs)
    said = []
    if isolated.liquidated and cross.liquidated:
        said.append(
            f"An account that isolated liquidates loses {percent(_median_loss(isolated))} of its capital to it (the "
            f"median), one that cross liquidates {percent(_median_loss(cross))}"
        )
    said.append(
        f"{saved:,} of those hit under isolated pass unharmed under cross, {ruined:,} that isolated leaves with "
        f"something are left with nothing by cross"
    )
    del crowd
    return "; ".join(said) + "."


def _ruined(fate: Fate) -> bool:
    return 100 * fate.equity < fate.capital


def _median_loss(outcome: CrowdOutcome) -> Decimal:
    """Return the median, over liquidated accounts, of what liquidation took as a share of capital."""
    shares = sorted(
        divide(fate.lost, fate.capital, places=RATIO_PLACES, rounding=ROUND_HALF_EVEN)
        for fate in outcome.fates
        if fate.liquidated is not None
    )
    return shares[(len(shares) - 1) // 2] if shares else ZERO


def _money(crowd: Crowd, shown: Mapping[Holding, CrowdOutcome]) -> str:
    ranked = sorted(HOLDINGS, key=lambda name: -shown[name].equity)
    capital = shown[ranked[0]].capital
    kept = [f"{short_amount(shown[name].equity, crowd.places)} under {name}" for name in ranked]
    return (
        f"Of {short_amount(capital, crowd.places)} {crowd.asset} the crowd keeps {listed(kept)}; it would have "
        f"{short_amount(crowd.held, crowd.places)} if every position had been held to the end."
    )


def _fund(crowd: Crowd, shown: Mapping[Holding, CrowdOutcome]) -> str:
    start = short_amount(shown["isolated"].fund.start, crowd.places)
    left = [f"{short_amount(shown[name].fund.end, crowd.places)} under {name}" for name in HOLDINGS]
    paid = [short_amount(shown[name].fund.paid, crowd.places) for name in HOLDINGS]
    bankrupt = [f"{shown[name].bankrupt:,}" for name in HOLDINGS]
    return (
        f"{listed(bankrupt)} accounts had a pool below zero when it was taken over; the insurance fund paid "
        f"{listed(paid)} {crowd.asset}, and of the {start} it began with it has {listed(left)}."
    )


def _deleveraged(crowd: Crowd, shown: Mapping[Holding, CrowdOutcome]) -> str:
    if not any(shown[name].deleveraging.trades for name in HOLDINGS):
        return "Nobody was auto-deleveraged."
    said = [
        f"{one.accounts:,} under {name} ({short_amount(one.value, crowd.places)})"
        for name in HOLDINGS
        for one in (shown[name].deleveraging,)
    ]
    return f"Of those who had won, positions were closed early to end the losers': {listed(said)}."


def _cascade(crowd: Crowd) -> str:
    """Say what forced orders did to the price, against the same crowd on a price they cannot move."""
    said = []
    for name in HOLDINGS:
        still, moved = crowd.outcomes[name], crowd.moved[name]
        more = moved.liquidated - still.liquidated
        deeper = {
            symbol: divide(still.lowest[symbol] - moved.lowest[symbol], still.lowest[symbol], places=6)
            for symbol in crowd.symbols
        }
        worst = max(deeper, key=lambda symbol: deeper[symbol])
        where = "no lower low"
        if deeper[worst] >= _SHOWN_MOVE:
            where = (
                f"{worst} down to {price(moved.lowest[worst])} instead of {price(still.lowest[worst])} "
                f"(−{percent(deeper[worst])})"
            )
        change = fixed(Decimal(more), 0, signed=True) if more else "no more"
        bankrupt = fixed(Decimal(moved.bankrupt - still.bankrupt), 0, signed=True)
        lost = short_amount(still.equity - moved.equity, crowd.places)
        said.append(f"{name}: {where}, {change} liquidated, {bankrupt} bankrupt, {lost} less left")
    return f"What forced orders did to the price, against a price they cannot move: {'; '.join(said)}."


__all__ = ["paragraph", "short_amount"]
