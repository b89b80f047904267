"""The requirement of a portfolio account: risk unit by risk unit, and what the whole account is charged besides.

:func:`requirement` answers for the lines of a pool; :mod:`.apply` puts the answer into its assessment. Losses of one
unit are never offset by gains of another: where a venue allows that, it does not publish how (docs/explanation/
portfolio-margin.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ringfence.errors import BadAccount, BadRulebook
from ringfence.margin.portfolio import components, risk_matrix, stress_test
from ringfence.margin.portfolio.charges import Charge
from ringfence.margin.portfolio.exposure import exposure, spot_exposure
from ringfence.margin.portfolio.unit import Margins, Unit
from ringfence.numbers import ONE, ZERO, exact, plain
from ringfence.portfolio_rules import ComponentTerms, MatrixTerms, StressTerms, UnifiedTerms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ringfence.account import Collateral, Pool
    from ringfence.contract import Contract
    from ringfence.margin.lines import PositionLine
    from ringfence.margin.portfolio.exposure import Exposure
    from ringfence.margin.scenario import Grid
    from ringfence.numbers import Price, Quantity, Rate, Value
    from ringfence.portfolio_rules import Band, PortfolioRules, Terms
    from ringfence.rulebook import Rulebook

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True, eq=False)
class PortfolioRequirement:
    """What a portfolio account must hold, in its currency. ``units``: none where the model goes by risk tiers.

    ``maintenance`` and ``initial``: of the units and the account's own ``charges`` (borrowing). ``liquidation_factor``:
    how many times the maintenance margin the balance is held against. ``assumptions``: terms that are ours, in words.
    ``known``: units computed.
    """

    rules: PortfolioRules
    rulebook: Rulebook
    units: tuple[Unit, ...]
    charges: tuple[Charge, ...]
    maintenance: Value
    initial: Value
    liquidation_factor: Rate
    assumptions: tuple[str, ...]
    known: Known | None = None
    _kept: dict[type, Any] = field(default_factory=dict, init=False, repr=False)

    def band_at(self, ratio: Rate | None) -> Band | None:
        """Return the venue's band that a ratio of balance to maintenance margin lies in."""
        return self.rules.band_at(ratio)

    def once(self, kind: type[Kept], make: Callable[[], Kept]) -> Kept:
        """Return what ``make`` makes of this requirement: made once, and kept with it for whoever asks again."""
        if kind not in self._kept:
            self._kept[kind] = make()
        found: Kept = self._kept[kind]
        return found


class Known:
    """Units that were computed, for whoever assesses one account at many marks: what did not move is not done again.

    A unit is known again by everything it depends on beside the account's contracts and rulebook. Holds up to
    :data:`MOST_GAINS` gains, then starts anew.
    """

    __slots__ = ("_gains", "_units")

    def __init__(self) -> None:
        self._units: dict[tuple[object, ...], Unit] = {}
        self._gains = 0

    def unit(self, coin: str, items: list[tuple[Contract, Quantity, Price]], pool: Pool, rules: PortfolioRules) -> Unit:
        """Return the unit of ``items``, computed now or before."""
        risk = pool.risk
        assert risk is not None  # noqa: S101 - a pool of portfolio margin has them
        key = (
            coin, index_of(coin, pool), pool.balances.get(coin), risk.time, risk.rates.get(coin), risk.spot_hedging,
            *((contract.symbol, quantity, mark, risk.volatility.get(contract.symbol),
               pool.collateral[contract.settle_asset].index if contract.settle_asset in pool.collateral else None)
              for contract, quantity, mark in items),
        )  # fmt: skip
        found = self._units.get(key)
        if found is None:
            found = _unit(coin, items, pool, rules)
            self._gains += sum(len(item.gains.prices) + 1 for item in found.exposures)
            if self._gains > MOST_GAINS:
                self._units.clear()
                self._gains = 0
            self._units[key] = found
        return found


MOST_GAINS = 400_000


class Hedge(NamedTuple):
    """What one holding needs alone, and in the book: maintenance margin as it is charged, nothing left out.

    ``alone``: what a unit that holds nothing else, spot neither, is required.
    ``added``: by how much the unit's requirement would be less without it; negative where it lowers the requirement.
    Coins held then hedge what is left, as far as they do; the wallet is as it is, so that what closing it would settle
    is not in it.
    ``saved``: ``alone − added``, what the others spare it; negative where what is granted once, as the dampener of an
    extended table, or charged by size makes the whole dearer than its parts.
    """

    name: str
    alone: Value
    added: Value
    saved: Value


def rules_of(rulebook: Rulebook) -> PortfolioRules:
    """Return the rulebook's rules of portfolio margin. Raises BadRulebook where it has none on its day."""
    if rulebook.portfolio is not None:
        return rulebook.portfolio
    days = ", ".join(rulebook.portfolio_days)
    raise BadRulebook(
        f"no portfolio margin of {rulebook.name} on {rulebook.as_of}" if days else
        f"{rulebook.name} has no rules of portfolio margin",
        where=f"rulebook {rulebook.name}",
        expected=f"a day on or after the first rules: {days}" if days else "a portfolio.toml in one of its folders",
        found=str(rulebook.as_of) if days else "none",
        hint="give a later --as-of" if days else
        "set collateral_mode to multi_asset, or take deribit, okx-swap, bybit-uta or binance-usdm",
    )  # fmt: skip


@exact
def requirement(
    pool: Pool,
    lines: Sequence[PositionLine],
    rulebook: Rulebook,
    *,
    more: Iterable[tuple[Contract, Quantity, Price]] = (),
    known: Known | None = None,
) -> PortfolioRequirement:
    """Return what a pool at its marks is required to hold. ``more``: contracts held besides, for orders.

    ``known``: units of the same account under the same rules that were computed at other marks.
    Raises BadAccount for what cannot be valued and BadRulebook without rules of the day.
    """
    rules = rules_of(rulebook)
    if isinstance(rules.terms, UnifiedTerms):
        return _unified(pool, lines, rulebook, rules, rules.terms)
    held: dict[str, list[tuple[Contract, Quantity, Price]]] = {}
    for line in lines:
        held.setdefault(line.contract.risk_unit, []).append((line.contract, line.position.quantity, line.mark_price))
    for contract, quantity, mark in more:
        held.setdefault(contract.risk_unit, []).append((contract, quantity, mark))
    known = known or Known()
    units = tuple(known.unit(coin, items, pool, rules) for coin, items in held.items())
    charges, initial_charges = _borrowing(pool, rules.terms)
    stand_ins = pool.risk.stand_ins if pool.risk is not None else {}
    assumed = [
        f"index price: none is given for {coin}, the mark of {symbol} stands in" for coin, symbol in stand_ins.items()
    ]
    return PortfolioRequirement(
        rules, rulebook, units, charges,
        sum((unit.margins.maintenance for unit in units), sum((c.amount for c in charges), ZERO)),
        sum((unit.margins.initial for unit in units), initial_charges),
        ONE, (*assumed, *assumptions(rules, [unit.coin for unit in units])), known=known,
    )  # fmt: skip


def index_of(coin: str, pool: Pool) -> Price:
    """Return a coin's spot price in the account's currency. Raises BadAccount where none is given."""
    if pool.risk is not None and coin in pool.risk.index:
        return pool.risk.index[coin]
    if coin in pool.collateral:
        return pool.collateral[coin].index
    raise BadAccount(
        f"no index price for {coin}", where="account.index", expected=f"the spot price of {coin}",
        found="nothing", hint=f'add "index": {{"{coin}": "…"}}',
    )  # fmt: skip


def _unit(coin: str, items: list[tuple[Contract, Quantity, Price]], pool: Pool, rules: PortfolioRules) -> Unit:
    index = index_of(coin, pool)
    table = grid_of(rules.terms_of(coin), rules)
    exposures = [
        exposure(contract, quantity, mark, pool=pool, index=index, grid=table) for contract, quantity, mark in items
    ]
    return unit_of(coin, exposures, pool=pool, index=index, grid=table, rules=rules)


def unit_of(
    coin: str, exposures: list[Exposure], *, pool: Pool, index: Price, grid: Grid, rules: PortfolioRules
) -> Unit:
    """Return the unit that ``exposures`` make, with the spot of the pool that hedges them where it counts."""
    hedging = rules.spot == "offset" if pool.risk is None or pool.risk.spot_hedging is None else pool.risk.spot_hedging
    spot = max(ZERO, pool.balances.get(coin) or ZERO) if hedging else ZERO
    held = _with_spot(coin, exposures, spot, index=index, grid=grid)
    return Unit(coin, index, grid, held, margins_of(held, rules.terms_of(coin), index, grid), spot)


def _with_spot(
    coin: str, exposures: Sequence[Exposure], spot: Quantity, *, index: Price, grid: Grid
) -> tuple[Exposure, ...]:
    """Return a unit's contracts with as many of the ``spot`` coins held as offset what they are short of."""
    in_use = min(spot, -sum((item.delta for item in exposures), ZERO))
    return (*exposures, spot_exposure(coin, in_use, index=index, grid=grid)) if in_use > 0 else tuple(exposures)


def grid_of(terms: Terms, rules: PortfolioRules) -> Grid:
    """Return the scenarios of a model's terms. Raises TypeError for one without (risk tiers: Binance)."""
    if isinstance(terms, MatrixTerms):
        return risk_matrix.grid(terms, rules.coin_loss_at)
    if isinstance(terms, StressTerms):
        return stress_test.grid(terms, rules.coin_loss_at)
    if isinstance(terms, ComponentTerms):
        return components.grid(terms, rules.coin_loss_at)
    raise TypeError(f"{type(terms).__name__} has no scenarios")


@exact
def margins_of(exposures: Sequence[Exposure], terms: Terms, index: Price, table: Grid) -> Margins:
    """Return the requirement of some exposures of one unit under a model's terms; TypeError for one of risk tiers."""
    if isinstance(terms, MatrixTerms):
        return risk_matrix.margins(exposures, terms, index, table)
    if isinstance(terms, StressTerms):
        return stress_test.margins(exposures, terms, index, table)
    if isinstance(terms, ComponentTerms):
        return components.margins(exposures, terms, index, table)
    raise TypeError(f"{type(terms).__name__} has no scenarios")


@exact
def hedges(found: PortfolioRequirement, unit: Unit) -> tuple[Hedge, ...]:
    """Return for each holding of a unit what it needs alone, what it adds, and what the others spare it.

    All of it on the requirement that is charged. Spot that hedges is a holding of its own.
    """
    if unit.grid is None:
        return ()
    terms = found.rules.terms_of(unit.coin)
    contracts = [item for item in unit.exposures if item.contract is not None]
    items = []
    for item in unit.exposures:
        others = tuple(other for other in contracts if other is not item)
        if item.contract is not None:
            others = _with_spot(unit.coin, others, unit.spot, index=unit.index, grid=unit.grid)
        alone = margins_of((item,), terms, unit.index, unit.grid).maintenance
        without = margins_of(others, terms, unit.index, unit.grid).maintenance
        added = unit.margins.maintenance - without
        items.append(Hedge(item.name, alone, added, alone - added))
    return tuple(items)


def _borrowing(pool: Pool, terms: Terms) -> tuple[tuple[Charge, ...], Value]:
    """Return OKX's MR8, the maintenance of what the account owes, and the initial margin of it."""
    if not isinstance(terms, ComponentTerms):
        return (), ZERO
    total = sum((owed(asset, pool) * pool.collateral[asset].ask for asset in pool.balances), ZERO)
    if not total:
        return (), ZERO
    how = (
        f"{plain(terms.borrow_rate * 100)} % of {plain(total)} borrowed: loans and wallet balances below 0, without "
        "unrealised PnL"
    )
    return (Charge("MR8 borrowing", total * terms.borrow_rate, how),), total * terms.borrow_initial_rate


def owed(asset: str, pool: Pool) -> Value:
    """Return what is owed in an asset: its loan, or a wallet balance that is negative by more than that.

    Unrealised PnL does not count: a loss is owed once it is realised. Ours where a venue does not say.
    """
    loan = pool.risk.loans.get(asset, ZERO) if pool.risk is not None else ZERO
    return max(loan, -(pool.balances[asset] or ZERO), ZERO)


def owed_charge(amount: Value, terms: Terms, collateral: Collateral) -> Value:
    """Return the maintenance margin of ``amount`` (≥ 0) owed in an asset, in the account's currency.

    OKX: at the asset's ask times its borrow rate (MR8); Binance: at the index times its loan rate; elsewhere 0.
    """
    if isinstance(terms, ComponentTerms):
        return amount * collateral.ask * terms.borrow_rate
    return amount * collateral.index * terms.loan_rate if isinstance(terms, UnifiedTerms) else ZERO


def _unified(
    pool: Pool, lines: Sequence[PositionLine], rulebook: Rulebook, rules: PortfolioRules, terms: UnifiedTerms
) -> PortfolioRequirement:
    """Return Binance's unified maintenance margin: tiers of USDⓈ-M and COIN-M positions, and loans at their rate.

    ``futures MM = Σ (notional · rate − deduction) · index + Σ loan · loan rate · index``.
    Source: Binance, unified maintenance margin ratio (4868b2f1aa6c4d08af973328462bb0bd).
    """
    charges = []
    for line in lines:
        own = line.maintenance_margin
        if own is None:
            raise BadRulebook(
                f"no maintenance rate for {line.position.symbol}", where=f"rulebook {rulebook.name}",
                expected="risk tiers", found="none", hint="give tiers under `contracts` in the account file",
            )  # fmt: skip
        price = pool.collateral[line.contract.settle_asset].index
        name = f"{line.position.symbol} {line.position.side}"
        rate = "" if line.maintenance_rate is None else f"{plain(line.maintenance_rate * 100)} % of its notional"
        charges.append(Charge(name, own * price, rate))
    for asset in pool.balances:
        loan = owed(asset, pool)
        if loan:
            how = f"{plain(terms.loan_rate * 100)} % of {plain(loan)} {asset} owed"
            charges.append(Charge(f"{asset} loan", owed_charge(loan, terms, pool.collateral[asset]), how))
    maintenance = sum((charge.amount for charge in charges), ZERO)
    return PortfolioRequirement(
        rules, rulebook, (), tuple(charges), maintenance, maintenance * terms.opening_ratio, terms.liquidation_ratio,
        assumptions(rules, ()),
    )  # fmt: skip


def assumptions(rules: PortfolioRules, coins: Iterable[str]) -> tuple[str, ...]:
    """Return what a requirement stands on that is ours and not the venue's, in words."""
    found = [f"{name.replace('_', ' ')}: {text}" for name, text in rules.assumptions.items()]
    if rules.coins == "listed":
        unlisted = [coin for coin in coins if coin not in rules.by_coin]
        if unlisted:
            found.append(f"the venue's terms for {', '.join(unlisted)} were not found: the general ones stand in")
    return tuple(found)


__all__ = [
    "Hedge",
    "Known",
    "PortfolioRequirement",
    "assumptions",
    "grid_of",
    "hedges",
    "index_of",
    "margins_of",
    "owed",
    "owed_charge",
    "requirement",
    "rules_of",
    "unit_of",
]
