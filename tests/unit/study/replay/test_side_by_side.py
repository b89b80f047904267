"""One account under every architecture at once: measured alike, by its venue's own rules, or refused with a reason."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from ringfence.cli.journal import app
from ringfence.cli.replay_ways import as_json, assumptions
from ringfence.errors import BadAccount, BadConfiguration, BadTape
from ringfence.study.examples import load_example
from ringfence.study.replay.engine_run import journals_of
from ringfence.study.replay.on_engine import replay_on_engine
from ringfence.study.replay.side_by_side import side_by_side
from ringfence.study.replay.ways_page import html_page
from ringfence.tape import load_tape
from tests.unit.study.replay.replay_books import account_file, contract, tape_of

if TYPE_CHECKING:
    from pathlib import Path

    from ringfence.account_file import AccountFile
    from ringfence.study.replay.ways import SideBySide, Way

D = Decimal
ALL = ("isolated", "cross", "multi_asset", "portfolio")
LONG = {"symbol": "BTCUSDT", "side": "long", "quantity": "1", "entry_price": "60000", "leverage": "10"}
SHORT = {"symbol": "BTC-MAR", "side": "short", "quantity": "1", "entry_price": "60600", "leverage": "10"}
CONTRACTS = {
    "BTCUSDT": contract(contract_size="1", quantity_step="0.001", max_leverage="50"),
    "BTC-MAR": contract(contract_size="1", quantity_step="0.001", underlying="BTC", expiry="2026-03-27T08:00:00Z"),
}
FALL = tape_of({"BTCUSDT": ["60000", "55000", "50000", "45000"], "BTC-MAR": ["60600", "55500", "50400", "45300"]})
DIP = tape_of({"BTCUSDT": ["60000", "50000", "45000", "60000"], "BTC-MAR": ["60600", "50600", "45600", "60600"]})


def basis_trade(*, wallet: dict[str, str] | None = None, rulebook: str = "deribit", **more: Any) -> AccountFile:
    terms = {symbol: {k: v for k, v in one.items() if k != "max_leverage"} for symbol, one in CONTRACTS.items()}
    return account_file(
        [LONG, SHORT], wallet=wallet or {"USDT": "14000"}, contracts=terms, rulebook=rulebook, **more
    )  # fmt: skip


def way(found: SideBySide, name: str) -> Way:
    return next(one for one in found.ways if one.name == name)


def test_a_basis_trade_that_loses_a_leg_in_isolated_margin_lives_in_portfolio_margin() -> None:
    found = side_by_side(basis_trade(rulebook="okx-swap"), DIP, ALL)
    assert [one.name for one in found.ways] == list(ALL)
    isolated, cross, pooled = (way(found, name) for name in ("isolated", "cross", "portfolio"))
    assert isolated.closed == ("BTCUSDT long",)
    assert (cross.closed, pooled.closed) == ((), ())
    assert set(pooled.kept) == {"BTCUSDT long", "BTC-MAR short"}
    assert pooled.end == cross.end == D(14_000)
    assert isolated.end == D(14_000) - 6_000  # a tenth of 60,000 was behind the long, and the short won nothing
    assert "Not liquidated: " in found.verdict()


def test_isolated_and_cross_end_as_they_do_where_only_these_two_are_played() -> None:
    file, tape = load_example("crash-book"), load_tape("2025-10-10")
    alone = replay_on_engine(file, tape, ticks_per_bar=8)
    both = side_by_side(file, tape, ("isolated", "cross"), ticks_per_bar=8)
    for name, outcome in alone.outcomes.items():
        assert way(both, name).end == outcome.end["USDT"]
        assert [one.worth for one in way(both, name).moments] == [s.equity["USDT"] for s in alone.samples[name]]


def test_what_the_venue_does_not_offer_or_the_account_cannot_pay_is_said() -> None:
    found = side_by_side(basis_trade(), FALL, ALL)
    assert way(found, "portfolio").unavailable is None
    assert "not known" in (way(found, "multi_asset").unavailable or "")
    poor = side_by_side(basis_trade(rulebook="okx-swap", wallet={"USDT": "9000"}), FALL, ALL)
    assert "cannot fund" in (way(poor, "isolated").unavailable or "")
    assert "asks for 10000" in (way(poor, "portfolio").unavailable or "")
    assert "BTCUSDT" in as_json(poor)["architectures"][1]["kept"][0]


def test_a_coin_behind_the_positions_falls_with_them() -> None:
    file = account_file(
        [LONG], wallet={"BTC": "0.5"}, contracts={"BTCUSDT": contract(contract_size="1", quantity_step="0.001")},
        collateral={"BTC": {"index": "60000"}}, rulebook="binance-usdm",
    )  # fmt: skip
    tape = tape_of({"BTCUSDT": ["60000", "59000", "58000"]})
    found = side_by_side(file, tape, ("multi_asset", "portfolio"))
    pooled = way(found, "multi_asset")
    assert (pooled.start, pooled.end) == (D(30_000), D(29_000) - 2_000)
    assert any("BTC with BTCUSDT" in said for said in found.assumptions)


def test_terms_of_the_files_own_are_refused_where_the_venue_would_count_otherwise() -> None:
    file = account_file(
        [LONG], wallet={"BTC": "0.5"}, contracts={"BTCUSDT": contract(contract_size="1")},
        collateral={"BTC": {"index": "60000", "ratio": "0.5"}}, rulebook="binance-usdm",
    )  # fmt: skip
    found = side_by_side(file, tape_of({"BTCUSDT": ["60000", "59000"]}), ("multi_asset",))
    assert "terms of its own for BTC" in (way(found, "multi_asset").unavailable or "")


def test_a_name_that_is_no_architecture_is_refused_and_all_is_what_the_venue_speaks_of() -> None:
    with pytest.raises(BadConfiguration, match="no such margin architecture"):
        side_by_side(basis_trade(), FALL, ["isolated", "hybrid"])
    found = side_by_side(basis_trade(), FALL, ["all"])
    assert [one.name for one in found.ways] == ["portfolio"]


def test_what_cannot_be_replayed_in_any_way_is_an_error() -> None:
    over = tape_of({"BTCUSDT": ["60000", "55000"], "BTC-MAR": ["60600", "55500"]})
    with pytest.raises(BadTape, match="no prices of BTC-MAR"):
        side_by_side(basis_trade(), tape_of({"BTCUSDT": ["60000", "55000"]}), ALL)
    early = {**CONTRACTS, "BTC-MAR": {**CONTRACTS["BTC-MAR"], "expiry": "2025-10-10T18:01:00Z"}}
    terms = {symbol: {k: v for k, v in one.items() if k != "max_leverage"} for symbol, one in early.items()}
    file = account_file([LONG, SHORT], wallet={"USDT": "14000"}, contracts=terms, rulebook="okx-swap")
    with pytest.raises(BadAccount, match="expires while the tape runs"):
        side_by_side(file, over, ALL)
    with pytest.raises(BadAccount, match="options are not replayed"):
        side_by_side(load_example("hedged-options"), over, ALL)
    with pytest.raises(BadTape, match="nothing on the tape says what ETH is worth"):
        side_by_side(basis_trade(wallet={"USDT": "14000", "ETH": "1"}), over, ALL)


def test_every_way_has_a_journal_that_is_decided_again_to_the_byte(tmp_path: Path) -> None:
    journal = tmp_path / "run.journal"
    found = side_by_side(basis_trade(rulebook="okx-swap", wallet={"USDT": "9000"}), FALL, ALL, journal=journal)
    held = [one.name for one in found.held]
    assert [path.name for path in journals_of(journal)] == [f"run.{name}.journal" for name in held]
    verified = CliRunner().invoke(app, ["verify", str(journal), "--json"])
    assert verified.exit_code == 0, verified.output
    assert [one["holds"] for one in json.loads(verified.stdout)["journals"]] == [True] * len(held)
    with pytest.raises(BadConfiguration, match="no journal is written over"):
        side_by_side(basis_trade(), FALL, held, journal=journal)


def test_the_page_and_the_json_say_what_is_ours() -> None:
    found = side_by_side(basis_trade(rulebook="okx-swap"), FALL, ALL)
    page = html_page(found, notes=assumptions(found))
    assert page == html_page(found, notes=assumptions(found))
    for said in ("portfolio", "multi-asset", "card port", "MR4"):
        assert said in page
    document = as_json(found)
    assert document["schema"] == "ringfence.replay-architectures/1"
    assert any(said.startswith("portfolio: ") for said in document["assumptions"])
    assert document["architectures"][3]["end"] == "14300"


def test_the_same_seed_is_the_same_replay() -> None:
    file = basis_trade(rulebook="okx-swap")
    assert as_json(side_by_side(file, FALL, ALL, seed=4)) == as_json(side_by_side(file, FALL, ALL, seed=4))
