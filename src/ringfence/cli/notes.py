"""What an assessment assumed or could not know, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence import rulebooks
from ringfence.margin.basket import moving_with
from ringfence.study.portfolio_words import portfolio_notes

if TYPE_CHECKING:
    from pathlib import Path

    from ringfence.account_file import AccountFile
    from ringfence.margin.assessment import Assessment
    from ringfence.rulebook import Rulebook


def notes_of(file: AccountFile, rulebook: Rulebook, assessments: tuple[Assessment, ...]) -> list[str]:
    """Return the notes that belong beside an assessment: stand-ins, prices without steps, levels, tables and days."""
    lines = [line for assessment in assessments for line in assessment.lines]
    notes = [f"no mark was given for {symbol}: its entry price stands in" for symbol in file.marks_assumed]
    unknown = sorted({line.contract.symbol for line in lines if line.contract.price_step is None})
    if unknown:
        notes.append(f"the price step of {_listed(unknown)} is not known: prices come unrounded")
    notes += _not_rounded(assessments, unknown)
    notes += portfolio_notes(assessments)
    balances = [asset for a in assessments if a.lines for asset, held in a.pool.balances.items() if held is None]
    notes += [f"the balance of {asset} is not known: what depends on it is null" for asset in dict.fromkeys(balances)]
    tiered = [line for a in assessments if a.portfolio is None or not a.portfolio.units for line in a.lines]
    without = sorted({line.position.symbol for line in tiered if line.maintenance_margin is None})
    if without:
        notes.append(f"no maintenance rate is known for {_listed(without)}: health and liquidation prices are null")
    if rulebook.levels.source != "venue" and any(a.lines for a in assessments):
        source = "ringfence's own" if rulebook.levels.source == "ours" else rulebook.levels.source
        notes.append(
            f"levels as health: warning {rulebook.levels.warning}, margin call {rulebook.levels.margin_call} ({source})"
        )
    notes += _closing_fees(assessments) + _collateral(assessments)
    return notes + _tables(rulebook, [line.position.symbol for line in lines]) + _fees(rulebook)


def _closing_fees(assessments: tuple[Assessment, ...]) -> list[str]:
    """Return of which symbols the fee to close, which their venue counts into the requirement, is not known."""
    missing = set()
    for assessment in assessments:
        policies = assessment.policies
        if policies.closing_fee == "none":
            continue
        for line in assessment.lines:
            contract = line.contract
            rate = contract.taker_fee_rate
            if policies.closing_fee_rate == "liquidation" and contract.liquidation_fee_rate is not None:
                rate = contract.liquidation_fee_rate
            if rate is None:
                missing.add(contract.symbol)
    if not missing:
        return []
    told = (
        f"the fee to close {_listed(sorted(missing))} belongs into the requirement and its rate is not known: it "
        "counts as 0, and real health is lower; fee_level, or fees, in the account file give it"
    )
    return [told]


def _fees(rulebook: Rulebook) -> list[str]:
    """Return whose fee rates an account file chose, where it chose any."""
    fees = rulebook.account_fees
    if fees is None:
        return []
    schedule, said = rulebook.fees, []
    if fees.maker is not None or fees.taker is not None:
        said.append("the account's own rates")
    if fees.level is not None:
        said.append(f"level {fees.level} ({schedule.source})")
    said += [f"discount {name}" for name in fees.discounts]
    return ["fees: " + ", ".join(said)]


def _collateral(assessments: tuple[Assessment, ...]) -> list[str]:
    """Return where the terms of a basket's assets were read, and which indices move with which marks."""
    held = [line for assessment in assessments for line in assessment.assets]
    sources: dict[str, list[str]] = {}
    for line in held:
        sources.setdefault(line.terms.source, []).append(line.asset)
    notes = [f"collateral terms of {_listed(of)}: {source}" for source, of in sources.items()]
    for assessment in (a for a in assessments if a.portfolio is None):
        for symbol in dict.fromkeys(line.position.symbol for line in assessment.lines):
            moving = moving_with(assessment, symbol)
            if moving.assets and not moving.held:
                notes.append(
                    f"prices of {symbol}: the index of {_listed(list(moving.assets))} moves with it, one to one"
                )
            elif moving.assets:
                notes.append(f"prices of {symbol}: the index of {_listed(list(moving.assets))} is held where it is")
    owed = sorted(line.asset for line in held if (line.equity or 0) < 0 and not line.terms.ask_buffer)
    if owed:
        notes.append(
            f"what is owed in {_listed(owed)} counts at its index: no ask buffer is packaged; where the venue has one, "
            "give ask_buffer in the account file"
        )
    stays = sorted({line.asset for line in held if line.terms.moves_with is None})
    if any(assessment.lines for assessment in assessments) and stays:
        notes.append(f"when all marks move together, so do the indices of collateral, but not of {_listed(stays)}")
    return notes


def _not_rounded(assessments: tuple[Assessment, ...], already: list[str]) -> list[str]:
    symbols = {
        line.contract.symbol
        for assessment in assessments
        if assessment.policies.liquidation_price_rounding == "none" and assessment.portfolio is None
        for line in assessment.lines
    }
    rest = sorted(symbols - set(already))
    if not rest:
        return []
    return [f"no rounding rule of liquidation prices is published: those of {_listed(rest)} come unrounded"]


def _tables(rulebook: Rulebook, symbols: list[str]) -> list[str]:
    """Return which tables the symbols were read from, and which of them are partial."""
    own = sorted({symbol for symbol in symbols if symbol in rulebook.tables})
    notes = [f"the account file brings the terms of {_listed(own)}"] if own else []
    days: dict[str, list[str]] = {}
    partial: dict[str, list[str]] = {}
    for symbol in sorted(set(symbols) - set(own)):
        folder = rulebooks.table_folder(rulebook.name, symbol, rulebook.as_of)
        if folder is None:
            continue
        days.setdefault(rulebook.table_source(symbol) or "tables of unknown date", []).append(symbol)
        if rulebooks.coverage_of(folder, symbol) == "partial":
            partial.setdefault(_sentence(folder.path), []).append(symbol)
    notes += [f"{source}: {_listed(of)}" for source, of in days.items()]
    notes += [f"the table of {_listed(of)} is partial: {sentence}" for sentence, of in partial.items()]
    return notes


def _sentence(path: Path) -> str:
    """Return what a folder's SOURCES.toml says about how complete its tables are."""
    import tomllib

    sources = path / "SOURCES.toml"
    if not sources.is_file():
        return "it has no SOURCES.toml"
    tables = tomllib.loads(sources.read_text(encoding="utf-8")).get("tables", {})
    return str(tables.get("sentence", "some of its terms or tiers are not known")).rstrip(".")


def _listed(names: list[str], most: int = 6) -> str:
    shown = names if len(names) <= most else [*names[:most], f"{len(names) - most} more"]
    return ", ".join(shown[:-1]) + f" and {shown[-1]}" if len(shown) > 1 else shown[0]


__all__ = ["notes_of"]
