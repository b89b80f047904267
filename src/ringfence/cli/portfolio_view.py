"""How a portfolio account is required what it is: worst scenario, scenarios × positions, charges, what hedges save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.cli import show
from ringfence.margin.portfolio.requirement import hedges
from ringfence.numbers import RATIO_PLACES, ZERO, divide, exact, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from rich.console import Console

    from ringfence.margin.assessment import Assessment
    from ringfence.margin.portfolio.requirement import Hedge, PortfolioRequirement
    from ringfence.margin.portfolio.unit import Unit

MOST_SCENARIOS = 8
MOST_POSITIONS = 6
HEAD_WIDTH = 13


@exact
def as_json(assessment: Assessment) -> dict[str, Any] | None:
    """Return the requirement as ``assess --json`` prints it with the pool; None outside portfolio margin."""
    found = assessment.portfolio
    if found is None:
        return None
    ratio = balance_ratio(assessment)
    band = found.band_at(ratio)
    return {
        "model": found.rules.model,
        "rules_of": found.rules.day,
        "ratio": text(ratio),
        "band": None if band is None else {"name": band.name, "above": text(band.above), "permits": band.permits},
        "maintenance_margin": text(found.maintenance),
        "initial_margin": text(found.initial),
        "liquidation_factor": text(found.liquidation_factor),
        "stand_alone_sum": text(_alone(found)),
        "saved_by_hedging": text(_saved(found)),
        "minimum_equity": text(found.rules.minimum_equity),
        "charges": [charge._asdict() | {"amount": text(charge.amount)} for charge in found.charges],
        "units": [_unit_json(found, unit) for unit in found.units],
        "assumptions": list(found.assumptions),
        "sources": dict(found.rules.sources),
    }


def _unit_json(found: PortfolioRequirement, unit: Unit) -> dict[str, Any]:
    margins, scenarios = unit.margins, () if unit.grid is None else unit.grid.scenarios
    return {
        "coin": unit.coin,
        "index_price": text(unit.index),
        "delta": text(unit.delta),
        "maintenance_margin": text(margins.maintenance),
        "initial_margin": text(margins.initial),
        "worst_scenario": None if margins.worst is None else scenarios[margins.worst].name,
        "worst_loss": text(margins.worst_loss),
        "parts": [
            {"name": name, "loss": text(loss), "scenario": None if place is None else scenarios[place].name}
            for name, loss, place in margins.parts
        ],
        "charges": [charge._asdict() | {"amount": text(charge.amount)} for charge in margins.charges],
        "holdings": [
            {
                "name": item.name,
                "symbol": item.symbol,
                "side": item.side,
                "delta": text(item.delta),
                "stand_alone": text(hedge.alone),
                "added": text(hedge.added),
                "saved": text(hedge.saved),
            }
            for item, hedge in zip(unit.exposures, hedges(found, unit), strict=True)
        ],
        "scenarios": [
            {
                "name": scenario.name,
                "group": scenario.group,
                "move": text(scenario.move),
                "volatility": scenario.volatility.name,
                "gains": {item.name: text(item.row[place]) for item in unit.exposures},
                "total": text(margins.columns[place]),
                "loss": text(margins.losses[place]),
            }
            for place, scenario in enumerate(scenarios)
        ],
    }


def balance_ratio(assessment: Assessment) -> Decimal | None:
    """Return balance ÷ maintenance margin (uniMMR), 18 places; None where nothing is required or known."""
    balance, maintenance = assessment.balance_held_against, assessment.maintenance_margin
    if balance is None or not maintenance:
        return None
    return divide(balance, maintenance, places=RATIO_PLACES)


def _alone(found: PortfolioRequirement) -> Decimal:
    return sum((hedge.alone for unit in found.units for hedge in hedges(found, unit)), ZERO)


def _saved(found: PortfolioRequirement) -> Decimal | None:
    """Return what the book needs less than its positions alone; None by risk tiers."""
    if not found.units:
        return None
    return _alone(found) - sum((unit.margins.maintenance for unit in found.units), ZERO)


@exact
def print_portfolio(screen: Console, assessment: Assessment, *, every: bool) -> None:
    """Print how a portfolio account's requirement comes about. ``every``: all scenarios, not the worst ones only."""
    from rich.text import Text

    found = assessment.portfolio
    if found is None:
        return
    ratio = balance_ratio(assessment)
    band = found.band_at(ratio)
    if band is not None:
        name = "uniMMR" if found.rules.model == "unified_ratio" else "balance ÷ maintenance margin"
        shown = "nothing required" if ratio is None else show.percent(ratio).lstrip("+")
        screen.print(Text(f"{name} {shown}: {band.name} ({band.permits})", style="bold"))
    screen.print(_requirement_table(found))
    for unit in found.units:
        items = hedges(found, unit)
        if unit.grid is not None and unit.exposures:
            screen.print(_scenario_table(unit, every=every))
        if len(items) > 1:
            screen.print(_hedge_table(unit, items))


def _requirement_table(found: PortfolioRequirement) -> Any:
    rows = []
    for unit in found.units:
        margins = unit.margins
        scenario = "no scenario loses"
        if margins.worst is not None and unit.grid is not None:
            scenario = unit.grid.scenarios[margins.worst].name
        rows.append((unit.coin, f"worst scenario: {scenario}", show.amount(margins.worst_loss, None)))
        rows += [("", f"{charge.name}: {charge.how}", show.amount(charge.amount, None)) for charge in margins.charges]
        rows.append(("", "maintenance margin", show.amount(margins.maintenance, None)))
        rows.append(("", "initial margin", show.amount(margins.initial, None)))
    rows += [("", f"{charge.name}: {charge.how}", show.amount(charge.amount, None)) for charge in found.charges]
    if len(found.units) != 1 or found.charges:
        rows.append(("account", "maintenance margin", show.amount(found.maintenance, None)))
        rows.append(("", "initial margin", show.amount(found.initial, None)))
    return show.simple_table(
        f"Requirement, {found.rules.model.replace('_', ' ')} of {found.rules.day}", ("unit", "", "amount"), rows,
        right=(2,),
    )  # fmt: skip


def _scenario_table(unit: Unit, *, every: bool) -> Any:
    """Return the scenarios as rows and the positions as columns: the worst first, or all in their order."""
    assert unit.grid is not None  # noqa: S101 - asked before
    columns, scenarios = unit.margins.columns, unit.grid.scenarios
    counts, worst = unit.margins.losses, unit.margins.worst
    order = (
        range(len(scenarios))
        if every
        else sorted(range(len(scenarios)), key=lambda i: (-counts[i], i != worst))[:MOST_SCENARIOS]
    )
    largest = sorted(unit.exposures, key=lambda item: -max(map(abs, item.row)))[:MOST_POSITIONS]
    shown = [item for item in unit.exposures if item in largest]
    rest = [item for item in unit.exposures if item not in largest]
    headers = [
        "scenario",
        *(_stacked(item.name) for item in shown),
        *(["others"] if rest else []),
        "all",
        "counts as loss",
    ]
    rows = []
    for place in order:
        others = [show.amount(sum((item.row[place] for item in rest), ZERO), None)] if rest else []
        cells = [show.amount(item.row[place], None) for item in shown]
        mark = "→ " if place == worst else ""
        rows.append([scenarios[place].name, *cells, *others, show.amount(columns[place], None),
                     mark + show.amount(counts[place], None)])  # fmt: skip
    which = "all" if every else f"the {len(rows)} worst of {len(scenarios)}"
    title = f"{unit.coin}: gain in each scenario, {which}"
    return show.simple_table(title, headers, rows, right=range(1, len(headers)))


def _stacked(name: str) -> str:
    """Return a holding's name as the head of a narrow column: broken at its hyphens and spaces."""
    lines = [""]
    for part in name.replace("-", "-\0").replace(" ", "\0").split("\0"):
        if lines[-1].endswith("-") and len(lines[-1]) + len(part) <= HEAD_WIDTH:
            lines[-1] += part
        elif lines[-1]:
            lines.append(part)
        else:
            lines[-1] = part
    return "\n".join(lines)


def _hedge_table(unit: Unit, items: Sequence[Hedge]) -> Any:
    rows = [[h.name, *(show.amount(part, None) for part in (h.alone, h.added, h.saved))] for h in items]
    alone = sum((hedge.alone for hedge in items), ZERO)
    rows.append([
        "together", show.amount(alone, None), show.amount(unit.margins.maintenance, None),
        show.amount(alone - unit.margins.maintenance, None),
    ])  # fmt: skip
    return show.simple_table(
        f"{unit.coin}: maintenance margin alone and in the book",
        ("holding", "alone", "adds", "saved by the others"), rows, right=(1, 2, 3),
    )  # fmt: skip


__all__ = ["MOST_POSITIONS", "MOST_SCENARIOS", "as_json", "balance_ratio", "print_portfolio"]
