"""The figures one doubts first, on the exchanges' own tables and by hand.

Tier edges, tiers crossed on the way to a liquidation, the legs of a hedge, coin-margined contracts, isolated and cross
side by side.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from ringfence import rulebooks
from ringfence.account import Account, MarginMode, Position, PositionMode
from ringfence.contract import Contract, ContractKind
from ringfence.errors import BadRulebook
from ringfence.margin.assess import assess, assess_account
from ringfence.margin.price import bankruptcy_price, liquidation_prices
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable
from tests.laws.oracle import Book, sum_of_slices
from tests.laws.strategies import rulebook_of

if TYPE_CHECKING:
    from ringfence.margin.assessment import Assessment

BINANCE = rulebooks.load("binance-usdm", date(2025, 10, 10))
BYBIT = rulebooks.load("bybit-uta", date(2025, 9, 2))
COIN_MARGINED = rulebooks.load("binance-coinm", date(2021, 2, 5))
QUANTITY_STEP = Decimal("0.001")
CLOSELY = Fraction(1, 10**18)


def _table(rulebook: Rulebook, symbol: str) -> TierTable:
    table = rulebook.tiers(symbol)
    assert table is not None
    return table


BINANCE_EDGES = range(1, 12)
BYBIT_EDGES = range(1, len(_table(BYBIT, "BTCUSDT").tiers))


def _two_tiers(first_rate: str, floor: int, second_rate: str | None, *, deduction: int = 0) -> TierTable:
    first = Tier(Decimal(0), Decimal(first_rate), Decimal(0), None)
    rate = None if second_rate is None else Decimal(second_rate)
    return TierTable((first, Tier(Decimal(floor), rate, Decimal(deduction), None)))


def _rulebook_of_x(table: TierTable, policies: Policies) -> Rulebook:
    """X, a linear contract of one unit settled in USDT."""
    return rulebook_of({"X": (Contract("X", ContractKind.LINEAR, Decimal(1), "USDT"), table)}, policies)


def _cross(
    rulebook: Rulebook, held: list[tuple[str, str, str]], marks: dict[str, str], wallet: str, asset: str = "USDT"
) -> Assessment:
    """One cross pool of (symbol, signed quantity, entry price), hedged where a symbol is there twice."""
    positions = tuple(Position(symbol, Decimal(size), Decimal(entry), MarginMode.CROSS) for symbol, size, entry in held)
    hedged = len({position.symbol for position in positions}) < len(positions)
    account = Account(
        positions,
        wallet={asset: Decimal(wallet)},
        position_mode=PositionMode.HEDGE if hedged else PositionMode.ONE_WAY,
    )
    prices = {symbol: Decimal(mark) for symbol, mark in marks.items()}
    return next(a for a in assess_account(account, prices, rulebook) if a.lines)


# ── Tier edges ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rulebook", "number"),
    [(BINANCE, n) for n in BINANCE_EDGES] + [(BYBIT, n) for n in BYBIT_EDGES],
    ids=[f"Binance {n + 1}" for n in BINANCE_EDGES] + [f"Bybit {n + 1}" for n in BYBIT_EDGES],
)
def test_one_quantity_step_around_a_tier_edge_of_btcusdt(rulebook: Rulebook, number: int) -> None:
    table = _table(rulebook, "BTCUSDT")
    on_edge = table.tiers[number].floor / 100_000  # at a mark of 100,000
    assert on_edge % QUANTITY_STEP == 0
    for quantity, tier in (
        (on_edge - QUANTITY_STEP, number - 1),
        (on_edge, number),
        (on_edge + QUANTITY_STEP, number),
    ):
        for sign in (1, -1):
            held = [("BTCUSDT", str(sign * quantity), "100000")]
            (line,) = _cross(rulebook, held, {"BTCUSDT": "100000"}, "0").lines
            assert line.tier == tier
            assert line.maintenance_rate == table.tiers[tier].maintenance_rate
            assert line.maintenance_margin is not None
            fee = Fraction(line.closing_fee)  # Bybit's unified account holds it back inside its maintenance margin
            assert Fraction(line.maintenance_margin) == sum_of_slices(table, Fraction(quantity * 100_000)) + fee


def test_the_first_edges_of_binance_btcusdt_by_hand() -> None:
    margins = [
        _cross(BINANCE, [("BTCUSDT", quantity, "100000")], {"BTCUSDT": "100000"}, "0").maintenance_margin
        for quantity in ("2.999", "3", "3.001", "8", "30")
    ]
    assert margins == [
        Decimal(299900) * Decimal("0.004"),
        300_000 * Decimal("0.004"),
        300_000 * Decimal("0.004") + 100 * Decimal("0.005"),
        300_000 * Decimal("0.004") + 500_000 * Decimal("0.005"),
        300_000 * Decimal("0.004") + 500_000 * Decimal("0.005") + 2_200_000 * Decimal("0.0065"),
    ]


def test_one_price_step_around_a_tier_edge_moves_the_tier_of_a_position() -> None:
    tiers = [
        _cross(BINANCE, [("BTCUSDT", "3", "90000")], {"BTCUSDT": mark}, "0").lines[0].tier
        for mark in ("99999.9", "100000", "100000.1")
    ]
    assert tiers == [0, 1, 1]


# ── Tiers crossed on the way to a liquidation ─────────────────────────────────────────────────────────────────────


def test_a_short_that_grows_into_the_next_tier_is_liquidated_by_the_rate_and_deduction_there() -> None:
    # 2.9 short at 100,000 lies in tier 1 (290,000); with 40,000 it is liquidated near 113,000, in tier 2.
    assessment = _cross(BINANCE, [("BTCUSDT", "-2.9", "100000")], {"BTCUSDT": "100000"}, "40000")
    assert assessment.lines[0].tier == 0
    above = liquidation_prices(assessment, "BTCUSDT").above
    assert above is not None
    # 40,000 + 2.9 · (100,000 − p) = 2.9 · p · 0.005 − 300
    assert abs(Fraction(above) - Fraction(40_000 + 290_000 + 300) / (Fraction("2.9") * Fraction("1.005"))) < CLOSELY
    by_the_tier_at_the_mark = Fraction(40_000 + 290_000) / (Fraction("2.9") * Fraction("1.004"))
    assert abs(Fraction(above) - by_the_tier_at_the_mark) > 5


def test_a_long_that_shrinks_into_a_lower_tier_is_liquidated_by_the_rate_and_deduction_there() -> None:
    # 8.5 long at 100,000 lies in tier 3 (850,000); with 300,000 it is liquidated near 65,000, in tier 2.
    assessment = _cross(BINANCE, [("BTCUSDT", "8.5", "100000")], {"BTCUSDT": "100000"}, "300000")
    assert assessment.lines[0].tier == 2
    below = liquidation_prices(assessment, "BTCUSDT").below
    assert below is not None
    # 300,000 + 8.5 · (p − 100,000) = 8.5 · p · 0.005 − 300
    assert abs(Fraction(below) - Fraction(850_000 - 300_000 - 300) / (Fraction("8.5") * Fraction("0.995"))) < CLOSELY


def test_a_long_of_bybit_crosses_ten_tiers_on_its_way_down() -> None:
    table = _table(BYBIT, "BTCUSDT")
    assessment = _cross(BYBIT, [("BTCUSDT", "400", "100000")], {"BTCUSDT": "100000"}, "37000000")
    below = liquidation_prices(assessment, "BTCUSDT").below
    assert below is not None
    crossed = [tier for tier in table.tiers if 400 * below < tier.floor <= 400 * 100_000]
    assert len(crossed) >= 10
    balance = 37_000_000 + 400 * (Fraction(below) - 100_000)
    fee = Fraction(assessment.closing_fee)
    assert abs(balance - sum_of_slices(table, 400 * Fraction(below)) - fee) < Fraction(1, 10**15)


@pytest.mark.parametrize("cash", [1_000, 30_000, 250_000, 900_000, 2_000_000, 40_000_000])
@pytest.mark.parametrize("quantity", ["3", "-3", "29.999", "-30", "120", "-699.999", "700", "-2300"])
@pytest.mark.parametrize("rulebook", [BINANCE, BYBIT], ids=["Binance", "Bybit"])
def test_prices_of_btcusdt_are_those_of_the_independent_solver(rulebook: Rulebook, quantity: str, cash: int) -> None:
    assessment = _cross(rulebook, [("BTCUSDT", quantity, "101234.5")], {"BTCUSDT": "100000"}, str(cash))
    book = Book(assessment.pool, {"BTCUSDT": Decimal(100_000)}, rulebook)
    expected = book.liquidation("BTCUSDT")
    if assessment.liquidatable:
        expected = (expected[1], expected[0])
    found = liquidation_prices(assessment, "BTCUSDT")
    for mine, truth in zip((found.below, found.above), expected, strict=True):
        assert (mine is None) == (truth is None)
        assert mine is None or truth is None or abs(Fraction(mine) - truth) <= truth / 10**15


def test_a_step_tier_that_jumps_liquidates_at_its_edge() -> None:
    # 1 % below 1,000 of notional, 20 % from there on. A short of 10 at 95 with 100: at a price of 100 it holds
    # 100 − 10 · 5 = 50, more than 1 % of 1,000 and less than 20 %.
    table = TierTable(
        (Tier(Decimal(0), Decimal("0.01"), Decimal(0), None), Tier(Decimal(1000), Decimal("0.2"), Decimal(0), None))
    )
    rulebook = rulebook_of(
        {"X": (Contract("X", ContractKind.LINEAR, Decimal(1), "USDT"), table)}, Policies(tier_type="step")
    )
    assessment = _cross(rulebook, [("X", "-10", "95")], {"X": "95"}, "100")
    assert liquidation_prices(assessment, "X").above == 100
    statuses = [assess(assessment.pool, {"X": price}, rulebook).status for price in (Decimal("99.99"), Decimal(100))]
    assert statuses == ["healthy", "liquidatable"]


# ── On the very level, and on the very floor ──────────────────────────────────────────────────────────────────────


def _below_and_above(assessment: Assessment) -> tuple[Decimal | None, Decimal | None]:
    below, above, _ = liquidation_prices(assessment, "X")
    return below, above


def _flat(rate: str, **policies: object) -> Rulebook:
    table = TierTable((Tier(Decimal(0), Decimal(rate), Decimal(0), None),))
    return _rulebook_of_x(table, Policies(**policies))  # type: ignore[arg-type]


def test_a_pool_exactly_on_its_level_is_liquidated_at_its_mark_and_at_no_other_price() -> None:
    # long 1 at 100: 10 % of 100 is 10, and 10 is there
    assessment = _cross(_flat("0.1"), [("X", "1", "100")], {"X": "100"}, "10")
    assert assessment.health == 1
    assert _below_and_above(assessment) == (Decimal(100), None)


def test_at_the_level_a_strict_trigger_waits_and_the_usual_one_acts() -> None:
    statuses = [
        _cross(_flat("0.1", trigger=trigger), [("X", "1", "100")], {"X": "100"}, "10").status
        for trigger in ("at_or_below", "below")
    ]
    assert statuses == ["liquidatable", "margin_call"]


def test_a_hedge_on_its_level_that_recovers_first_is_liquidated_where_it_falls_back() -> None:
    # Long 3, short 2; 10 % up to a notional of 100 per leg, 60 % above. At 10 (notional 30 and 20) 5 is required and
    # there. Up from there 1 a point is gained and 0.5 required, until the legs reach 100 at prices of 33.33 and 50.
    table = TierTable(
        (Tier(Decimal(0), Decimal("0.1"), Decimal(0), None), Tier(Decimal(100), Decimal("0.6"), Decimal(50), None))
    )
    rulebook = _rulebook_of_x(table, Policies())
    assessment = _cross(rulebook, [("X", "3", "10"), ("X", "-2", "10")], {"X": "10"}, "5")
    assert assessment.health == 1
    below, above, _ = liquidation_prices(assessment, "X")
    assert below == 10
    # 5 + (p − 10) = (3 · 0.6 · p − 50) + 2 · 0.1 · p, i.e. p − 5 = 2 p − 50
    assert above == 45
    assert assess(assessment.pool, {"X": Decimal(44)}, rulebook).status != "liquidatable"
    assert assess(assessment.pool, {"X": Decimal(46)}, rulebook).status == "liquidatable"


def test_a_walk_that_begins_on_the_floor_of_a_step_tier_goes_down_in_the_tier_below() -> None:
    # 10 at 100 is 1,000, the floor of the 20 % tier: 200 is required and 210 there. Just below, 1 % is required.
    table = TierTable(
        (Tier(Decimal(0), Decimal("0.01"), Decimal(0), None), Tier(Decimal(1000), Decimal("0.2"), Decimal(0), None))
    )
    rulebook = rulebook_of(
        {"X": (Contract("X", ContractKind.LINEAR, Decimal(1), "USDT"), table)}, Policies(tier_type="step")
    )
    below = liquidation_prices(_cross(rulebook, [("X", "10", "100")], {"X": "100"}, "210"), "X").below
    assert below is not None
    # 210 + 10 · (p − 100) = 10 · p · 0.01
    assert abs(Fraction(below) - Fraction(790) / Fraction("9.9")) < CLOSELY


def test_a_tier_whose_rate_is_not_known_ends_the_search_without_a_price() -> None:
    table = TierTable(
        (Tier(Decimal(0), Decimal("0.01"), Decimal(0), None), Tier(Decimal(1000), None, Decimal(0), None))
    )
    rulebook = rulebook_of(
        {"X": (Contract("X", ContractKind.LINEAR, Decimal(1), "USDT"), table)}, Policies(tier_type="step")
    )
    assessment = _cross(rulebook, [("X", "-10", "95")], {"X": "95"}, "100")
    assert _below_and_above(assessment) == (None, None)


# ── Hedges ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_both_legs_of_a_hedge_are_charged_and_liquidated_together() -> None:
    # Long 3 at 100, short 1 at 110, 5 % each leg, 40 in the wallet: 40 + 3 (p − 100) − (p − 110) = 4 · p · 0.05
    assessment = _cross(_flat("0.05"), [("X", "3", "100"), ("X", "-1", "110")], {"X": "100"}, "40")
    assert assessment.maintenance_margin == 4 * 100 * Decimal("0.05")
    prices = liquidation_prices(assessment, "X")
    below = prices.below
    assert below is not None
    assert abs(Fraction(below) - Fraction(300 - 110 - 40) / (2 - Fraction("0.2"))) < CLOSELY
    assert prices.of_side("long") == prices.of_side("short") == below


def test_a_hedge_charged_on_its_larger_side_needs_the_larger_leg_only() -> None:
    rulebook = _flat("0.05", hedge_charge="larger_side", tier_key="larger_side")
    assessment = _cross(rulebook, [("X", "3", "100"), ("X", "-2", "110")], {"X": "100"}, "40")
    assert [line.maintenance_margin for line in assessment.lines] == [3 * 100 * Decimal("0.05"), 0]


def test_of_equal_legs_the_long_one_is_charged_in_whatever_order_they_stand() -> None:
    rulebook = _flat("0.05", hedge_charge="larger_side", tier_key="larger_side", maintenance_at="entry")
    legs = [("X", "-2", "110"), ("X", "2", "100")]
    for held in (legs, legs[::-1]):
        assert _cross(rulebook, held, {"X": "100"}, "40").maintenance_margin == 2 * 100 * Decimal("0.05")


def test_a_full_hedge_with_nothing_net_is_liquidated_by_its_requirement_alone() -> None:
    # Long 2 and short 2, entered at 100: PnL stays 0, and 4 · p · 0.05 reaches 40 at 200
    assessment = _cross(_flat("0.05"), [("X", "2", "100"), ("X", "-2", "100")], {"X": "100"}, "40")
    assert _below_and_above(assessment) == (None, Decimal(200))


def test_a_nearly_full_hedge_has_a_price_on_either_side() -> None:
    # Long 2.5, short 2; 2 % up to a notional of 300 per leg, 80 % above, where a leg needs 0.8 of notional less 234.
    table = TierTable(
        (Tier(Decimal(0), Decimal("0.02"), Decimal(0), None), Tier(Decimal(300), Decimal("0.8"), Decimal(234), None))
    )
    rulebook = _rulebook_of_x(table, Policies())
    assessment = _cross(rulebook, [("X", "2.5", "100"), ("X", "-2", "100")], {"X": "100"}, "46")
    below, above, _ = liquidation_prices(assessment, "X")
    assert below is not None
    assert above is not None
    # Below, in the first tier: 46 + 0.5 (p − 100) = 4.5 · p · 0.02
    assert abs(Fraction(below) - 4 / Fraction("0.41")) < CLOSELY
    # Above, with the long in the second: 46 + 0.5 (p − 100) = 2.5 · p · 0.8 − 234 + 2 · p · 0.02
    assert abs(Fraction(above) - 230 / Fraction("1.54")) < CLOSELY
    assert below < 100 < above < 150  # where the short would reach its second tier


# ── Coin-margined ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_inverse_long_of_binance_by_hand() -> None:
    # 1,000 contracts of 100 USD at 40,000 are 2.5 BTC, tier 1 (0.4 %, below 10 BTC); 0.5 BTC in the wallet.
    assessment = _cross(COIN_MARGINED, [("BTCUSD_PERP", "1000", "40000")], {"BTCUSD_PERP": "40000"}, "0.5", "BTC")
    assert assessment.maintenance_margin == Decimal("2.5") * Decimal("0.004")
    prices = liquidation_prices(assessment, "BTCUSD_PERP")
    # 0.5 + 100,000 (1 ÷ 40,000 − 1 ÷ p) = 100,000 ÷ p · 0.004
    assert prices.below is not None
    assert abs(Fraction(prices.below) - 100_000 * Fraction("1.004") / 3) < CLOSELY
    assert prices.above is None


def test_an_inverse_long_grows_in_coin_as_the_price_falls_and_is_liquidated_in_the_next_tier() -> None:
    # 9 BTC at 40,000 (360,000 USD) in tier 1; with 3 BTC it is liquidated near 30,000, at some 12 BTC: tier 2.
    assessment = _cross(COIN_MARGINED, [("BTCUSD_PERP", "3600", "40000")], {"BTCUSD_PERP": "40000"}, "3", "BTC")
    assert assessment.lines[0].tier == 0
    below = liquidation_prices(assessment, "BTCUSD_PERP").below
    assert below is not None
    # 3 + 9 − 360,000 ÷ p = 360,000 ÷ p · 0.005 − 0.01
    assert abs(Fraction(below) - 360_000 * Fraction("1.005") / Fraction("12.01")) < CLOSELY


def test_an_inverse_short_fully_covered_by_its_coin_is_never_liquidated() -> None:
    # Short 1,000 contracts at 40,000 and 2.6 BTC: what a rise can cost is at most 2.5 BTC.
    assessment = _cross(COIN_MARGINED, [("BTCUSD_PERP", "-1000", "40000")], {"BTCUSD_PERP": "40000"}, "2.6", "BTC")
    assert liquidation_prices(assessment, "BTCUSD_PERP").above is None
    at_a_billion = assess(assessment.pool, {"BTCUSD_PERP": Decimal(10) ** 9}, COIN_MARGINED)
    assert at_a_billion.status == "healthy"


# ── Isolated and cross side by side ───────────────────────────────────────────────────────────────────────────────


def test_isolated_and_cross_positions_of_one_account_are_pools_of_their_own() -> None:
    account = Account(
        (
            Position("BTCUSDT", Decimal("0.5"), Decimal(100_000), MarginMode.CROSS, None, Decimal(10)),
            Position("ETHUSDT", Decimal(-10), Decimal(4_000), MarginMode.ISOLATED, Decimal(4_000), Decimal(10)),
            Position("BTCUSDT", Decimal("-0.2"), Decimal(101_000), MarginMode.ISOLATED, Decimal(2_000), Decimal(10)),
        ),
        wallet={"USDT": Decimal(6_000)},
        position_mode=PositionMode.HEDGE,
    )
    marks = {"BTCUSDT": Decimal(100_500), "ETHUSDT": Decimal(4_100)}
    eth, short, cross = assess_account(account, marks, BINANCE)
    assert [a.pool.name for a in (eth, short, cross)] == [
        "isolated ETHUSDT short",
        "isolated BTCUSDT short",
        "cross USDT",
    ]
    assert eth.margin_balance == 4_000 - 10 * 100
    assert short.margin_balance == 2_000 + Decimal("0.2") * 500
    assert cross.margin_balance == 6_000 + Decimal("0.5") * 500
    # Each by its own margin only: 2,000 + 0.2 · (101,000 − p) = 0.2 · p · 0.004, and 6,000 − 0.5 · (100,000 − p)
    short_price, cross_price = (liquidation_prices(a, "BTCUSDT") for a in (short, cross))
    assert short_price.above is not None
    assert cross_price.below is not None
    assert abs(Fraction(short_price.above) - Fraction(22_200) / (Fraction("0.2") * Fraction("1.004"))) < CLOSELY
    assert abs(Fraction(cross_price.below) - Fraction(44_000) / (Fraction("0.5") * Fraction("0.996"))) < CLOSELY
    assert bankruptcy_price(short, short.lines[0]) == 111_000
    assert bankruptcy_price(cross, cross.lines[0]) == 88_000


def test_a_loss_elsewhere_in_the_pool_moves_a_cross_price_and_no_isolated_one() -> None:
    def prices(eth_mark: str, mode: MarginMode) -> Decimal | None:
        margin = Decimal(5_000) if mode is MarginMode.ISOLATED else None
        account = Account(
            (
                Position("BTCUSDT", Decimal("0.5"), Decimal(100_000), mode, margin, Decimal(10)),
                Position("ETHUSDT", Decimal(5), Decimal(4_000), MarginMode.CROSS, None, Decimal(10)),
            ),
            wallet={"USDT": Decimal(5_000)},
        )
        marks = {"BTCUSDT": Decimal(100_000), "ETHUSDT": Decimal(eth_mark)}
        (pool,) = (a for a in assess_account(account, marks, BINANCE) if a.lines[0].position.symbol == "BTCUSDT")
        return liquidation_prices(pool, "BTCUSDT").below

    assert prices("4000", MarginMode.ISOLATED) == prices("3500", MarginMode.ISOLATED)
    before, after = prices("4000", MarginMode.CROSS), prices("3500", MarginMode.CROSS)
    assert before is not None
    assert after is not None
    # 5 ETH fall by 500 each, and need that much less maintenance at their rate (tier 1)
    eth_rate = _table(BINANCE, "ETHUSDT").tiers[0].maintenance_rate
    assert eth_rate is not None
    lost = Fraction(5 * 500) - 5 * 500 * Fraction(eth_rate)
    assert abs(Fraction(after - before) - lost / (Fraction("0.5") * Fraction("0.996"))) < Fraction(1, 10**15)


# ── The packaged tables ───────────────────────────────────────────────────────────────────────────────────────────


@cache
def _ladders() -> list[tuple[str, str, TierTable, str]]:
    found: list[tuple[str, str, TierTable, str]] = []
    for name in rulebooks.names():
        for folder in rulebooks.folders(name):
            if folder.path.is_relative_to(rulebooks.PACKAGED) and (folder.path / "tiers.csv").is_file():
                rulebook = rulebooks.load(name, folder.day)
                rows = (folder.path / "tiers.csv").read_text(encoding="utf-8").splitlines()[1:]
                for symbol in sorted({row.split(",", 1)[0] for row in rows}):
                    try:
                        table = _table(rulebook, symbol)
                    except BadRulebook:
                        continue  # a contract of unknown size, held to the documented list elsewhere
                    found.append((f"{name} {folder.day} {symbol}", rulebook.cross.tier_type, table, name))
    return found


def test_there_are_ladders_of_many_venues_to_hold_to_the_laws() -> None:
    assert sum(len(table.tiers) for _, _, table, _ in _ladders()) > 26_000
    assert len({venue for *_, venue in _ladders()}) >= 12


def test_no_tier_of_any_packaged_table_needs_more_maintenance_than_its_highest_leverage_puts_up() -> None:
    broken = [
        f"{name} tier {number}"
        for name, _, table, _ in _ladders()
        for number, tier in enumerate(table.tiers, 1)
        if tier.maintenance_rate is not None
        and tier.max_leverage is not None
        and Fraction(tier.maintenance_rate) * Fraction(tier.max_leverage) > 1
    ]
    assert broken == []


def test_rate_and_deduction_of_every_packaged_progressive_tier_are_the_sum_of_slices_at_its_floor() -> None:
    broken = []
    for name, kind, table, _ in _ladders():
        if kind != "progressive" or table.tiers[0].maintenance_rate is None:
            continue
        total = Fraction(0)
        for below, tier in pairwise(table.tiers):
            total += (Fraction(tier.floor) - Fraction(below.floor)) * Fraction(below.maintenance_rate or 0)
            if Fraction(tier.floor) * Fraction(tier.maintenance_rate or 0) - Fraction(tier.deduction) != total:
                broken.append(f"{name} from {tier.floor}")
    assert broken == []
