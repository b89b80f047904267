"""How every figure of an assessment comes about: formula, numbers put in, tier, fee, source, and the price's root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence import rulebooks
from ringfence.account import Backing
from ringfence.cli import show
from ringfence.cli.policy_words import chosen, meaning, told
from ringfence.errors import BadInput
from ringfence.margin.assess import assess, closing_rate
from ringfence.margin.portfolio.price import FURTHEST, price_step
from ringfence.margin.portfolio.requirement import hedges
from ringfence.margin.price import assessed_at, bankruptcy_price, liquidation_prices
from ringfence.numbers import ZERO, exact, plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from rich.console import Console

    from ringfence.account_file import AccountFile
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.numbers import Price
    from ringfence.rulebook import Rulebook

Step = tuple[str, str]  #: what is computed, and how


def explanation(file: AccountFile, rulebook: Rulebook, assessments: tuple[Assessment, ...]) -> list[dict[str, Any]]:
    """Return the derivation of every position: its steps in order, and the policies that chose them."""
    return [
        {
            "symbol": line.position.symbol,
            "side": line.position.side,
            "pool": assessment.pool.name,
            "steps": [{"of": of, "how": how} for of, how in steps(file, rulebook, assessment, line)],
            "policies": {name: told(value) for name, value in chosen(assessment.policies).items()},
        }
        for assessment in assessments
        for line in assessment.lines
    ]


def print_explanation(
    screen: Console, file: AccountFile, rulebook: Rulebook, assessments: tuple[Assessment, ...]
) -> None:
    """Print the derivation of every position, then the rules it stands on."""
    from rich.text import Text

    for assessment in assessments:
        for line in assessment.lines:
            screen.print()
            screen.print(Text(f"{line.position.symbol} {line.position.side} · {assessment.pool.name}", style="bold"))
            screen.print(show.definitions(steps(file, rulebook, assessment, line), terms="dim"))
    _print_rules(screen, rulebook, assessments)


def _print_rules(screen: Console, rulebook: Rulebook, assessments: tuple[Assessment, ...]) -> None:
    from rich.text import Text

    shown: list[dict[str, object]] = []
    for assessment in assessments:
        policies = chosen(assessment.policies)
        if not assessment.lines or policies in shown:
            continue
        shown.append(policies)
        screen.print()
        screen.print(Text(f"Rules of {rulebook.name} for {assessment.pool.name}", style="bold"))
        screen.print(
            show.definitions((f"{name} = {told(value)}", meaning(name, value)) for name, value in policies.items())
        )
    screen.print()
    screen.print(Text("Sources", style="bold"))
    screen.print(show.definitions(rulebook.sources.items()))


@exact
def steps(file: AccountFile, rulebook: Rulebook, assessment: Assessment, line: PositionLine) -> list[Step]:
    """Return the steps from quantity and mark to margins and prices, with the numbers put in."""
    if assessment.portfolio is not None:
        return [*_value(line), *_in_portfolio(assessment, line), *_searched(assessment, line)]
    found = [*_value(line), *_initial(assessment, line), *_tier(rulebook, line), *_maintenance(assessment, line)]
    return [*found, *_prices(file, rulebook, assessment, line)]


def _n(value: Decimal | None) -> str:
    """Return a number with up to ten significant decimals, grouped: an explanation is read, not computed with."""
    if value is None:
        return "unknown"
    decimals = max(2, 9 - value.adjusted()) if value else 0
    cut = show.amount(value, None) if decimals <= 2 else _trimmed(value, min(decimals, 18))
    return cut.removesuffix(".00")


def _trimmed(value: Decimal, decimals: int) -> str:
    shown = show.price(value, decimals)
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _value(line: PositionLine) -> Iterator[Step]:
    position, contract, asset = line.position, line.contract, line.contract.settle_asset
    size, entry, mark = abs(position.quantity), position.entry_price, line.mark_price
    per = "" if contract.contract_size == 1 else f" × {_n(contract.contract_size)}"
    if contract.inverse:
        how = f"contracts × contract size ÷ mark = {_n(size)} × {_n(contract.contract_size)} ÷ {_n(mark)}"
    else:
        how = f"quantity{' × contract size' * bool(per)} × mark = {_n(size)}{per} × {_n(mark)}"
    yield "notional", f"{how} = {_n(line.notional)} {asset}"
    first, second = ("mark", "entry") if position.quantity > 0 else ("entry", "mark")
    values = {"mark": mark, "entry": entry}
    if contract.inverse:
        first, second = second, first
        how = f"contracts × contract size × (1 ÷ {first} − 1 ÷ {second}) = {_n(size)} × {_n(contract.contract_size)} × "
        how += f"(1 ÷ {_n(values[first])} − 1 ÷ {_n(values[second])})"
    else:
        how = f"quantity × ({first} − {second}) = {_n(size)}{per} × ({_n(values[first])} − {_n(values[second])})"
    yield "unrealised PnL", f"{how} = {_n(line.unrealised_pnl)} {asset}"


def _in_portfolio(assessment: Assessment, line: PositionLine) -> Iterator[Step]:
    """Explain what a position of a portfolio account adds to its risk unit; the unit's table stands above."""
    found, contract = assessment.portfolio, line.contract
    assert found is not None  # noqa: S101 - asked before
    by_tiers = [charge for charge in found.charges if charge.name == f"{line.position.symbol} {line.position.side}"]
    for charge in by_tiers:
        yield "maintenance margin", f"{charge.how}, in the account's currency: {_n(charge.amount)}"
    for unit in found.units:
        for item, hedge in zip(unit.exposures, hedges(found, unit), strict=True):
            if item.symbol != contract.symbol or item.side != line.position.side:
                continue
            worst = unit.margins.worst
            if worst is not None and unit.grid is not None:
                yield (
                    f"gain in {unit.grid.scenarios[worst].name}",
                    f"{_n(item.row[worst])}, its part of the worst scenario",
                )
            yield "delta", f"{_n(item.delta)} {unit.coin}"
            yield "alone", f"{_n(hedge.alone)}: the maintenance margin of a book that holds nothing else"
            yield "adds", f"maintenance with it − without it = {_n(hedge.added)}"
            yield "saved", f"alone − adds = {_n(hedge.alone)} − {_n(hedge.added)} = {_n(hedge.saved)}"


def _searched(assessment: Assessment, line: PositionLine) -> Iterator[Step]:
    """Explain a price that was searched for, and show the account on both sides of it."""
    symbol = line.position.symbol
    price = liquidation_prices(assessment, symbol).of_side(line.position.side)
    if line.contract.option:
        yield "liquidation price", "none: an option's own premium moves no risk unit"
        return
    yield "equation", "balance = requirement × the venue's factor, every contract of the coin moving by one factor"
    if price is None:
        yield "liquidation price", f"none found from 0 to {FURTHEST} times the mark"
        return
    yield "liquidation price", f"{_n(price)}, by search: steps outward, then bisection to one tick"
    step = price_step(line.contract, line.mark_price)
    for at in (price, price + step if price < line.mark_price else price - step):
        moved = assessed_at(assessment, symbol, at)
        balance, required = _n(moved.balance_held_against), _n(moved.liquidation_requirement)
        yield f"at {_n(at)}", f"balance {balance}, held against {required}: {moved.status}"


def _initial(assessment: Assessment, line: PositionLine) -> Iterator[Step]:
    policies, position, asset = assessment.policies, line.position, line.contract.settle_asset
    at_entry = policies.initial_margin_at == "entry"
    basis = abs(position.quantity) * line.contract.contract_value(position.entry_price) if at_entry else line.notional
    name = f"value at {'entry' if at_entry else 'the mark'}"
    if line.initial_margin is None:
        yield "initial margin", "unknown: the position has no leverage"
    elif policies.initial_rate_base is not None:
        slope = plain(policies.rate_per_unit_of_base or ZERO)
        rate = f"{plain(policies.initial_rate_base)} + {slope} × size in base units"
        yield "initial margin", f"{name} × ({rate}) = {_n(line.initial_margin)} {asset}"
    else:
        leverage = position.leverage
        if leverage is None and line.tier is not None and line.charge.table is not None:
            leverage = line.charge.table.tiers[line.tier].max_leverage
        more = " + fee" if policies.initial_margin_fee != "none" and line.contract.taker_fee_rate else ""
        scaled = ", raised by open interest" if policies.open_interest is not None else ""
        yield (
            "initial margin",
            f"{name} ÷ leverage{more}{scaled} = {_n(basis)} ÷ {_n(leverage)}{more} = {_n(line.initial_margin)} {asset}",
        )


def _tier(rulebook: Rulebook, line: PositionLine) -> Iterator[Step]:
    charge, symbol = line.charge, line.position.symbol
    if charge.flat_rate is not None:
        yield "rate", f"{_n(charge.flat_rate)}, by a formula of the rulebook instead of a tier"
        return
    if line.tier is None or charge.table is None:
        yield "tier", f"no table: the maintenance rate of {symbol} is not known"
        return
    tier = charge.table.tiers[line.tier]
    after = charge.table.tiers[line.tier + 1].floor if line.tier + 1 < len(charge.table.tiers) else tier.cap
    unit = "contracts" if charge.table.unit == "contracts" else line.contract.settle_asset
    key = charge.tier_slope * line.contract_value + charge.tier_offset
    span = f"{_n(tier.floor)} to {_n(after)} {unit}" if after is not None else f"from {_n(tier.floor)} {unit} on"
    highest = f", leverage up to {_n(tier.max_leverage)}×" if tier.max_leverage is not None else ""
    rate = "unknown" if tier.maintenance_rate is None else plain(tier.maintenance_rate)
    number = f"{line.tier + 1} of {len(charge.table.tiers)} ({span}) by {_n(key)}"
    yield "tier", f"{number}: rate {rate}, deduction {_n(tier.deduction)}{highest}"
    if symbol in rulebook.tables:
        yield "", "the account file brings this table"
        return
    yield "", _table_source(rulebook, symbol)


def _table_source(rulebook: Rulebook, symbol: str) -> str:
    """Return which day's table it is and where that was read."""
    import tomllib

    told = rulebook.table_source(symbol) or "a table of unknown date"
    folder = rulebooks.table_folder(rulebook.name, symbol, rulebook.as_of)
    if folder is None or not (folder.path / "SOURCES.toml").is_file():
        return told
    entries = tomllib.loads((folder.path / "SOURCES.toml").read_text(encoding="utf-8")).get("source", [])
    origins = [str(entry.get("origin")) for entry in entries if entry.get("file") == "tiers.csv"]
    return f"{told}; {'; '.join(origins)}" if origins else told


def _maintenance(assessment: Assessment, line: PositionLine) -> Iterator[Step]:
    policies, charge, asset = assessment.policies, line.charge, line.contract.settle_asset
    if line.liquidation_requirement is None or line.maintenance_margin is None:
        yield "maintenance margin", "unknown: no rate is known"
        return
    margin = line.liquidation_requirement - line.closing_fee
    if not charge.size:
        yield "maintenance margin", f"0 {asset}: the other, larger leg of the hedge is charged"
    elif policies.maintenance_from_initial:
        yield (
            "maintenance margin",
            f"initial margin at the tier's leverage × its fraction, rounded = {_n(margin)} {asset}",
        )
    else:
        basis = {"mark": "value at the mark", "entry": "value at entry", "frozen_mark": "value at the mark"}
        value = charge.size * line.contract_value
        if not charge.moving and policies.maintenance_at != "frozen_mark":
            value = charge.size * line.contract.contract_value(line.position.entry_price)
        rate = _n(line.maintenance_rate)
        reserve = f" + {plain(charge.funding)} for funding" if charge.funding else ""
        how = f"{basis[policies.maintenance_at]} × rate − deduction = {_n(value)} × "
        how += f"({rate}{reserve})" if reserve else rate
        yield "maintenance margin", f"{how} − {_n(line.deduction)} = {_n(margin)} {asset}"
    if line.closing_fee or policies.closing_fee != "none":
        fee = closing_rate(line.contract, policies)
        known = f"at {plain(fee)}" if fee else "its rate is not known, so 0"
        yield "closing fee", f"{meaning('closing_fee', policies.closing_fee)}, {known}: {_n(line.closing_fee)} {asset}"
        total = f"{_n(margin)} + {_n(line.closing_fee)} = {_n(line.liquidation_requirement)} {asset}"
        yield "requirement", f"maintenance + closing fee = {total}"


def _prices(file: AccountFile, rulebook: Rulebook, assessment: Assessment, line: PositionLine) -> Iterator[Step]:
    """Explain the liquidation price: the equation with its numbers, its root, and the pool assessed at that price."""
    symbol, side = line.position.symbol, line.position.side
    prices = liquidation_prices(assessment, symbol)
    price = prices.of_side(side)
    if assessment.balance_held_against is None or assessment.liquidation_requirement is None:
        yield "liquidation price", "unknown: the balance or the requirement is not known"
        return
    # What is frozen at today's mark would move with the price if the pool were assessed there.
    frozen = "frozen_mark" in {assessment.policies.maintenance_at, assessment.policies.closing_fee}
    at = None
    if price is not None and price > 0 and not frozen:
        at = _assessed_at(file, rulebook, assessment, symbol, price)
    shared = assessment.policies.pool_liquidation_price != "alone" and not assessment.pool.isolated
    if shared:
        yield "equation", meaning("pool_liquidation_price", assessment.policies.pool_liquidation_price) or ""
    else:
        yield from _equation(assessment, line, at)
    if price is None:
        yield "liquidation price", f"none: no price of {symbol} alone brings the balance down to the requirement"
    else:
        rounding = "rounded by the venue's rule" if prices.rounded else "not rounded"
        yield "liquidation price", f"{_n(price)} ({rounding}), the other marks fixed"
    if at is not None and not shared:
        balance, required = _n(at.balance_held_against), _n(at.liquidation_requirement)
        yield "check", f"at {_n(price)} the balance is {balance} and the requirement {required}"
    bankruptcy = bankruptcy_price(assessment, line)
    share = "the whole equity of the pool" if len(assessment.lines) == 1 else "its share of the pool's equity"
    if bankruptcy is None:
        yield "bankruptcy price", f"none: {share} is never used up"
    else:
        yield "bankruptcy price", f"{_n(bankruptcy)}, where {share} is used up"


def _assessed_at(
    file: AccountFile, rulebook: Rulebook, assessment: Assessment, symbol: str, price: Price
) -> Assessment | None:
    """Return the pool assessed once more with the price as the symbol's mark: balance and requirement meet there."""
    try:
        return assess(assessment.pool, {**file.marks, symbol: price}, rulebook)
    except BadInput:
        return None


def _equation(assessment: Assessment, line: PositionLine, at: Assessment | None) -> Iterator[Step]:
    """Put the numbers into balance = requirement, with the rate of the tier where the root lies (``at`` the price)."""
    if assessment.pool.mode.backing is Backing.BASKET:
        yield "equation", "balance of the basket = requirement of the pool, solved tier by tier along this mark"
        return
    own = [other for other in assessment.lines if other.position.symbol == line.position.symbol]
    cash = (assessment.balance_held_against or ZERO) - sum((leg.unrealised_pnl for leg in own), ZERO)
    others = assessment.liquidation_requirement or ZERO
    others -= sum((leg.liquidation_requirement or ZERO for leg in own), ZERO)
    alone = len(own) == len(assessment.lines)
    with_others = "" if alone else ", the PnL of the others in it"
    yield "balance", f"{_n(cash)} {assessment.asset} without this symbol's own PnL{with_others}"
    if others:
        yield "others' share", f"{_n(others)} {assessment.asset} of the requirement"
    if line.closing_fee and assessment.policies.closing_fee == "bankruptcy_price":
        yield "equation", "balance + PnL = requirement, its closing fee at a bankruptcy price that moves with the mark"
        return
    if len(own) > 1:
        yield "equation", "balance + PnL of both legs = requirement of both legs, solved tier by tier along their mark"
        return
    there = line if at is None else next(other for other in at.lines if other.position == line.position)
    yield "equation", _balance_is_requirement(line, there, cash, others)


def _balance_is_requirement(line: PositionLine, there: PositionLine, cash: Decimal, others: Decimal) -> str:
    charge, contract = line.charge, line.contract
    unknown = "price" if contract.contract_size == 1 and not contract.inverse else "v"
    signed = line.position.quantity * contract.orientation
    left = f"{_n(cash)} {_signed(signed)} · {unknown} {_signed(-line.entry_value)}"
    right = _n(charge.fixed)
    if charge.moving:
        rate = (there.maintenance_rate or ZERO) + charge.funding
        right = f"{_n(charge.size)} · {unknown} · {_n(rate)} − {_n(there.deduction)}"
    parts = [
        f" + {_n(charge.fee_slope)} · {unknown}" if charge.fee_slope else "",
        f" + {_n(charge.fee)}" if charge.fee else "",
        f" + {_n(others)}" if others else "",
    ]
    size = _n(contract.contract_size)
    meant = "" if unknown == "price" else f", v = {size} {'÷' if contract.inverse else '×'} price"
    tier = "" if there.tier is None or there.tier == line.tier else f", in tier {there.tier + 1}"
    return f"{left} = {right}{''.join(parts)}{meant}{tier}"


def _signed(value: Decimal) -> str:
    return f"− {_n(-value)}" if value < 0 else f"+ {_n(value)}"


__all__ = ["explanation", "print_explanation", "steps"]
