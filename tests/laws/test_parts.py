"""Laws of a portfolio account taken apart by coins: totals and prices are those of assessing the whole of it."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.account import Account, Collateral, CollateralMode, OpenOrder, RiskInputs, Slice, pools
from ringfence.margin.assess import assess
from ringfence.margin.move import move_of
from ringfence.margin.portfolio.crossing import narrowed
from ringfence.margin.portfolio.parts import Parts, separable
from ringfence.margin.price import liquidation_prices, unit_prices
from ringfence.numbers import exact, round_to
from ringfence.study.stress import grid
from ringfence.study.surface import Surface, assessed_at
from tests.unit.margin.portfolio_books import NOW, future, held, inverse, option, perpetual, rules

if TYPE_CHECKING:
    from ringfence.account import Marks, Position
    from ringfence.contract import Contract
    from ringfence.margin.assessment import Assessment
    from ringfence.rulebook import Rulebook

D = Decimal
VENUES = ("deribit", "okx-swap", "bybit-uta", "binance-usdm")
PRICES = {"BTC": D(60000), "ETH": D(2000)}

_BTC = [
    perpetual("BTCUSDT"),
    inverse("BTCUSD_PERP"),
    future(40, "BTC-NEAR"),
    perpetual("BTC-USDC", settle="USDC"),
    option("54000", "put", days=9, name="BTC-P"),
    option("66000", "call", days=90, settle="BTC", name="BTC-C"),
]
_ETH = [perpetual("ETHUSDT", coin="ETH"), inverse("ETHUSD_PERP", coin="ETH")]
_SIZES = st.integers(-9, 9).filter(bool)


def _mark(contract: Contract) -> Decimal:
    price = PRICES[contract.risk_unit]
    if contract.option:
        return D("0.03") if contract.settle_asset == contract.risk_unit else D(1800)
    return price + (7 if contract.expiry else 0)


def _held(contract: Contract, size: int) -> tuple[Contract, Position]:
    quantity = D(size) * (3000 if contract.inverse else 1)
    return held(contract, str(quantity * (20 if contract.risk_unit == "ETH" else 1)), entry=str(_mark(contract)))


@st.composite
def _books(draw: st.DrawFn, venue: str) -> tuple[Account, dict[str, Decimal], Rulebook]:
    """An account on both coins: positions, debts, tiers of collateral, loans, spot that hedges, an order."""
    tiered = venue == "binance-usdm"
    coins = [c for c in _BTC if not tiered or c.symbol == "BTCUSDT"]
    others = [c for c in _ETH if not tiered or c.symbol == "ETHUSDT"]
    chosen = [
        _held(contract, draw(_SIZES))
        for side in (coins, others)
        for contract in draw(st.lists(st.sampled_from(side), min_size=1, max_size=4, unique_by=lambda c: c.symbol))
    ]
    slices = (Slice(D(0), D(2), D("0.95")), Slice(D(2), None, D("0.8")))
    account = Account(
        positions=tuple(position for _, position in chosen),
        orders=tuple(
            OpenOrder(contract.symbol, D(draw(_SIZES)), _mark(contract) * D("0.99"))
            for contract, _ in chosen[: draw(st.integers(0, 1))]
        ),
        wallet={
            "USDT": D(draw(st.integers(-50_000, 500_000))),
            "BTC": D(draw(st.integers(-20, 60))) / 10,
            "ETH": D(draw(st.integers(-20, 60))),
        },
        collateral={
            "USDT": Collateral(ask_buffer=D("0.01")), "USDC": Collateral(),
            "BTC": Collateral(PRICES["BTC"], slices=slices if draw(st.booleans()) else (), moves_with="BTC"),
            "ETH": Collateral(PRICES["ETH"], D("0.9"), moves_with="ETH"),
        },
        collateral_mode=CollateralMode.PORTFOLIO,
        risk=RiskInputs(
            time=NOW, index={} if tiered else PRICES,
            volatility={c.symbol: D("0.6") for c, _ in chosen if c.option},
            loans={"BTC": D("0.3")} if draw(st.booleans()) else {},
            spot_hedging=draw(st.sampled_from([None, True, False])),
            reference={c.symbol: _mark(c) for c, _ in chosen},
        ),
    )  # fmt: skip
    rulebook = rules(venue, *([] if tiered else chosen))
    return account, {c.symbol: _mark(c) for c, _ in chosen}, rulebook


def _assessed(book: tuple[Account, dict[str, Decimal], Rulebook]) -> tuple[Assessment, dict[str, Decimal], Rulebook]:
    account, marks, rulebook = book
    return assess(pools(account, rulebook.contract, rulebook.collateral)[-1], marks, rulebook), marks, rulebook


def _axis(surface: Surface, coin: str) -> str:
    return next(
        line.position.symbol for line in surface.assessment.lines
        if line.contract.risk_unit == coin and (not line.contract.option or coin == "BTC")
    )  # fmt: skip


@pytest.mark.parametrize("venue", VENUES)
@given(data=st.data(), first=st.integers(-90, 200), second=st.integers(-90, 200))
@settings(max_examples=20, deadline=None)
def test_totals_by_coins_are_those_of_the_whole_account(
    venue: str, data: st.DataObject, first: int, second: int
) -> None:
    found, marks, rulebook = _assessed(data.draw(_books(venue)))
    surface = Surface(found, marks, rulebook)
    assert surface.parts is not None
    one, other = _axis(surface, "BTC"), _axis(surface, "ETH")
    column = surface.with_units({one: marks[one] * (100 + first) / 100})
    row = surface.with_units({other: marks[other] * (100 + second) / 100})
    whole = assessed_at(found.pool, marks, {**column, **row}, rulebook)
    for split in (surface.at({**column, **row}), next(surface.over([column], [row]))[0]):
        assert split is not None
        assert (split.balance_held_against, split.liquidation_requirement, split.status) == (
            whole.balance_held_against, whole.liquidation_requirement, whole.status
        )  # fmt: skip


@pytest.mark.parametrize("venue", VENUES)
@given(data=st.data())
@settings(max_examples=4, deadline=None)
def test_a_grid_by_coins_is_that_of_assessing_every_point(venue: str, data: st.DataObject) -> None:
    found, marks, rulebook = _assessed(data.draw(_books(venue)))
    surface, whole = Surface(found, marks, rulebook), Surface(found, marks, rulebook)
    whole.parts = None
    axes = _axis(surface, "BTC"), _axis(surface, "ETH")
    cells = [grid([side], axes, span=D("0.6"), steps=4).cells for side in (surface, whole)]
    assert cells[0] == cells[1]


@exact
def _by_bisection(found: Assessment, symbol: str, marks: Marks, rulebook: Rulebook) -> list[Decimal | None]:
    """The declared method, step by step, on plain assessments of the whole account."""
    mark, step = marks[symbol], D("0.1")

    def dead(price: Decimal) -> bool:
        unit = next(line.contract.risk_unit for line in found.lines if line.position.symbol == symbol)
        moved = {
            line.position.symbol: line.mark_price * price / mark
            for line in found.lines if line.contract.risk_unit == unit and not line.contract.option
        }  # fmt: skip
        return bool(assess(found.pool, {**marks, **moved}, rulebook).liquidatable)

    now = dead(mark)
    ends: list[Decimal | None] = []
    for down in (True, False):
        near = mark
        for place in range(1, 65):
            far = mark - mark * place / 64 if down else mark + 3 * mark * place / 64
            far = max(step, round_to(far, step, rounding=ROUND_FLOOR if down else ROUND_CEILING))
            if far != near and dead(far) != now:
                while abs(far - near) > step:
                    middle = round_to((near + far) / 2, step, rounding=ROUND_HALF_EVEN)
                    near, far = (middle, far) if dead(middle) == now else (near, middle)
                ends.append(near if now else far)
                break
            near = far
        else:
            ends.append(None)
    return ends[::-1] if now else ends


@pytest.mark.parametrize("venue", ["deribit", "okx-swap", "bybit-uta"])
@given(cash=st.integers(5, 60), size=st.integers(-6, 6).filter(bool))
@settings(max_examples=4, deadline=None)
def test_prices_are_those_of_bisecting_with_whole_assessments(venue: str, cash: int, size: int) -> None:
    # marks whose quotients end: so that the plain search moves every contract by the very same factor
    chosen = [held(perpetual("BTCUSDT"), str(size)), held(option("66000", "call", name="BTC-C"), "-1")]
    account = Account(
        positions=tuple(position for _, position in chosen), wallet={"USDT": D(cash * 1000)},
        collateral={"USDT": Collateral()}, collateral_mode=CollateralMode.PORTFOLIO,
        risk=RiskInputs(time=NOW, index={"BTC": D(64000)}, volatility={"BTC-C": D("0.6")},
                        reference={"BTCUSDT": D(64000), "BTC-C": D(1800)}),
    )  # fmt: skip
    book = account, {"BTCUSDT": D(64000), "BTC-C": D(1800)}, rules(venue, *chosen)
    found, marks, rulebook = _assessed(book)
    prices = liquidation_prices(found, "BTCUSDT")
    assert [prices.below, prices.above] == _by_bisection(found, "BTCUSDT", marks, rulebook)


@pytest.mark.parametrize("venue", ["deribit", "okx-swap", "bybit-uta"])
@given(data=st.data(), move=st.integers(-60, 60).filter(bool))
@settings(max_examples=4, deadline=None)
def test_prices_with_another_coin_moved_are_those_of_the_account_assessed_there(
    venue: str, data: st.DataObject, move: int
) -> None:
    found, marks, rulebook = _assessed(data.draw(_books(venue)))
    surface = Surface(found, marks, rulebook)
    one, other = _axis(surface, "BTC"), _axis(surface, "ETH")
    row = surface.with_units({other: marks[other] * (100 + move) / 100})
    there = assess(found.pool, {**marks, **row}, rulebook)
    levels = (D("1.25"), D(1))
    solved = unit_prices(found).at_levels(one, levels, row)
    again = [liquidation_prices(there, one, health=level) for level in levels]
    assert solved == [(prices.below, prices.above) for prices in again]


def test_a_contract_that_settles_in_another_held_coin_keeps_the_account_whole() -> None:
    chosen = [held(perpetual("BTCUSDT"), "1"), held(perpetual("ETH_BTC", settle="BTC", coin="ETH"), "-5", entry="0.03")]
    account = Account(
        positions=tuple(position for _, position in chosen), wallet={"USDT": D(20_000)},
        collateral={"USDT": Collateral(), "BTC": Collateral(PRICES["BTC"], moves_with="BTC")},
        collateral_mode=CollateralMode.PORTFOLIO, risk=RiskInputs(time=NOW, index=PRICES),
    )  # fmt: skip
    found, marks, rulebook = _assessed(
        (account, {"BTCUSDT": D(60000), "ETH_BTC": D("0.03")}, rules("deribit", *chosen))
    )
    assert not separable(found)
    assert Surface(found, marks, rulebook).parts is None
    with pytest.raises(ValueError, match="no parts"):
        Parts(found)
    assert liquidation_prices(found, "BTCUSDT").below is not None


@given(edge=st.integers(1, 9999), end=st.integers(2, 10000), bend=st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_what_is_narrowed_down_is_the_step_in_which_the_status_changes(edge: int, end: int, bend: int) -> None:
    edge = min(edge, end - 1)
    for sign in (1, -1):
        tried = sorted([D(0), D(sign * end)])

        def changed(point: Decimal, sign: int = sign, tried: list[Decimal] = tried) -> bool:
            tried[:] = sorted({*tried, point})
            return point * sign > edge

        def surplus(point: Decimal, sign: int = sign) -> float:
            return (edge + 0.5 - float(point) * sign) * (1 + float(point) ** bend / 10**9)

        same, other = narrowed(D(0), D(sign * end), step=D(1), changed=changed, tried=tried, surplus=surplus)
        assert (same * sign, other * sign) == (D(edge), D(edge + 1))


@pytest.mark.parametrize("venue", ["deribit", "okx-swap", "bybit-uta"])
@given(data=st.data())
@settings(max_examples=3, deadline=None)
def test_a_combined_move_is_the_edge_and_the_same_where_only_one_way_is_asked_for(
    venue: str, data: st.DataObject
) -> None:
    found, marks, rulebook = _assessed(data.draw(_books(venue)))
    both = move_of(found, marks, rulebook)
    if not found.liquidatable:
        assert move_of(found, marks, rulebook, toward="up").up == both.up
        assert move_of(found, marks, rulebook, toward="down").down == both.down
    surface = Surface(found, marks, rulebook)
    for move, outward in ((both.down, D("-1e-9")), (both.up, D("1e-9"))):
        if move is None or found.liquidatable:
            continue
        before, after = (
            surface.at({symbol: mark * (1 + one) for symbol, mark in marks.items()}) for one in (move, move + outward)
        )
        assert before is not None
        assert after is not None
        assert (before.liquidatable, after.liquidatable) == (False, True)
