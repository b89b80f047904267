"""Distances to death: exact where they can be, and chances held to closed forms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import sqrt
from random import Random
from statistics import NormalDist
from typing import Any

import pytest

from ringfence.account_file import AccountFile, parse
from ringfence.errors import BadAccount, BadConfiguration, BadTape
from ringfence.margin.assess import assess, assess_account
from ringfence.margin.move import combined_move
from ringfence.margin.price import liquidation_prices
from ringfence.study import likelihood
from ringfence.study.distance import Distance, as_json, distance
from ringfence.study.likelihood import Horizon, Margin, simulate
from ringfence.study.volatility import Estimate, estimate, fewest_returns
from ringfence.tape import load_tape
from ringfence.tape.coins import stand_in
from ringfence.tape.csv_file import read_csv_text


def leg(symbol: str, side: str, quantity: str, entry: str, mark: str, **rest: Any) -> dict[str, Any]:
    held = {"symbol": symbol, "side": side, "quantity": quantity, "entry_price": entry, "mark_price": mark}
    return {**held, "leverage": "10", **rest}


AVAX = leg("AVAXUSDT", "long", "300", "26.7", "23.5")
BTC = leg("BTCUSDT", "short", "0.05", "117590", "121000")
LINK = leg("LINKUSDT", "long", "100", "21", "19.5", margin_mode="isolated", isolated_margin="210")


def account(*positions: dict[str, Any], wallet: str = "1400", **rest: Any) -> AccountFile:
    body = {"wallet": {"USDT": wallet}, "positions": list(positions), **rest}
    return parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body}, where="test")


def measured(file: AccountFile, **settings: Any) -> Distance:
    return distance(file.account, marks=file.marks, rulebook=file.rulebook(), **settings)


def tape_text(*columns: tuple[str, list[float]]) -> str:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    rows = ["ts,symbol,open,high,low,close"]
    for symbol, closes in columns:
        for index, close in enumerate(closes):
            ts = (start + timedelta(minutes=index)).isoformat().replace("+00:00", "Z")
            rows.append(f"{ts},{symbol},{close:.4f},{close:.4f},{close:.4f},{close:.4f}")
    return "\n".join(rows) + "\n"


def test_alone_each_symbol_dies_at_its_liquidation_price() -> None:
    file = account(AVAX, BTC, LINK)
    found = {item.symbol: item for item in measured(file).symbols}
    for assessment in assess_account(file.account, file.marks, file.rulebook()):
        for line in assessment.lines:
            prices, item = liquidation_prices(assessment, line.position.symbol), found[line.position.symbol]
            assert (item.below, item.above) == (prices.below, prices.above)
            if item.below is not None:
                assert item.move_below is not None
                assert abs(item.mark * (1 + item.move_below) - item.below) < Decimal("1e-10")


def test_together_the_marks_die_at_the_combined_move_one_for_one_and_by_betas() -> None:
    file = account(AVAX, BTC)
    betas = {"AVAXUSDT": Decimal("1.8")}
    pool = assess_account(file.account, file.marks, file.rulebook())[0].pool
    uniform, by_betas = measured(file, betas=betas).common
    assert uniform.down == combined_move(pool, file.marks, file.rulebook()).down
    assert by_betas.down == combined_move(pool, file.marks, file.rulebook(), betas=betas).down


def test_that_share_of_a_crash_is_where_the_pool_dies() -> None:
    file = account(AVAX, BTC)
    rulebook = file.rulebook()
    share = next(item.share for item in measured(file).crashes if item.crash == "2025-10-10 low")
    assert share is not None
    moves = {"AVAXUSDT": Decimal("-0.684145"), "BTCUSDT": Decimal("-0.1367")}
    pool = assess_account(file.account, file.marks, rulebook)[0].pool

    def dead(part: Decimal) -> bool | None:
        marks = {symbol: file.marks[symbol] * (1 + part * move) for symbol, move in moves.items()}
        return assess(pool, marks, rulebook).liquidatable

    assert not dead(share * Decimal("0.99"))
    assert dead(share * Decimal("1.01"))


def test_what_needs_a_tape_is_left_out_without_one() -> None:
    found = measured(account(AVAX, BTC))
    assert (found.estimate, found.nearest, found.likelihood) == (None, (), ())
    assert all(item.minutes is None for item in found.symbols)


def test_minutes_are_the_square_of_the_move_over_the_volatility() -> None:
    tape = load_tape("2025-10-10")
    found = measured(account(AVAX, BTC), tape=tape)
    avax = next(item for item in found.symbols if item.symbol == "AVAXUSDT")
    assert avax.move_below is not None
    assert found.estimate is not None
    assert avax.minutes == pytest.approx((float(avax.move_below) / found.estimate.volatility("AVAXUSDT")) ** 2)


def test_the_nearest_point_of_a_linear_pool_in_its_tiers_is_the_closed_form() -> None:
    file = account(AVAX, BTC)
    tape = load_tape("2025-10-10")
    nearest = measured(file, tape=tape).nearest[0]
    known = estimate(tape, ("AVAXUSDT", "BTCUSDT"))
    # balance 1,400 − 960 − 170.5 − requirement 7,050 · 0.005 − 6,050 · 0.004
    surplus = 1_400 - 960 - 170.5 - 7_050 * 0.005 - 6_050 * 0.004
    slopes = [7_050 * (1 - 0.005), -6_050 * (1 + 0.004)]
    spread = [sum(c * g for c, g in zip(row, slopes, strict=True)) for row in known.covariance]
    variance = sum(g * s for g, s in zip(slopes, spread, strict=True))
    assert nearest.sigmas == pytest.approx(surplus / sqrt(variance), rel=1e-6)
    expected = [-surplus / variance * s for s in spread]
    assert [float(move) for move in nearest.moves.values()] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "file", [account(AVAX, BTC, LINK), account(leg("AVAXUSDT", "short", "9000", "23.5", "23.5"), BTC, wallet="60000")]
)
def test_at_the_nearest_point_the_pool_dies_and_just_before_it_does_not(file: AccountFile) -> None:
    rulebook = file.rulebook()
    found = measured(file, tape=load_tape("2025-10-10"))
    pools = {a.pool.name: a.pool for a in assess_account(file.account, file.marks, rulebook)}
    assert found.nearest
    for nearest in found.nearest:
        assert nearest.settled
        assert nearest.on_edge
        for part, expected in ((Decimal("0.999999"), False), (Decimal("1.000001"), True)):
            moved = {s: file.marks[s] * (1 + move * part) for s, move in nearest.moves.items()}
            assert assess(pools[nearest.pool], {**file.marks, **moved}, rulebook).liquidatable is expected


def test_no_point_of_death_is_nearer_than_the_nearest() -> None:
    file = account(AVAX, BTC)
    tape = load_tape("2025-10-10")
    found = measured(file, tape=tape)
    known = estimate(tape, ("AVAXUSDT", "BTCUSDT"))
    (a, b), (_, d) = known.covariance
    determinant = a * d - b * b
    draw = Random(7)  # noqa: S311 - a test
    for _ in range(200):
        x, y = (draw.gauss(0, 1) for _ in range(2))
        towards = {"AVAXUSDT": Decimal(f"{x * 1e-3:.12f}"), "BTCUSDT": Decimal(f"{y * 1e-3:.12f}")}
        pool = assess_account(file.account, file.marks, file.rulebook())[0].pool
        far = combined_move(pool, file.marks, file.rulebook(), betas=towards).up
        if far is None:
            continue
        x, y = (float(far * move) for move in towards.values())
        assert sqrt((d * x * x - 2 * b * x * y + a * y * y) / determinant) >= found.nearest[0].sigmas * (1 - 1e-9)


def test_a_pool_that_is_liquidatable_already_is_no_distance_away() -> None:
    found = measured(account(AVAX, wallet="900"), tape=load_tape("2025-10-10"))
    assert found.nearest[0].sigmas == 0
    assert any("liquidatable now" in note for note in found.assumptions)
    assert found.common[0].down == 0


def test_an_estimate_is_the_covariance_of_the_returns_per_minute() -> None:
    moves = [0.01, -0.02, 0.005, 0.0] * 20
    closes = [100.0]
    for move in moves:
        closes.append(closes[-1] * (1 + move))
    known = estimate(read_csv_text(tape_text(("X", closes)), name="t", file="t.csv"), ("X",))
    mean = sum(moves) / len(moves)
    expected = sum((move - mean) ** 2 for move in moves) / (len(moves) - 1)
    assert known.returns == len(moves)
    assert known.volatility("X") ** 2 == pytest.approx(expected, rel=1e-3)  # closes have four decimals
    assert known.betas("X") == {"X": Decimal("1.0000")}


def test_a_tape_too_short_is_refused_with_how_short_it_is() -> None:
    closes = [100.0 + index % 3 for index in range(fewest_returns(1))]
    tape = read_csv_text(tape_text(("X", closes)), name="short", file="t.csv")
    with pytest.raises(BadTape) as refused:
        estimate(tape, ("X",))
    assert refused.value.expected is not None
    assert str(fewest_returns(1)) in refused.value.expected
    assert (refused.value.found or "").startswith(str(len(closes) - 1))


def test_a_price_that_never_moves_and_a_tape_without_any_coin_of_the_account_are_refused() -> None:
    tape = read_csv_text(tape_text(("X", [100.0] * 100)), name="flat", file="t.csv")
    with pytest.raises(BadTape, match="never moves"):
        estimate(tape, ("X",))
    with pytest.raises(BadTape, match="2025-10-10"):
        measured(account(AVAX, BTC), tape=load_tape("2025-09-17"))


def test_a_coin_that_the_tape_lacks_is_put_in_and_the_likelihood_is_less_certain() -> None:
    file = account(AVAX, BTC, wallet="1300")
    found = measured(file, tape=load_tape("2021-05-19"), horizon=Horizon(paths=2_000))  # bitcoin alone
    assert found.estimate is not None
    assert [one.symbol for one in found.estimate.put_in] == ["AVAXUSDT"]
    assert any("has no AVAXUSDT" in note and "(ours)" in note for note in found.assumptions)
    chance = found.likelihood[0]
    p = chance.probability
    assert chance.spread > 0
    assert chance.error == pytest.approx(sqrt(p * (1 - p) / 2_000 + chance.spread**2))
    told = as_json(found)["estimate"]["put_in"]
    assert (told[0]["symbol"], told[0]["of"], told[0]["measure"]) == ("AVAXUSDT", 1, "volatility")


def test_the_share_of_a_crash_lies_between_those_of_the_least_and_the_most_that_is_put_in() -> None:
    found = measured(account(leg("ALGOUSDT", "long", "40000", "0.2105", "0.2105"), BTC, wallet="1500"))
    crash = next(item for item in found.crashes if item.crash == "2024-08-05 low")
    assert [one.symbol for one in crash.put_in] == ["ALGOUSDT"]
    assert crash.between is not None
    least, most = crash.between
    assert least is not None
    assert most is not None
    assert crash.share is not None
    assert most < crash.share < least  # the more it falls, the less of the crash it takes
    whole = next(item for item in found.crashes if item.crash == "2025-10-10 low")
    assert (whole.put_in, whole.between) == ((), None)


@pytest.mark.parametrize(
    "symbol",
    [
        "BTCUSDT",
        "BTC-USDT-SWAP",
        "BTCUSD_PERP",
        "PI_XBTUSD",
        "XBTUSDTM",
        "BTC_USDC-PERPETUAL",
        "BTC",
        "BTCPERP",
        "BTC-USD",
    ],
)
def test_every_venues_name_of_a_coin_finds_it_on_a_tape(symbol: str) -> None:
    assert stand_in(symbol, ["AVAXUSDT", "BTCUSDT"]) == "BTCUSDT"


def test_a_coin_that_a_tape_lacks_has_no_stand_in() -> None:
    assert stand_in("ETHBTC", ["BTCUSDT"]) is None
    assert stand_in("WBTCUSDT", ["BTCUSDT"]) is None


def test_another_contract_on_the_coin_stands_in_and_that_is_said() -> None:
    body = {"wallet": {"BTC": "0.02"}, "positions": [leg("BTCUSD_PERP", "short", "90", "100000", "117000")]}
    found = measured(parse({"rulebook": "binance-coinm", "account": body}, where="test"), tape=load_tape("2025-10-10"))
    assert found.estimate is not None
    assert found.estimate.stand_ins == {"BTCUSD_PERP": "BTCUSDT"}
    assert any("BTCUSDT stands in for BTCUSD_PERP" in note for note in found.assumptions)
    assert found.crashes


def test_a_horizon_needs_a_tape_and_a_tail_with_a_variance() -> None:
    with pytest.raises(BadConfiguration, match="--tape"):
        measured(account(AVAX), horizon=Horizon())
    with pytest.raises(BadConfiguration, match="tail above 2"):
        measured(account(AVAX), tape=load_tape("2025-10-10"), horizon=Horizon(tail=2))


def test_nothing_held_or_nothing_known_is_said() -> None:
    with pytest.raises(BadAccount, match="no position"):
        measured(account())


def test_without_numpy_the_simulation_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(BadConfiguration, match="--paths 0"):
        likelihood.numpy()


BASKET: dict[str, Any] = {
    "collateral_mode": "multi_asset",
    "collateral": {"USDT": {"index": "1", "ask_buffer": "0.01"}},
}


@pytest.mark.parametrize(
    "file",
    [account(AVAX, BTC), account(AVAX, BTC, wallet="900", **BASKET),
     account(leg("AVAXUSDT", "short", "9000", "23.5", "23.5"), BTC, wallet="60000")],
    ids=["linear", "basket", "over tiers"],
)  # fmt: skip
def test_the_surplus_in_floats_is_that_of_the_exact_assessment(file: AccountFile) -> None:
    np = pytest.importorskip("numpy")
    rulebook = file.rulebook()
    assessment = assess_account(file.account, file.marks, rulebook)[0]
    symbols = ("AVAXUSDT", "BTCUSDT")
    margin = Margin(assessment, symbols)
    moves = [(x / 10, y / 10) for x in range(-9, 12, 3) for y in range(-9, 12, 3)]
    prices = np.array(
        [[float(file.marks[s]) * (1 + move) for s, move in zip(symbols, pair, strict=True)] for pair in moves]
    )
    for row, surplus in zip(prices, margin.surplus(np, prices), strict=True):
        exact = assess(
            assessment.pool, {s: Decimal(repr(float(p))) for s, p in zip(symbols, row, strict=True)}, rulebook
        )
        assert exact.balance_held_against is not None
        assert exact.liquidation_requirement is not None
        expected = float(exact.balance_held_against - exact.liquidation_requirement)
        assert surplus == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_one_nearly_normal_step_dies_as_often_as_the_normal_distribution_says() -> None:
    pytest.importorskip("numpy")
    file = account(AVAX, wallet="1400")
    assessment = assess_account(file.account, file.marks, file.rulebook())[0]
    price = liquidation_prices(assessment, "AVAXUSDT").below
    assert price is not None
    known = Estimate(("AVAXUSDT",), ((0.04**2,),), 1_000, 1.0, "made up", "last")
    horizon = Horizon(minutes=1, paths=200_000, seed=3, tail=1e6)
    (chance,) = simulate([assessment], known, {"AVAXUSDT": float(file.marks["AVAXUSDT"])}, horizon)
    expected = NormalDist(0, 0.04).cdf(float((price / file.marks["AVAXUSDT"]).ln()))
    assert abs(chance.probability - expected) < 4 * chance.error
    assert chance.error == pytest.approx(sqrt(expected * (1 - expected) / horizon.paths), rel=0.05)


def test_the_same_seed_gives_the_same_likelihood_and_another_one_another() -> None:
    pytest.importorskip("numpy")
    file, tape = account(AVAX, BTC, LINK), load_tape("2025-10-10")
    one, again, other = (
        measured(file, tape=tape, horizon=Horizon(paths=2_000, seed=seed)).likelihood for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other
    pools = {chance.pool: chance.deaths for chance in one}
    assert max(pools["isolated LINKUSDT long"], pools["cross USDT"]) <= pools["any"]
    assert pools["any"] <= pools["isolated LINKUSDT long"] + pools["cross USDT"]


def test_json_says_what_was_assumed_and_has_numbers_as_text() -> None:
    document = as_json(measured(account(AVAX, BTC), tape=load_tape("2025-10-10")))
    assert document["schema"] == "ringfence.distance/1"
    assert document["estimate"]["returns"] == 479
    assert isinstance(document["nearest"][0]["sigmas"], str)
    assert document["likelihood"] is None
    assert any("2025-10-10" in note for note in document["assumptions"])
