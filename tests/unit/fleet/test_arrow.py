"""In and out of polars, pandas and pyarrow, without copies where Arrow allows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from ringfence.errors import BadConfiguration
from ringfence.fleet import Fleet
from ringfence.fleet.example import example_table
from ringfence.fleet.numbers_in import floats

D = Decimal


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return example_table(300, seed=3)


def address(column: pa.Array) -> int:
    buffer = column.buffers()[1]
    assert buffer is not None
    return int(buffer.address) + 16 * int(column.offset)


def quantities(fleet: Fleet) -> pa.Array:
    return fleet.unit(0).column("positions").flatten().field("quantity")


def same_accounts(one: Fleet, other: Fleet) -> bool:
    names = one.to_arrow()["account"].to_pylist()[::37]
    return all(one.account(name).account == other.account(name).account for name in names)


def test_a_fleets_own_table_comes_back_as_it_is_without_a_copy(fleet: Fleet) -> None:
    again = Fleet.from_arrow(fleet.to_arrow())
    assert again.terms == fleet.terms
    assert again.to_arrow().equals(fleet.to_arrow())
    assert address(quantities(again)) == address(quantities(fleet))


def test_flat_tables_that_stand_account_by_account_are_not_copied(fleet: Fleet) -> None:
    flat = fleet.positions().combine_chunks()
    made = Fleet.from_arrow(positions=flat, rulebook="binance-usdm", as_of=fleet.terms.as_of)
    assert address(quantities(made)) == address(flat["quantity"].chunk(0))
    assert [p.quantity for p in made.account("A00000005").account.positions] == [
        p.quantity for p in fleet.account("A00000005").account.positions
    ]


def test_polars_takes_a_fleet_and_gives_it_back(fleet: Fleet) -> None:
    frame = pl.DataFrame(fleet)
    assert frame.shape == (300, 9)
    assert same_accounts(fleet, Fleet.from_arrow(frame, rulebook="binance-usdm", as_of=fleet.terms.as_of))
    flat = pl.from_arrow(fleet.positions())
    assert isinstance(flat, pl.DataFrame)
    longs = flat.filter(pl.col("quantity") > 0)
    made = Fleet.from_arrow(positions=longs, rulebook="binance-usdm", as_of=fleet.terms.as_of)
    assert made.terms.exact
    assert len(made.positions()) == len(longs)


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["a", "b", "BTCUSDT", "ETHUSDT"])])
def test_names_may_be_categories_in_one_chunk_or_several(kind: type[pl.DataType] | pl.DataType) -> None:
    def rows(account: str, symbol: str) -> pl.DataFrame:
        frame = pl.DataFrame({"account": [account], "symbol": [symbol], "quantity": ["2"], "entry_price": ["3000"]})
        return frame.with_columns(pl.col("account", "symbol").cast(kind))

    frame = pl.concat([rows("a", "BTCUSDT"), rows("b", "ETHUSDT")], rechunk=False)
    for positions in (frame, frame.to_pandas()):
        made = Fleet.from_arrow(positions=positions, rulebook="binance-usdm")
        assert [(name, made.account(name).account.positions[0].symbol) for name in "ab"] == [
            ("a", "BTCUSDT"), ("b", "ETHUSDT"),
        ]  # fmt: skip


def test_positions_without_wallets_are_said_to_have_empty_ones() -> None:
    rows = pa.table({"account": ["a"], "symbol": ["BTCUSDT"], "quantity": ["1"], "entry_price": ["60000"]})
    wallets = pa.table({"account": ["a"], "asset": ["USDT"], "balance": ["100"]})
    said = "no table of wallets was given: shared wallets are taken to be empty"
    assert said in Fleet.from_arrow(positions=rows, rulebook="binance-usdm").terms.notes
    assert said not in Fleet.from_arrow(positions=rows, wallets=wallets, rulebook="binance-usdm").terms.notes


def test_pandas_takes_a_fleet_and_gives_it_back(fleet: Fleet) -> None:
    frame = fleet.to_arrow().to_pandas()
    assert same_accounts(fleet, Fleet.from_arrow(frame, rulebook="binance-usdm", as_of=fleet.terms.as_of))
    flat = fleet.positions().to_pandas(types_mapper=pd.ArrowDtype)
    made = Fleet.from_arrow(positions=flat, rulebook="binance-usdm", as_of=fleet.terms.as_of)
    assert made.positions().to_pylist() == fleet.positions().to_pylist()


def test_binary_floats_are_taken_at_their_shortest_text_and_said_to_be(fleet: Fleet) -> None:
    frame = pd.DataFrame({"account": ["A"], "symbol": ["BTCUSDT"], "quantity": [0.1], "entry_price": [117000.3]})
    made = Fleet.from_arrow(positions=frame, rulebook="binance-usdm", as_of=fleet.terms.as_of)
    held = made.account("A").account.positions[0]
    assert (held.quantity, held.entry_price) == (D("0.1"), D("117000.3"))
    assert not made.terms.exact
    assert made.terms.notes[1:] == ("some amounts came as binary floats and are taken at their shortest decimal text",)


def test_anything_with_the_arrow_stream_interface_will_do(fleet: Fleet) -> None:
    class Capsule:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return fleet.to_arrow().__arrow_c_stream__(requested_schema)

    assert Fleet.from_arrow(Capsule()).terms == fleet.terms


def test_amounts_become_floats_within_three_roundings() -> None:
    texts = ["-0.000000000000000001", "5", "-7.25", "99999999999999999999.999999999999999999", "0", "0.1",
             "-99999999999999999999.999999999999999999", "18.446744073709551616", "-36.893488147419103232"]  # fmt: skip
    column = pa.array([D(text) for text in texts] + [None], pa.decimal128(38, 18)).slice(1)
    found = floats(column)
    for text, value in zip(texts[1:], found, strict=False):
        assert abs(Decimal(float(value)) - D(text)) <= abs(D(text)) * D("3.4e-16")
    assert found[-1] != found[-1]


@pytest.mark.parametrize(
    ("given", "where", "message"),
    [
        ({"positions": "positions.csv"}, "positions=", "no Arrow data"),
        ({"positions": 5}, "positions=", "no Arrow data"),
        ({"positions": {"account": 1}}, "positions=", "no Arrow data"),
        ({"marks": {"BTCUSDT": 60350.5}}, "marks", "no mark for BTCUSDT"),
        ({"marks": {"BTCUSDT": "60350"}}, "marks", "no mark for BTCUSDT"),
        ({"marks": {"BTCUSDT": Decimal(0)}}, "marks", "no mark for BTCUSDT"),
        ({"marks": {"BTCUSDT": Decimal("NaN")}}, "marks", "no mark for BTCUSDT"),
        ({"as_of": "2025-10-10"}, "as_of", "not a day"),
    ],
)
def test_what_is_no_arrow_data_no_mark_and_no_day_is_refused_in_words(
    given: dict[str, Any], where: str, message: str
) -> None:
    held = pa.table({"account": ["A"], "symbol": ["BTCUSDT"], "quantity": ["1"], "entry_price": ["60000"]})
    with pytest.raises(BadConfiguration) as caught:
        Fleet.from_arrow(**({"positions": held, "rulebook": "binance-usdm"} | given))
    assert (caught.value.where, caught.value.message) == (where, message)
    assert caught.value.hint
