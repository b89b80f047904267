"""Published figures that are not an account's assessment: each topic maps the inputs of an answer file to a formula.

The formulas are the venues' rules, named in each function's source; a topic knows forms of inputs, never single cases.

Modules: ``collateral``, ``liquidation``, ``money``, ``portfolio``, ``tiers`` the topics; ``inputs`` numbers as answer
files write them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.numbers import exact
from ringfence.study.topics import collateral, liquidation, money, portfolio, tiers
from ringfence.study.topics.inputs import NotThisForm

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.study.topics.inputs import Figures, Inputs

_TOPICS: dict[str, Callable[[str, Inputs], Figures]] = {
    "account_totals": money.account_totals,
    "auto_exchange": collateral.auto_exchange,
    "bonus": money.bonus,
    "collateral_weight": collateral.collateral_weight,
    "copy_trading": money.copy_trading,
    "liquidation_fill": liquidation.liquidation_fill,
    "liquidation_size": liquidation.liquidation_size,
    "option_margin": portfolio.option_margin,
    "portfolio_margin": portfolio.portfolio_margin,
    "realised_pnl": money.realised_pnl,
    "spot_margin": collateral.spot_margin,
    "tier_choice": tiers.tier_choice,
    "tier_deduction": tiers.tier_deduction,
    "usable_margin": money.usable_margin,
}


@exact
def compute(kind: str, rulebook: str, inputs: Inputs) -> Figures | None:
    """Return the figures of a topic by name, or None where the topic, or this form of its inputs, is not known."""
    topic = _TOPICS.get(kind)
    if topic is None:
        return None
    try:
        return topic(rulebook, inputs)
    except (NotThisForm, KeyError, TypeError, ArithmeticError):
        return None


def kinds() -> tuple[str, ...]:
    """Return the kinds of topic that are computed."""
    return tuple(_TOPICS)


__all__ = ["compute", "kinds"]
