"""A venue's rules of portfolio margin as data: which model, its terms by coin, its bands, and whose figures they are.

One file per venue and day, ``portfolio.toml``. It chooses one of four models and gives that model's terms; what a term
means stands beside its field below, how the models compute is in :mod:`ringfence.margin.portfolio`.

=================  ===================================================================================================
model              requirement
=================  ===================================================================================================
``risk_matrix``    the worst cell of a price × volatility grid and its extended table, plus contingencies (Deribit)
``components``     maximum of stress components plus further ones, and minimum charges (OKX, MR1 to MR9)
``stress_test``    the worst stress scenario plus contingencies (Bybit)
``unified_ratio``  risk tiers and loans over all products, against one adjusted equity (Binance, uniMMR)
=================  ===================================================================================================

Every term says where it comes from: ``sources`` names where it was read, ``assumptions`` holds those that no venue
publishes. Those are ours, and every result that stands on them says so.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ringfence.errors import BadRulebook, nearest
from ringfence.numbers import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ringfence.numbers import Rate, Value

Steps: TypeAlias = tuple[tuple[Decimal | None, Decimal], ...]
"""Slices: each (upper end, factor), ascending; the last end may be None for no end."""


@dataclass(frozen=True, slots=True)
class MatrixTerms:
    """Deribit's risk matrix. Rates are fractions, values in the account's currency."""

    price_range: Rate  # largest price move of the standard table, both ways
    price_buckets: Decimal  # moves on each side of zero
    volatility_up: Rate  # relative rise of implied volatility at 30 days
    volatility_down: Rate  # relative fall
    short_term_power: Decimal  # rise and fall scale with (30 ÷ days)^power: below 30 days
    long_term_power: Decimal  # and from 30 days on
    minimum_volatility_up: Rate  # a raised volatility is at least this
    extended_moves: tuple[Rate, ...]  # signed moves of the extended table, volatility up
    extended_factor: Rate  # share of its loss that counts, times price_range ÷ move
    extended_dampener: Value  # taken off such a loss, times move ÷ price_range − 1
    minimum_expiry_move: Rate  # roll shock of an expiry's net delta: at least this
    annualised_move: Rate  # and at least this times the years to expiry
    delta_shock_threshold: Value  # net delta beyond which a price shock is added
    delta_shock_increment: Rate  # shock per coin beyond the threshold
    maximum_delta_shock: Rate  # and no more than this
    short_option_rate: Rate  # of the underlying, per net short option of a strike
    offsetting_futures_rate: Rate  # of the quantity that futures of opposite sign offset
    maintenance_factor: Rate  # maintenance margin as a share of worst case plus contingencies
    initial_factor: Rate  # initial margin likewise


@dataclass(frozen=True, slots=True)
class StressTerms:
    """Bybit's stress test."""

    price_moves: tuple[Rate, ...]  # both ways; no move is always among them
    volatility_up: Rate  # relative
    volatility_down: Rate
    short_option_rate: Rate  # of the index, per net short option of an expiry and type
    vega_spread_rate: Rate  # of the index, per 30 days between expiries whose vegas offset
    stable_spread_rate: Rate  # of the delta that USDT- and USDC-settled contracts offset
    delta_spread_rate: Rate  # a year, of the delta that expiries offset, times the years between them
    perpetual_rate: Rate  # of perpetuals and futures, gross
    initial_factor: Rate  # initial ÷ maintenance margin


@dataclass(frozen=True, slots=True)
class ComponentTerms:
    """OKX's components MR1 to MR9."""

    spot_moves: tuple[Rate, ...]  # MR1: both ways, with volatility up, same and down
    volatility_moves: Steps  # MR1: (days to expiry, relative move of implied volatility), linear between them
    time_decay_days: Decimal  # MR2
    vega_spread_move: Rate  # MR3: relative, on what vegas of different expiries offset
    basis_move: Rate  # MR4: a year
    interest_move: Rate  # MR5: of the yearly rate, up and down
    extreme_move: Rate  # MR6: both ways, volatility unchanged
    extreme_share: Rate  # MR6: share of that loss
    taker_fee: Rate  # MR7: of the value of a future or the underlying of an option
    futures_slippage: Rate  # MR7: of the value
    option_slippage: Rate  # MR7: of the underlying, per delta
    option_minimum_delta: Rate  # MR7: at least this delta
    minimum_steps: Steps  # MR7: multiplier of each slice of the raw charge
    borrow_rate: Rate  # MR8: maintenance of what is borrowed
    borrow_initial_rate: Rate
    depeg_steps: Steps  # MR9: rate of each slice hedged across stablecoins
    initial_factor: Rate  # initial ÷ maintenance of derivatives


@dataclass(frozen=True, slots=True)
class UnifiedTerms:
    """Binance's unified maintenance margin ratio."""

    loan_rate: Rate  # maintenance of what is borrowed
    opening_ratio: Rate  # uniMMR above which positions may be opened
    liquidation_ratio: Rate  # uniMMR at or below which the account is liquidated


Terms: TypeAlias = MatrixTerms | StressTerms | ComponentTerms | UnifiedTerms

_MODELS: dict[str, type[Terms]] = {
    "risk_matrix": MatrixTerms,
    "components": ComponentTerms,
    "stress_test": StressTerms,
    "unified_ratio": UnifiedTerms,
}
_CHOICES = {
    "model": tuple(_MODELS),
    "coin_loss_at": ("index", "scenario"),
    "spot": ("none", "offset"),
    "ratio": ("balance / maintenance", "maintenance / balance"),
    "coins": ("listed", "all"),
}
_TOP = (
    *_CHOICES, "schema", "minimum_equity", "sequence", "repay_at", "terms", "group", "bands", "sources", "assumptions",
)  # fmt: skip

SCHEMA = "ringfence.portfolio/1"


class Band(NamedTuple):
    """A range of the venue's ratio, above ``above`` (None: the lowest). ``permits``: what may still be done."""

    above: Rate | None
    name: str
    permits: str


@dataclass(frozen=True, slots=True)
class PortfolioRules:
    """One venue's portfolio margin as of one day.

    ``coin_loss_at``: a loss in a coin counts at the ``index`` as it is, or at the price of the ``scenario``. ``spot``:
    whether spot balances enter the scenarios as far as they ``offset`` derivatives. ``ratio``: the venue's display.
    ``by_coin``: terms of the coins that have their own; ``terms`` of the rest, which are the venue's only where
    ``coins`` is ``all``. ``bands``: highest first. ``minimum_equity``: what the venue asks an account to hold.
    ``sequence``: steps of a liquidation; none where they are the rulebook's own. ``repay_at``: balance ÷ maintenance
    margin at or below which the venue repays what is borrowed; None: only in a liquidation.
    """

    model: str
    day: str
    terms: Terms
    by_coin: Mapping[str, Terms]
    coins: str
    coin_loss_at: str
    spot: str
    ratio: str
    minimum_equity: Value | None
    bands: tuple[Band, ...]
    sequence: tuple[str, ...]
    repay_at: Rate | None
    sources: Mapping[str, str]
    assumptions: Mapping[str, str]

    def terms_of(self, coin: str) -> Terms:
        """Return the terms of a risk unit."""
        return self.by_coin.get(coin, self.terms)

    def band_at(self, ratio: Decimal | None) -> Band | None:
        """Return the band that a ratio (balance ÷ maintenance) lies in; the highest where nothing is required."""
        if ratio is None:
            return self.bands[0] if self.bands else None
        return next((band for band in self.bands if band.above is None or ratio > band.above), None)


def read_rules(data: Mapping[str, Any], *, day: str, where: str) -> PortfolioRules:
    """Return the rules that the data of a ``portfolio.toml`` states. Raises BadRulebook for the first fault."""
    for key, message in faults_of(data):
        raise BadRulebook(
            message, where=f"{where}: {key}", expected="the form that docs/reference/portfolio-rules.md describes",
            found=str(data.get(key.partition(".")[0], "nothing"))[:80], hint="run `ringfence rulebooks check`",
        )  # fmt: skip
    kind = _MODELS[data["model"]]
    shared = data["terms"]
    by_coin = {
        coin: _terms(kind, {**shared, **{k: v for k, v in group.items() if k != "coins"}})
        for group in data.get("group", ())
        for coin in group["coins"]
    }
    return PortfolioRules(
        model=data["model"],
        day=day,
        terms=_terms(kind, shared),
        by_coin=by_coin,
        coins=data.get("coins", "listed"),
        coin_loss_at=data.get("coin_loss_at", "scenario"),
        spot=data.get("spot", "none"),
        ratio=data.get("ratio", "balance / maintenance"),
        minimum_equity=Decimal(data["minimum_equity"]) if "minimum_equity" in data else None,
        bands=tuple(
            Band(Decimal(band["above"]) if "above" in band else None, band["name"], band["permits"])
            for band in data.get("bands", ())
        ),
        sequence=tuple(data.get("sequence", ())),
        repay_at=Decimal(data["repay_at"]) if "repay_at" in data else None,
        sources=dict(data.get("sources", {})),
        assumptions=dict(data.get("assumptions", {})),
    )


def _terms(kind: type[Terms], given: Mapping[str, Any]) -> Terms:
    return kind(**{field.name: _value(str(field.type), given[field.name]) for field in fields(kind)})


def _value(annotation: str, raw: Any) -> Any:
    if annotation == "Steps":
        return tuple((None if end == "" else Decimal(end), Decimal(factor)) for end, factor in raw)
    return tuple(Decimal(item) for item in raw) if annotation.startswith("tuple") else Decimal(raw)


def faults_of(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield everything that is wrong with the data of a ``portfolio.toml``: the key, and what is wrong with it."""
    for key in data:
        if key not in _TOP:
            yield key, f"unknown key {key}; {nearest(key, _TOP) or 'expected one of ' + ', '.join(_TOP)}"
    if data.get("schema") != SCHEMA:
        yield "schema", f"expected {SCHEMA}, found {data.get('schema')!r}"
    for key, choices in _CHOICES.items():
        if data.get(key, None if key == "model" else choices[0]) not in choices:
            yield key, f"cannot be {data.get(key)!r}; expected one of {', '.join(choices)}"
    for key in ("minimum_equity", "repay_at"):
        if key in data and _number(data[key]) is None:
            yield key, f"expected a decimal string, found {data[key]!r}"
    steps = data.get("sequence", [])
    if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
        yield "sequence", f"expected a list of steps, found {steps!r}"
    yield from _band_faults(data.get("bands", ()))
    if data.get("model") in _MODELS:
        yield from _term_faults(data, _MODELS[data["model"]])


def _term_faults(data: Mapping[str, Any], kind: type[Terms]) -> Iterator[tuple[str, str]]:
    known = {field.name: str(field.type) for field in fields(kind) if field.default is MISSING}
    shared = data.get("terms")
    if not isinstance(shared, dict):
        yield "terms", "expected a table of the model's terms"
        return
    for name in known:
        if name not in shared:
            yield f"terms.{name}", "missing: a model has all of its terms"
    yield from _table_faults("terms", shared, known)
    for index, group in enumerate(data.get("group", ())):
        place = f"group[{index}]"
        coins = group.get("coins")
        if not isinstance(coins, list) or not coins or not all(isinstance(coin, str) for coin in coins):
            yield f"{place}.coins", "expected a list of coins"
        yield from _table_faults(place, {name: raw for name, raw in group.items() if name != "coins"}, known)
    yield from _origin_faults(data, known)


def _table_faults(place: str, table: Mapping[str, Any], known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, raw in table.items():
        if name in known:
            yield from _raw_faults(f"{place}.{name}", known[name], raw)
        else:
            yield f"{place}.{name}", f"unknown term; {nearest(name, known) or 'see the model'}"


def _origin_faults(data: Mapping[str, Any], known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield terms that have neither a source nor an assumption, or both, and texts that are none."""
    for name in known:
        told = [key for key in ("sources", "assumptions") if name in data.get(key, {})]
        if len(told) != 1:
            yield f"sources.{name}", "each term has a source or an assumption" + (", not both" if told else "")
    for key in ("sources", "assumptions"):
        for name, text in data.get(key, {}).items():
            if not isinstance(text, str) or not text:
                yield f"{key}.{name}", f"expected text, found {text!r}"


def _raw_faults(place: str, annotation: str, raw: Any) -> Iterator[tuple[str, str]]:
    if annotation == "Steps":
        numbers = [part for item in raw for part in item] if _is_pairs(raw) else [None]
        ends = [_number(item[0]) for item in raw if item[0] != ""] if _is_pairs(raw) else []
        if any(part is None or (part != "" and _number(part) is None) for part in numbers):
            yield place, f"expected a list of [end, factor], found {raw!r}"
        elif any(a is None or b is None or a >= b for a, b in pairwise(ends)):
            yield place, "expected ends that ascend"
    elif annotation.startswith("tuple"):
        if not isinstance(raw, list) or any(_number(item) is None for item in raw):
            yield place, f"expected a list of decimal strings, found {raw!r}"
        elif any((_number(item) or ZERO) <= -ONE for item in raw):
            yield place, "a price cannot fall by 100 % or more"
    elif _number(raw) is None:
        yield place, f"expected a decimal string, found {raw!r}"
    elif (_number(raw) or ZERO) < 0:
        yield place, f"expected 0 or more, found {raw!r}"


def _is_pairs(raw: Any) -> bool:
    return isinstance(raw, list) and bool(raw) and all(isinstance(i, list) and len(i) == len(("end", "f")) for i in raw)


def _band_faults(bands: Any) -> Iterator[tuple[str, str]]:
    before: Decimal | None = None
    for index, band in enumerate(bands if isinstance(bands, list) else []):
        place = f"bands[{index}]"
        if not isinstance(band, dict) or not band.get("name") or not band.get("permits"):
            yield place, "expected name and permits, and above but for the lowest"
            continue
        above = _number(band["above"]) if "above" in band else None
        if "above" in band and (above is None or (before is not None and above >= before)):
            yield f"{place}.above", f"expected a decimal string below the band before, found {band['above']!r}"
        if "above" not in band and index < len(bands) - 1:
            yield place, "only the lowest band has no lower end"
        before = above


def _number(raw: object) -> Decimal | None:
    if not isinstance(raw, str) or raw != raw.strip() or "_" in raw:
        return None
    try:
        number = Decimal(raw)
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


__all__ = [
    "SCHEMA",
    "Band",
    "ComponentTerms",
    "MatrixTerms",
    "PortfolioRules",
    "Steps",
    "StressTerms",
    "Terms",
    "UnifiedTerms",
    "faults_of",
    "read_rules",
]
