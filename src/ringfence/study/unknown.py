"""What of an account is not known and decides over its health, and how to give it: balances and maintenance rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.errors import BadAccount
from ringfence.study.wording import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ringfence.margin.assessment import Assessment
    from ringfence.rulebook import Rulebook


def health_known(assessment: Assessment) -> bool:
    """Whether a pool's balance and requirement are both known, so that it has a health."""
    return assessment.balance_held_against is not None and assessment.liquidation_requirement is not None


def unknown_of(assessments: Iterable[Assessment], rulebook: Rulebook) -> tuple[str, ...]:
    """Return what keeps the health of pools from being known, in words. Empty: nothing does."""
    pools = [assessment for assessment in assessments if not health_known(assessment)]
    balances = [asset for a in pools if a.balance_held_against is None for asset, held in a.pool.balances.items()
                if held is None]  # fmt: skip
    rates = [line.position.symbol for a in pools for line in a.lines if line.liquidation_requirement is None]
    found = [f"the balance of {listed(list(dict.fromkeys(balances)))}"] if balances else []
    if rates:
        found.append(f"the maintenance rate of {listed(list(dict.fromkeys(rates)))} (none in {rulebook.name})")
    return tuple(found) or tuple(f"what {a.pool.name} holds or must hold" for a in pools)


def nothing_known(assessments: Sequence[Assessment], rulebook: Rulebook, *, asked: str) -> BadAccount:
    """Return the error for an account of which no pool has a health. ``asked``: what then cannot be done, a verb."""
    symbols = [line.position.symbol for a in assessments for line in a.lines if line.liquidation_requirement is None]
    tiers = f"contracts.{symbols[0]}.tiers" if symbols else "account.wallet"
    return BadAccount(
        f"nothing to {asked}: the health of no pool is known", where="account",
        expected="a position in a pool whose balance and maintenance rates are known",
        found=f"not known: {'; '.join(unknown_of(assessments, rulebook))}",
        hint=f"give it in the account file, such as {tiers}",
    )  # fmt: skip


__all__ = ["health_known", "nothing_known", "unknown_of"]
