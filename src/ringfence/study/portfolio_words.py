"""What a study of a portfolio account says beside its figures: its prices' convention, and what in them is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.margin.portfolio.price import FURTHEST
from ringfence.numbers import exact, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringfence.margin.assessment import Assessment

CONVENTION = (
    "portfolio margin: a liquidation price moves the whole risk unit, options at unchanged volatility and the coin as "
    f"collateral included; it is found by search, exact to the tick, up to {FURTHEST} times the price"
)


@exact
def portfolio_notes(assessments: Iterable[Assessment]) -> list[str]:
    """Return the notes of the portfolio accounts among ``assessments``: convention, least equity, and every assumption.

    Empty where there is none.
    """
    notes: list[str] = []
    for assessment in assessments:
        found = assessment.portfolio
        if found is None:
            continue
        notes += [CONVENTION, "portfolio margin: one position of a hedged book has no bankruptcy price of its own"]
        least, held = found.rules.minimum_equity, assessment.margin_balance
        if least is not None and held is not None and held < least:
            notes.append(f"the venue asks for an equity of at least {plain(least)} for portfolio margin")
        notes += [f"ours, not the venue's: {text}" for text in found.assumptions]
    return list(dict.fromkeys(notes))


@exact
def portfolio_summary(assessments: Iterable[Assessment]) -> list[str]:
    """Return the same in two sentences a venue: the convention, and the names of the terms that are ours."""
    notes: list[str] = []
    for assessment in assessments:
        found = assessment.portfolio
        if found is None:
            continue
        named = ", ".join(dict.fromkeys(text.partition(":")[0] for text in found.assumptions))
        notes.append(CONVENTION)
        if named:
            notes.append(f"portfolio margin: ours, not the venue's: {named}; `ringfence assess` says each")
    return list(dict.fromkeys(notes))


__all__ = ["CONVENTION", "portfolio_notes", "portfolio_summary"]
