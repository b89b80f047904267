"""Accounts that many assets back, and portfolio accounts, in a fleet: what assess says of each of them."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from ringfence.account_file import parse
from ringfence.errors import BadFleet
from ringfence.fleet import Fleet
from ringfence.fleet.build import Request, build
from ringfence.fleet.scenarios import grid, steps, together
from ringfence.fleet.screening import ALL, screen
from ringfence.fleet.stress import stress
from ringfence.margin.assess import assess_account

if TYPE_CHECKING:
    from pathlib import Path

D = Decimal
OPTIONS = json.loads(files("ringfence").joinpath("examples/hedged-options.json").read_text(encoding="utf-8"))


def changed(identity: str, **account: object) -> dict[str, Any]:
    """Return the options book under a name, with some of its account's fields replaced."""
    found: dict[str, Any] = json.loads(json.dumps(OPTIONS))
    found["id"] = identity
    found["account"] |= account
    return found


def written(path: Path, documents: list[dict[str, Any]]) -> Fleet:
    """Return the fleet of account files, one per line."""
    source = path / "accounts.jsonl"
    source.write_text("\n".join(json.dumps(document) for document in documents), encoding="utf-8")
    return build([source], path / "fleet.parquet", Request()).fleet


def test_portfolio_accounts_stand_where_assess_says(tmp_path: Path) -> None:
    wallets = {"P1": "0.6", "P2": "0.2"}
    documents = [changed(name, wallet={"BTC": held}) for name, held in wallets.items()]
    documents.append(changed("P3", wallet={"BTC": "0.9"}, loans={"BTC": "0.3"}, rates={"BTC": "0.02"}))
    documents[0]["account"] |= {"rates": {"BTC": "0.02"}}
    fleet = written(tmp_path, documents)
    assert (fleet.terms.index, fleet.terms.rates) == ({"BTC": D(66000)}, {"BTC": D("0.02")})
    for document in documents[:1] + documents[2:]:
        file = parse(document, where="")
        (stated,) = assess_account(file.account, file.marks, file.rulebook())
        held = fleet.account(document["id"])
        (found,) = assess_account(held.account, held.marks, held.rulebook())
        assert found.liquidation_requirement == stated.liquidation_requirement
        assert found.balance_held_against == stated.balance_held_against
    assert {pool.account for pool in screen(fleet, limit=ALL).worst} == {"P2"}


def test_at_other_marks_a_portfolio_account_moves_as_one(tmp_path: Path) -> None:
    document = changed("P1", wallet={"BTC": "0.35"})
    fleet = written(tmp_path, [document]).with_marks({"BTC-PERPETUAL": D(60000)})
    file = parse(document, where="")
    (stated,) = assess_account(file.account, {**file.marks, "BTC-PERPETUAL": D(60000)}, file.rulebook())
    held = fleet.account("P1")
    (found,) = assess_account(held.account, held.marks, held.rulebook())
    assert found.balance_held_against == stated.balance_held_against
    assert stated.status == "healthy"
    assert screen(fleet).accounts == (1, 0, 0, 0)


def test_one_market_stands_behind_a_fleet(tmp_path: Path) -> None:
    other = changed("P2", index={"BTC": "65000"}, time="2026-02-15T13:00:00Z")
    with pytest.raises(BadFleet) as caught:
        written(tmp_path, [changed("P1"), other])
    said = {fault.message for fault in caught.value.faults}
    assert said == {"another time than the fleet's", "another index.BTC than the fleet's"}


def test_an_index_follows_the_mark_of_its_coin_at_other_marks() -> None:
    tables = {
        "positions": pa.table({
            "account": ["A"], "symbol": ["BTCUSDT"], "quantity": ["1"], "entry_price": ["60000"],
            "mark_price": ["60000"],
        }),
        "wallets": pa.table({"account": ["A", "A"], "asset": ["USDT", "BTC"], "balance": ["0", "2"]}),
        "collateral": pa.table({"account": ["A"], "asset": ["BTC"], "index": ["60000"]}),
        "accounts": pa.table({"account": ["A"], "collateral_mode": ["multi_asset"]}),
    }  # fmt: skip
    fleet = Fleet.from_arrow(**tables, rulebook="binance-usdm")
    moved = fleet.with_marks({"BTCUSDT": D(45000)})
    assert moved.account("A").account.index_prices == {"BTC": D(45000)}
    (found,) = assess_account(moved.account("A").account, moved.terms.marks, moved.terms.rulebook())
    # A coin counts 0.95 of its index; the debt of 15,000 USDT counts whole.
    assert found.margin_balance == 2 * 45000 * D("0.95") - 15000
    stays = {**tables, "collateral": pa.table({"account": ["A"], "asset": ["BTC"], "index": ["60000"],
                                               "ratio": ["0.95"], "moves_with": ["none"]})}  # fmt: skip
    held = Fleet.from_arrow(**stays, rulebook="binance-usdm").with_marks({"BTCUSDT": D(45000)})
    assert held.account("A").account.collateral["BTC"].index == D(60000)


def test_discount_tiers_come_as_a_table_of_their_own() -> None:
    tables = {
        "wallets": pa.table({"account": ["A"], "asset": ["BTC"], "balance": ["3"]}),
        "collateral": pa.table({"account": ["A"], "asset": ["BTC"], "index": ["60000"]}),
        "accounts": pa.table({"account": ["A"], "collateral_mode": ["multi_asset"]}),
        "positions": pa.table({"account": ["A"], "symbol": ["BTCUSDT"], "quantity": ["1"], "entry_price": ["60000"]}),
    }
    rows = {"account": ["A", "A"], "asset": ["BTC", "BTC"], "floor": ["0", "1"], "cap": ["1", None]}
    fleet = Fleet.from_arrow(**tables, tiers=pa.table({**rows, "ratio": ["0.9", "0.5"]}), rulebook="binance-usdm",
                             marks={"BTCUSDT": D(60000)})  # fmt: skip
    held = fleet.account("A")
    (found,) = assess_account(held.account, held.marks, held.rulebook())
    assert found.margin_balance == (1 * D("0.9") + 2 * D("0.5")) * 60000
    with pytest.raises(BadFleet) as caught:
        Fleet.from_arrow(**tables, tiers=pa.table({**rows, "floor": ["0", "2"], "ratio": ["0.5", "0.9"]}),
                         rulebook="binance-usdm")  # fmt: skip
    assert [fault.where for fault in caught.value.faults] == [
        "tiers: row 2, column floor",
        "tiers: row 2, column ratio",
    ]


def test_a_file_of_an_earlier_release_lacks_what_came_later_and_is_read(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    fleet = Fleet.from_arrow(
        positions=pa.table({"account": ["A"], "symbol": ["BTCUSDT"], "quantity": ["1"], "entry_price": ["60000"]}),
        wallets=pa.table({"account": ["A"], "asset": ["USDT"], "balance": ["3000"]}),
        rulebook="binance-usdm", marks={"BTCUSDT": D(59000)},
    )  # fmt: skip
    table = fleet.to_arrow().drop_columns(["tiers", "spot_hedging"])
    wallet = pa.array([[{"asset": "USDT", "balance": D("3000.000000000000000000")}]],
                      pa.list_(pa.struct([("asset", pa.string()), ("balance", pa.decimal128(38, 18))])))  # fmt: skip
    pq.write_table(table.set_column(table.schema.get_field_index("wallet"), "wallet", wallet), tmp_path / "old.parquet")
    old = Fleet.open(tmp_path / "old.parquet")
    assert old.account("A").account == fleet.account("A").account
    assert screen(old) == screen(replace(fleet))


BASKETS = {
    "positions": pa.table({
        "account": ["A", "A", "B", "C", "C"], "symbol": ["BTCUSDT", "SOLUSDC", "ETHUSDT", "BTCUSDT", "ETHUSDC"],
        "quantity": ["1", "-300", "-20", "2", "15"], "entry_price": ["60000", "151", "3001", "60000", "3050"],
        "mark_price": ["60000", "150", "3000", "60000", "3001"],
    }),
    "wallets": pa.table({
        "account": ["A", "A", "B", "B", "C", "C"], "asset": ["USDT", "BTC", "BTC", "ETH", "USDT", "BTC"],
        "balance": ["-5000", "0.4", "0.12", "1", "-1000", "0.7"], "loan": [None, None, "0.02", None, "900", None],
    }),
    "collateral": pa.table({
        "account": ["A", "B", "B", "C"], "asset": ["BTC", "BTC", "ETH", "BTC"],
        "index": ["60000", "60000", "3000", "60000"],
        "ask_buffer": [None, "0.02", "0.02", None], "ratio": ["0.95", None, "0.9", "0.95"],
    }),
    "tiers": pa.table({
        "account": ["B", "B"], "asset": ["BTC", "BTC"], "floor": ["0", "0.05"], "cap": ["0.05", None],
        "ratio": ["0.9", "0.5"],
    }),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["multi_asset", "portfolio"])
def test_baskets_with_tiers_and_moving_coins_need_no_exact_lane(mode: str) -> None:
    modes = pa.table({"account": ["A", "B", "C"], "collateral_mode": [mode] * 3})
    fleet = Fleet.from_arrow(**BASKETS, accounts=modes, rulebook="binance-usdm", as_of=None)
    moves = steps(D("0.5"), 9)
    found = stress(fleet, (*together(moves), *grid(("BTCUSDT",), moves)))
    assert (found.sums.exact, found.sums.unknown) == (0, 0)
    assert screen(fleet).exact == 0
    for at, scenario in enumerate(found.scenarios):
        moved = fleet.with_marks(scenario.marks(fleet.terms.marks))
        held = [moved.account(name) for name in "ABC"]
        assessed = [assess_account(file.account, file.marks, file.rulebook())[0] for file in held]
        assert found.sums.liquidatable[at] == sum(bool(one.liquidatable) for one in assessed)
        equity = sum(float(one.balance_held_against or 0) for one in assessed)
        assert found.sums.equity[:, at].sum() == pytest.approx(equity, rel=1e-9)
    assert len({int(count) for count in found.sums.liquidatable}) > 1
