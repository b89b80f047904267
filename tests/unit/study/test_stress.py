"""Shocks are assessments: every cell is the book at those marks, and the lines are its liquidation prices."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from math import log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.account_file import AccountFile, parse, parse_text
from ringfence.errors import BadAccount, BadConfiguration
from ringfence.margin.assess import assess_account
from ringfence.margin.move import combined_move
from ringfence.margin.price import liquidation_prices
from ringfence.study.stress import LADDER, Cell, Stress, as_json, stress
from ringfence.study.stress_page import html_page
from ringfence.study.surface import Surface
from ringfence.tape import packaged_windows, summarise

if TYPE_CHECKING:
    from ringfence.account import Marks


def leg(symbol: str, side: str, quantity: str, entry: str, mark: str, **rest: Any) -> dict[str, Any]:
    held = {"symbol": symbol, "side": side, "quantity": quantity, "entry_price": entry, "mark_price": mark}
    return {**held, "leverage": "10", **rest}


AVAX = leg("AVAXUSDT", "long", "300", "26.7", "23.5")
BTC = leg("BTCUSDT", "short", "0.05", "117590", "121000")
LINK = leg("LINKUSDT", "long", "100", "21", "19.5", margin_mode="isolated", isolated_margin="210")
ORDER = {"symbol": "AVAXUSDT", "side": "buy", "quantity": "50", "price": "20", "leverage": "10"}


def account(
    *positions: dict[str, Any], wallet: str = "1400", policy: dict[str, Any] | None = None, **rest: Any
) -> AccountFile:
    body = {"wallet": {"USDT": wallet}, "positions": list(positions), **rest}
    document = {"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body, "policy": policy or {}}
    return parse(document, where="test")


def stressed(file: AccountFile, **settings: Any) -> Stress:
    return stress(file.account, marks=file.marks, rulebook=file.rulebook(), **{"steps": 7, **settings})


def assessed(file: AccountFile, marks: Marks) -> Cell:
    held = [a for a in assess_account(file.account, marks, file.rulebook()) if a.lines]
    healths = [a.health for a in held if a.health is not None]
    statuses = [a.status for a in held]
    return Cell(
        min(healths, default=None), statuses.count("margin_call"), statuses.count("liquidatable"), unknown=False
    )


BASKET: dict[str, Any] = {"collateral_mode": "multi_asset", "collateral": {"USDT": {"index": "1", "ask_buffer": "0.01"},
                                                           "BTC": {"index": "120000", "ratio": "0.95"}}}  # fmt: skip


@pytest.mark.parametrize(
    "file",
    [
        account(AVAX, BTC, LINK, orders=[ORDER]),
        account(AVAX, BTC, wallet="900", **BASKET),
        account(AVAX, BTC, policy={"closing_fee": "bankruptcy_price"}),
        account(AVAX, BTC, policy={"tier_key": "with_orders", "orders_in_requirement": True}, orders=[ORDER]),
        account(AVAX, BTC, policy={"maintenance_at": "entry"}),
    ],
    ids=["pools", "basket", "not separable", "orders", "entry"],
)
def test_every_cell_is_the_assessment_at_those_marks(file: AccountFile) -> None:
    grid = stressed(file, symbols=("AVAXUSDT", "BTCUSDT")).grid
    for move_y, row in zip(grid.rows, grid.cells, strict=True):
        for move_x, cell in zip(grid.columns, row, strict=True):
            marks = {
                **file.marks,
                "AVAXUSDT": file.marks["AVAXUSDT"] * (1 + move_x),
                "BTCUSDT": file.marks["BTCUSDT"] * (1 + move_y),
            }
            assert cell == assessed(file, marks)


def test_the_grid_goes_from_minus_the_range_to_the_range_in_even_steps() -> None:
    grid = stressed(account(AVAX), span=Decimal("0.3"), steps=4).grid
    assert grid.columns == tuple(Decimal(move) for move in ("-0.3", "-0.1", "0.1", "0.3"))
    assert grid.rows == (Decimal(0),)
    assert grid.symbols == ("AVAXUSDT",)


def test_the_edges_are_the_liquidation_prices_of_each_row() -> None:
    file = account(AVAX, BTC, LINK)
    grid = stressed(file, symbols=("AVAXUSDT", "BTCUSDT")).grid
    assert {(edge.pool, edge.level) for edge in grid.edges} == {
        ("cross USDT", Decimal("1.25")),
        ("cross USDT", Decimal(1)),
    }
    for edge in grid.edges:
        for row, move in enumerate(grid.rows):
            marks = {**file.marks, "BTCUSDT": file.marks["BTCUSDT"] * (1 + move)}
            cross = next(a for a in assess_account(file.account, marks, file.rulebook()) if not a.pool.isolated)
            prices = liquidation_prices(cross, "AVAXUSDT", health=edge.level)
            assert (edge.below[row], edge.above[row]) == (prices.below, prices.above)


def test_without_a_choice_the_two_largest_symbols_span_the_grid() -> None:
    # AVAX 300 · 23.5 = 7,050, BTC 0.05 · 121,000 = 6,050, LINK 100 · 19.5 = 1,950
    assert stressed(account(LINK, BTC, AVAX)).grid.symbols == ("AVAXUSDT", "BTCUSDT")


def test_all_marks_move_by_their_beta() -> None:
    file = account(AVAX, BTC)
    found = stressed(file, betas={"AVAXUSDT": Decimal("1.5")})
    kept = [move for move in LADDER if move * Decimal("1.5") > -1]
    assert len(found.ladder) == len(kept)
    for move, shock in zip(kept, found.ladder, strict=True):
        marks = {
            "AVAXUSDT": file.marks["AVAXUSDT"] * (1 + move * Decimal("1.5")),
            "BTCUSDT": file.marks["BTCUSDT"] * (1 + move),
        }
        expected = assess_account(file.account, marks, file.rulebook())[0]
        assert shock.pools[0].health == expected.health
        assert shock.pools[0].balance == expected.margin_balance


def test_the_moves_at_which_calls_and_liquidations_begin_are_the_combined_moves() -> None:
    file = account(AVAX, LINK)
    for turn in stressed(file).turns:
        pool = next(
            a.pool for a in assess_account(file.account, file.marks, file.rulebook()) if a.pool.name == turn.pool
        )
        move = combined_move(pool, file.marks, file.rulebook(), health=turn.level)
        assert (turn.down, turn.up, turn.exact) == (move.down, move.up, move.exact)


def test_a_past_crash_moves_each_symbol_to_its_low_with_its_moment() -> None:
    file = account(AVAX, BTC)
    low = next(shock for shock in stressed(file).crashes if shock.name == "2025-10-10 low")
    window = next(window for window in packaged_windows() if window.name == "2025-10-10")
    summary = {s.symbol: s for s in summarise(window.load())}
    assert low.moves == {symbol: -summary[symbol].largest_drop for symbol in ("AVAXUSDT", "BTCUSDT")}
    assert low.at == {symbol: summary[symbol].low_at for symbol in ("AVAXUSDT", "BTCUSDT")}
    marks = {symbol: file.marks[symbol] * (1 + move) for symbol, move in low.moves.items()}
    assert low.pools[0].health == assess_account(file.account, marks, file.rulebook())[0].health


def test_a_symbol_that_a_tape_lacks_moves_like_the_middle_one_and_that_is_said() -> None:
    found = stressed(account(AVAX, BTC))
    low = next(shock for shock in found.crashes if shock.name == "2021-05-19 low")  # bitcoin alone
    assert low.moves["AVAXUSDT"] == low.moves["BTCUSDT"]
    assert "AVAXUSDT" not in low.at
    assert any("2021-05-19 low has no AVAXUSDT" in note for note in found.assumptions)


def test_longs_pay_funding_and_shorts_receive_it() -> None:
    found = stressed(account(AVAX, BTC, LINK), funding_rate=Decimal("0.0002"))
    isolated, cross = found.funding
    assert isolated.a_day == 3 * Decimal("0.0002") * 100 * Decimal("19.5")
    assert cross.a_day == 3 * Decimal("0.0002") * (300 * Decimal("23.5") - Decimal("0.05") * 121_000)
    # 60 stand against 9.75: 50.25 can be paid until it is liquidated
    assert isolated.days_to_liquidation is not None
    assert abs(isolated.days_to_liquidation - Decimal("50.25") / isolated.a_day) < Decimal("1e-15")
    week = next(shock for shock in found.after_funding if shock.name.startswith("7 "))
    assert week.pools[0].balance == 60 - 7 * isolated.a_day


def test_a_lower_haircut_is_taken_off_what_counts_and_spares_the_currency() -> None:
    file = account(AVAX, wallet="900", **BASKET)
    shocks = stressed(file).haircuts
    assert shocks == () or len(shocks) == 4
    document = {"wallet": {"USDT": "900", "BTC": "0.01"}, "positions": [AVAX], **BASKET}
    held = parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": document}, where="test")
    tenth = stressed(held).haircuts[1].pools[0]
    # 0.01 BTC count 120,000 · 0.95 · 0.9; USDT is 900 − 960 = −60 at an ask of 1.01
    expected = Decimal("0.01") * 120_000 * Decimal("0.95") * Decimal("0.9") - 60 * Decimal("1.01")
    assert tenth.balance == expected
    assert stressed(account(AVAX)).haircuts == ()


def test_a_tier_without_a_rate_has_no_figures() -> None:
    tiers = [
        {"floor": "0", "maintenance_rate": "0.01", "max_leverage": "50"},
        {"floor": "1200", "maintenance_rate": None},
    ]
    terms = {"kind": "linear", "contract_size": "1", "settle_asset": "USDT", "tiers": tiers}
    body = {"wallet": {"USDT": "500"}, "positions": [leg("XUSDT", "long", "1", "1000", "1000")]}
    document = {"rulebook": "binance-usdm", "account": body, "contracts": {"XUSDT": terms}}
    cells = stressed(parse(document, where="test"), span=Decimal("0.5"), steps=3).grid.cells[0]
    assert [cell.unknown for cell in cells] == [False, False, True]
    assert cells[2].health is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"symbols": ("AVAXUSD",)}, "AVAXUSDT"),
        ({"symbols": ("AVAXUSDT", "BTCUSDT", "LINKUSDT")}, "one or two"),
        ({"symbols": ("AVAXUSDT", "AVAXUSDT")}, "one or two"),
        ({"span": Decimal(1)}, "between 0 and 100"),
        ({"steps": 1}, "2 to 401 steps"),
        ({"steps": 402}, "2 to 401 steps"),
    ],
)
def test_what_is_no_grid_is_refused_with_what_would_be(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(BadConfiguration, match=said):
        stressed(account(AVAX, BTC, LINK), **settings)


def test_an_account_without_positions_has_nothing_to_stress() -> None:
    with pytest.raises(BadAccount, match="nothing to stress"):
        stressed(account())


def test_most_pools_are_separable_and_those_with_a_fee_at_bankruptcy_are_not() -> None:
    plain, tied = account(AVAX, BTC), account(AVAX, BTC, policy={"closing_fee": "bankruptcy_price"})
    for file, expected in ((plain, True), (tied, False)):
        assessment = assess_account(file.account, file.marks, file.rulebook())[0]
        assert Surface(assessment, file.marks, file.rulebook()).separable is expected


def test_the_page_holds_everything_in_itself_and_escapes_what_it_is_given() -> None:
    page = html_page(stressed(account(AVAX, BTC, LINK)), title="<b>book</b>")
    assert "&lt;b&gt;book&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "http" not in page
    assert page.count("<rect") == 7 * 7 + 1


def test_json_has_decimals_as_text() -> None:
    document = as_json(stressed(account(AVAX, BTC)))
    assert document["schema"] == "ringfence.stress/1"
    assert all(isinstance(health, str) for row in document["grid"]["health"] for health in row)


def test_options_are_shocked_by_volatility_and_other_accounts_are_not() -> None:
    text = (files("ringfence") / "examples" / "hedged-options.json").read_text(encoding="utf-8")
    file = parse_text(text, where="hedged-options")
    found = stress(file.account, marks=file.marks, rulebook=file.rulebook(), steps=3)
    states = {shock.name: shock.pools[0] for shock in found.volatilities}
    assert list(states) == [f"implied volatilities × {factor}" for factor in ("0.5", "0.75", "1.25", "1.5", "2", "3")]
    # three calls sold at 70,000 and three puts bought at 60,000: what is lost on the one is gained on the other, and
    # the requirement grows with what both are worth
    balances = {name: state.balance for name, state in states.items()}
    required = [state.required for state in states.values()]
    assert len(set(balances.values())) == 6
    assert required == sorted(required, key=lambda value: value or 0)
    assert stressed(account(AVAX)).volatilities == ()
    # by Black's formula, in coins of 66,000: the balance changes by what the calls and puts do
    years = (datetime(2026, 3, 27, 8, tzinfo=UTC) - datetime(2026, 2, 15, 12, tzinfo=UTC)).total_seconds() / 31_536_000

    def coins(strike: float, volatility: float, sign: int) -> float:
        spread = volatility * sqrt(years)
        d1 = log(66_000 / strike) / spread + spread / 2
        normal = NormalDist().cdf
        return sign * (normal(sign * d1) - strike / 66_000 * normal(sign * (d1 - spread)))

    gained = -3 * (coins(70_000, 1.04, 1) - coins(70_000, 0.52, 1)) + 3 * (
        coins(60_000, 1.16, -1) - coins(60_000, 0.58, -1)
    )
    doubled, now = balances["implied volatilities × 2"], found.now.pools[0].balance
    assert doubled is not None
    assert now is not None
    assert abs(float(doubled - now) - gained * 66_000) < 0.01 * abs(gained * 66_000) + 1
