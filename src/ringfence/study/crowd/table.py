"""The comparison of a crowd under three architectures as rows, for a terminal and for a report alike."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.numbers import ZERO, divide, exact
from ringfence.study.crowd.result import HOLDINGS, QUANTILES
from ringfence.study.wording import clock, fixed, percent, price
from ringfence.tape.bars import moment_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.study.crowd.result import Crowd, CrowdOutcome, Forced

_PLACES = 6


@exact
def comparison(crowd: Crowd) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Return the comparison as parts of rows: a title, and per row a label and a cell for each architecture."""
    outcomes = [crowd.shown[name] for name in HOLDINGS]

    def row(label: str, cell: Callable[[CrowdOutcome], str]) -> tuple[str, list[str]]:
        return label, [cell(outcome) for outcome in outcomes]

    def accounts(count: int) -> str:
        return f"{count:,} ({percent(divide(Decimal(count), Decimal(crowd.number), places=_PLACES))})" if count else "0"

    def money(value: Decimal) -> str:
        return fixed(value, crowd.places)

    parts = [
        (
            "Accounts",
            [
                row("margin called", lambda one: accounts(one.called)),
                row("liquidated", lambda one: accounts(one.liquidated)),
                row("bankrupt at takeover", lambda one: accounts(one.bankrupt)),
                row("wiped out", lambda one: accounts(one.wiped_out)),
                row("positions hit by force", lambda one: f"{one.positions_forced:,} of {one.positions:,}"),
            ],
        ),
        (
            f"Money, {crowd.asset}",
            [
                row("at the start", lambda one: money(one.capital)),
                row("lost in liquidations", lambda one: money(one.lost)),
                row("left at the end", lambda one: money(one.equity)),
                row("left if all were held on", lambda _: money(crowd.held)),
            ],
        ),
        (
            f"Insurance fund, {crowd.asset}",
            [
                row("at the start", lambda one: money(one.fund.start)),
                row("received", lambda one: money(one.fund.received)),
                row("paid", lambda one: money(one.fund.paid)),
                row("left at the end", lambda one: money(one.fund.end)),
                row("paid by the venue", lambda one: money(one.fund.venue)),
            ],
        ),
        (
            f"Forced onto the market, {crowd.asset}",
            [
                row("in all", lambda one: money(sum((forced.value for forced in one.forced), ZERO))),
                row("in its largest minute", lambda one: money(_largest(one).value) if one.forced else "0"),
                row("which was", lambda one: _which(_largest(one)) if one.forced else "–"),
            ],
        ),
        (
            "Auto-deleveraged",
            [
                row("accounts, trades",
                    lambda one: f"{one.deleveraging.accounts:,}, {one.deleveraging.trades:,}"),
                row(f"value, {crowd.asset}", lambda one: money(one.deleveraging.value)),
                row("value, the market's part", lambda one: money(one.deleveraging.market_value)),
            ],
        ),
        (
            "Final equity ÷ capital",
            [
                row(_ordinal(share), lambda one, share=share: percent(one.quantile(share)))  # type: ignore[misc]
                for share in QUANTILES
            ],
        ),
    ]  # fmt: skip
    return parts if not crowd.moved else [*parts, ("Against a price that nobody moves", _cascade_rows(crowd))]


def _largest(outcome: CrowdOutcome) -> Forced:
    """Return the minute and symbol in which most was forced onto the market."""
    return max(outcome.forced, key=lambda one: (one.value, -one.micros, one.symbol))


def _which(forced: Forced) -> str:
    return f"{clock(moment_of(forced.micros))[:5]} {forced.symbol}"


def _ordinal(share: int) -> str:
    return "median" if share == 50 else f"{share} % keep at most"


def _cascade_rows(crowd: Crowd) -> list[tuple[str, list[str]]]:
    pairs = [(crowd.outcomes[name], crowd.moved[name]) for name in HOLDINGS]

    def more(value: Decimal | int) -> str:
        return fixed(Decimal(value), 0, signed=True)

    rows = [
        ("accounts liquidated", [more(moved.liquidated - still.liquidated) for still, moved in pairs]),
        ("accounts bankrupt", [more(moved.bankrupt - still.bankrupt) for still, moved in pairs]),
        (
            f"left at the end, {crowd.asset}",
            [fixed(moved.equity - still.equity, crowd.places, signed=True) for still, moved in pairs],
        ),
    ]
    for symbol in crowd.symbols:
        lows = [(still.lowest[symbol], moved.lowest[symbol]) for still, moved in pairs]
        cells = [
            f"{price(now)} ({percent(divide(now - before, before, places=_PLACES))})" if now != before else price(now)
            for before, now in lows
        ]
        rows.append((f"{symbol}, lowest", cells))
    return rows


__all__ = ["comparison"]
