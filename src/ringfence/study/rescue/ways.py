"""Every endangered pool of an account, and its ways out in their order."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.errors import BadConfiguration
from ringfence.margin.assess import assess_account
from ringfence.numbers import exact, plain
from ringfence.study.portfolio_words import portfolio_summary
from ringfence.study.rescue.architectures import other_architectures
from ringfence.study.rescue.case import Case, above
from ringfence.study.rescue.cash import additions, deposits, moves
from ringfence.study.rescue.result import Endangered, Rescue, Way
from ringfence.study.rescue.trades import added_and_reduced, cancels, hedges, pro_rata, reduction, switches
from ringfence.study.unknown import health_known, nothing_known, unknown_of

if TYPE_CHECKING:
    from ringfence.account import Account, Marks
    from ringfence.numbers import Rate
    from ringfence.rulebook import Rulebook

HIGHEST = Decimal(10) ** 6
"""The highest health that can be asked for: whoever wants more wants to close everything. Ours."""


@exact
def rescue(
    account: Account,
    *,
    marks: Marks,
    rulebook: Rulebook,
    health: Decimal | None = None,
    fee_rate: Rate | None = None,
) -> Rescue:
    """Return the ways out for every pool whose health is at or below ``health`` (the margin-call level if None).

    ``fee_rate``: what closing and hedging pay of the value; the contract's taker rate if None, 0 where that is not
    known. Raises BadConfiguration for a target that is not above 0 or is above :data:`HIGHEST`, BadAccount where the
    health of no pool that holds a position is known.
    """
    target = rulebook.levels.margin_call if health is None else health
    if not 0 < target <= HIGHEST:
        why = "a health that no pool can need" if target <= 0 else "a health that nothing held open can reach"
        raise BadConfiguration(
            why, where="--health", expected=f"a number above 0, at most {plain(HIGHEST)}", found=f"{target:g}",
            hint="1 is where the venue liquidates; 1.5 or 2 leaves room",
        )  # fmt: skip
    before = assess_account(account, marks, rulebook)
    holding = [a for a in before if a.lines]
    unknown = [a for a in holding if not health_known(a)]
    if unknown and len(unknown) == len(holding):
        raise nothing_known(unknown, rulebook, asked="rescue")
    notes = [
        f"the health of {a.pool.name} is not known: no way out can be solved; not known: "
        f"{'; '.join(unknown_of([a], rulebook))}"
        for a in unknown
    ]
    notes += [] if holding else ["the account holds no position"]
    held = {p.symbol: rulebook.contract(p.symbol) for p in account.positions}
    free = sorted(symbol for symbol, contract in held.items() if contract.taker_fee_rate is None)
    if free and fee_rate is None:
        notes.append(f"the taker fee of {', '.join(free)} is not known: none is charged; --fee-rate gives one")
    notes += portfolio_summary(before)
    pools = []
    for assessment in before:
        balance, required = assessment.balance_held_against, assessment.liquidation_requirement
        if balance is None or required is None or above(assessment, target):
            continue
        ways = _ways(Case(account, before, assessment, marks, rulebook, target, fee_rate))
        name, asset = assessment.pool.name, assessment.asset
        pools.append(Endangered(name, asset, assessment.health, balance, required, assessment.status, ways))
    own = " (ringfence's own)" if rulebook.levels.source == "ours" else ""
    source = "asked for" if health is not None else f"the margin-call level of {rulebook.name}{own}"
    return Rescue(target, source, tuple(pools), tuple(notes), tuple(a.pool.name for a in unknown))


def _ways(case: Case) -> tuple[Way, ...]:
    found = [*cancels(case), *moves(case)]
    found += [*additions(case)] if case.pool.pool.isolated else [*deposits(case)]
    found += [reduction(case, line) for line in case.pool.lines]
    found += [*added_and_reduced(case)] if case.pool.pool.isolated else []
    found += [*pro_rata(case), *hedges(case), *switches(case), *other_architectures(case)]
    return tuple(sorted(found, key=lambda way: (way.refusal is not None, way.cost, way.outside, way.tied)))


__all__ = ["HIGHEST", "rescue"]
