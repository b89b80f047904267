"""Random accounts for the laws: contracts of every kind, tier tables, pools of every shape, policies of all sorts.

A scene is built around its own sizes: tiers, wallets and margins are drawn relative to the notional held, so that tier
edges, thin margins and pools already under water are common and not the rare exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ringfence.account import (
    Account,
    Collateral,
    CollateralMode,
    MarginMode,
    OpenOrder,
    Pool,
    Position,
    PositionMode,
    Slice,
    pools,
)
from ringfence.contract import Contract, ContractKind
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypothesis.strategies import DrawFn, SearchStrategy

FOUR_DIGITS = Context(prec=4, rounding=ROUND_HALF_EVEN)
EIGHT_DIGITS = Context(prec=8, rounding=ROUND_HALF_EVEN)

PROGRESSIVE: dict[str, dict[str, Any]] = {
    "binance": {"tier_type": "progressive"},
    "entry basis": {"tier_type": "progressive", "maintenance_at": "entry", "initial_margin_at": "entry"},
    "closing fee at the mark": {"tier_type": "progressive", "closing_fee": "mark", "initial_margin_fee": "value"},
    "larger side of a hedge": {
        "tier_type": "progressive",
        "tier_key": "larger_side",
        "hedge_charge": "larger_side",
        "closing_fee": "mark",
    },
    "unified account": {
        "tier_type": "progressive",
        "closing_fee": "leverage_bankruptcy_price",
        "initial_margin_fee": "leverage_bankruptcy_price",
        "closing_fee_in_maintenance": True,
    },
    "strict trigger": {"tier_type": "progressive", "trigger": "below"},
    "orders counted in the tier": {"tier_type": "progressive", "tier_key": "with_orders"},
}
STEP: dict[str, dict[str, Any]] = {
    "okx": {"tier_type": "step", "closing_fee": "mark", "closing_fee_rate": "liquidation"},
    "tier of the net": {"tier_type": "step", "tier_key": "net"},
    "tier of the larger side": {"tier_type": "step", "tier_key": "larger_side", "hedge_charge": "larger_side"},
    "tier with orders": {"tier_type": "step", "tier_key": "with_orders"},
    "entry basis by step": {"tier_type": "step", "maintenance_at": "entry", "closing_fee": "entry"},
    "funding reserve": {"tier_type": "step", "funding_reserve_rate": Decimal("0.0003")},
}
FROZEN: dict[str, dict[str, Any]] = {
    "frozen mark": {"tier_type": "step", "maintenance_at": "frozen_mark", "closing_fee": "frozen_mark"},
}
AT_BANKRUPTCY: dict[str, dict[str, Any]] = {
    "fee at the bankruptcy price": {
        "tier_type": "progressive",
        "maintenance_at": "entry",
        "initial_margin_at": "entry",
        "closing_fee": "bankruptcy_price",
    },
}
MOVING = PROGRESSIVE | STEP  # a requirement that follows from the marks alone


@dataclass(frozen=True)
class Scene:
    """An account with its marks and the rules it stands under."""

    account: Account
    marks: dict[str, Decimal]
    rulebook: Rulebook
    policy: str

    def pools(self) -> tuple[Pool, ...]:
        return pools(self.account, self.rulebook.contract)

    def held(self) -> list[Pool]:
        """The pools that hold positions."""
        return [pool for pool in self.pools() if pool.positions]


def rulebook_of(tables: dict[str, tuple[Contract, TierTable | None]], policies: Policies) -> Rulebook:
    """Return a rulebook of these tables, with the same policies in every architecture."""
    return Rulebook("law", "Law", None, isolated=policies, cross=policies, basket=policies, tables=tables)


def four_digits(number: Decimal) -> Decimal:
    """Return ``number`` with four significant digits, as prices and quantities have few."""
    return FOUR_DIGITS.plus(number)


def mantissas(low: int = 1, high: int = 9999) -> SearchStrategy[Decimal]:
    return st.integers(low, high).map(Decimal)


@st.composite
def contracts(draw: DrawFn, symbol: str, *, kinds: tuple[ContractKind, ...], asset: str, step: bool) -> Contract:
    """A contract whose value at a price of some magnitude may be anything between 1e-9 and 1e9."""
    return Contract(
        symbol,
        draw(st.sampled_from(kinds)),
        draw(st.sampled_from([Decimal(1), Decimal("0.001"), Decimal(100), Decimal("0.0000025")])),
        asset,
        price_step=draw(st.sampled_from([Decimal("0.5"), Decimal("0.01"), Decimal("0.000001")])) if step else None,
        taker_fee_rate=draw(st.sampled_from([None, Decimal("0.0004"), Decimal("0.00055")])),
        liquidation_fee_rate=draw(st.sampled_from([None, Decimal("0.005")])),
    )


@st.composite
def tier_tables(draw: DrawFn, *, around: Decimal, progressive: bool, contracts_held: Decimal | None) -> TierTable:
    """One to five tiers whose floors lie about ``around``, sometimes on it; by contracts where those are given."""
    per_contract = contracts_held is not None and not progressive and draw(st.integers(0, 3)) == 0
    middle = contracts_held if per_contract and contracts_held is not None else around
    parts = draw(st.lists(st.integers(1, 30), max_size=4, unique=True).map(sorted))
    floors = [Decimal(0), *(middle * part / 10 for part in parts)]
    rates = draw(st.lists(st.integers(2, 300), min_size=len(floors), max_size=len(floors), unique=True).map(sorted))
    tiers: list[Tier] = []
    deduction = Decimal(0)
    for number, (floor, thousandths) in enumerate(zip(floors, rates, strict=True)):
        rate = Decimal(thousandths) / 1000
        if number and progressive:
            deduction += floor * (rate - (tiers[-1].maintenance_rate or 0))
        tiers.append(Tier(floor, rate, deduction, Decimal(500 // thousandths or 1)))
    return TierTable(tuple(tiers), "contracts" if per_contract else "notional")


@st.composite
def positions(
    draw: DrawFn, symbol: str, *, quantity: Decimal, mark: Decimal, notional: Decimal, isolated: bool
) -> Position:
    """A position of ``quantity``, entered within 30 % of its mark, an isolated margin of 1 to 120 % of notional."""
    entry = four_digits(mark * draw(st.integers(70, 130)) / 100)
    leverage = draw(st.sampled_from([None, Decimal(1), Decimal(3), Decimal(10), Decimal(25)]))
    if not isolated:
        return Position(symbol, quantity, entry, MarginMode.CROSS, None, leverage)
    margin = four_digits(notional * draw(st.integers(1, 120)) / 100)
    return Position(symbol, quantity, entry, MarginMode.ISOLATED, margin, leverage)


@st.composite
def resting_orders(draw: DrawFn, symbol: str, *, quantity: Decimal, mark: Decimal) -> OpenOrder:
    price = four_digits(mark * draw(st.integers(80, 120)) / 100)
    return OpenOrder(symbol, draw(st.sampled_from([1, -1])) * quantity, price, Decimal(5))


@st.composite
def scenes(  # noqa: PLR0913 - each narrows what is drawn
    draw: DrawFn,
    *,
    policies: dict[str, dict[str, Any]] = MOVING,
    kinds: tuple[ContractKind, ...] = tuple(ContractKind),
    most_symbols: int = 3,
    hedge: bool | None = None,
    isolated: bool | None = None,
    orders: bool = False,
    step: bool = False,
    basket: bool = False,
) -> Scene:
    """An account of up to ``most_symbols`` symbols. Drawn where None: both legs of a symbol, isolated positions."""
    name = draw(st.sampled_from(sorted(policies)))
    chosen = Policies(**policies[name])
    progressive = chosen.tier_type == "progressive"
    hedged = draw(st.booleans()) if hedge is None else hedge
    tables: dict[str, tuple[Contract, TierTable | None]] = {}
    marks: dict[str, Decimal] = {}
    held: list[Position] = []
    working: list[OpenOrder] = []
    shared: dict[str, Decimal] = {}
    for number in range(draw(st.integers(1, most_symbols))):
        symbol = f"S{number}"
        asset = f"C{draw(st.integers(0, 1))}" if basket else "C"
        contract = draw(contracts(symbol, kinds=kinds, asset=asset, step=step))
        mark = marks[symbol] = draw(mantissas()).scaleb(draw(st.integers(-5, 2)))
        value = contract.contract_value(mark)
        size = four_digits(draw(mantissas(100)).scaleb(draw(st.integers(-2, 1))) / EIGHT_DIGITS.plus(value))
        notional = EIGHT_DIGITS.plus(size * value)
        # Floors lie on the very notional too. Not so those of inverse contracts: 300 of 1 USD at 3 are 100 coins, but a
        # unit value is carried to 40 places, which leaves them a hair below 100.
        around = notional * Decimal("1.0001") if contract.inverse else size * value
        tables[symbol] = contract, draw(tier_tables(around=around, progressive=progressive, contracts_held=size))
        side = draw(st.sampled_from([1, -1]))
        for sign in (side, -side) if hedged and draw(st.booleans()) else (side,):
            quantity = size if sign == side else four_digits(size * draw(st.integers(1, 20)) / 10)
            alone = not basket and (draw(st.booleans()) if isolated is None else isolated)
            held.append(draw(positions(symbol, quantity=sign * quantity, mark=mark, notional=notional, isolated=alone)))
            shared[asset] = shared.get(asset, Decimal(0)) + notional
            if orders and draw(st.booleans()):
                working.append(draw(resting_orders(symbol, quantity=quantity, mark=mark)))
    least = -20 if basket else 0  # percent of the notional
    wallet = {asset: four_digits(of * draw(st.integers(least, 150)) / 100) for asset, of in shared.items()}
    account = Account(
        tuple(held),
        tuple(working),
        wallet,
        {a: draw(collaterals(of, draw(_followed(a, tables)))) for a, of in shared.items()} if basket else {},
        PositionMode.HEDGE if hedged else PositionMode.ONE_WAY,
        CollateralMode.MULTI_ASSET if basket else CollateralMode.SINGLE_ASSET,
    )
    return Scene(account, marks, rulebook_of(tables, chosen), name)


@st.composite
def collaterals(draw: DrawFn, notional: Decimal, moves_with: str | None) -> Collateral:
    """Terms of an asset, with one ratio or discount tiers that begin about the ``notional`` held in it."""
    index = draw(st.sampled_from([Decimal(1), Decimal("0.25"), Decimal(2000)]))
    buffers = Decimal("0.001"), Decimal("0.02")
    parts = draw(st.lists(st.integers(1, 15), max_size=3, unique=True).map(sorted))
    if not parts:
        return Collateral(index, Decimal("0.95"), *buffers, moves_with=moves_with)
    unit = draw(st.sampled_from(["base", "usd"]))
    whole = notional * index if unit == "usd" else notional
    caps = [whole * part / 10 for part in parts]
    ratios = [Decimal(ratio) / 100 for ratio in (95, 80, 50, 0)]
    last = draw(st.sampled_from([[], [None]]))  # nothing counts above the last cap, or a tier without end
    slices = tuple(
        Slice(floor, cap, ratio) for floor, cap, ratio in zip([Decimal(0), *caps], [*caps, *last], ratios, strict=False)
    )
    return Collateral(index, Decimal("0.95"), *buffers, slices, unit, moves_with)


def _followed(asset: str, tables: Mapping[str, tuple[Contract, TierTable | None]]) -> SearchStrategy[str | None]:
    """Symbols whose marks an asset's index may follow so that a price can be solved exactly.

    Of linear contracts those that are not settled in the asset, of inverse ones those that are.
    """
    fit = [s for s, (terms, _) in tables.items() if terms.inverse == (terms.settle_asset == asset)]
    return st.sampled_from([None, *fit])


__all__ = ["AT_BANKRUPTCY", "FROZEN", "MOVING", "PROGRESSIVE", "STEP", "Scene", "four_digits", "rulebook_of", "scenes"]
