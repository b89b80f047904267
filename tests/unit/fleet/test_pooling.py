"""The pools of a unit as arrays: whose legs they have, in which order, and what stands behind them."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence import load_rulebook
from ringfence.account import Account, CollateralMode, MarginMode, Position
from ringfence.fleet import Fleet
from ringfence.fleet.accounts import batch_of
from ringfence.fleet.example import write_example
from ringfence.fleet.market import market_of
from ringfence.fleet.numbers_in import floats
from ringfence.fleet.pooling import nearest_floats, pools_of
from ringfence.fleet.pooling_kernel import FEW
from ringfence.fleet.schema import Terms

if TYPE_CHECKING:
    from pathlib import Path

D = Decimal
SYMBOLS = ("BTCUSDC", "BTCUSDT", "ETHUSDC", "ETHUSDT", "SOLUSDT", "XRPUSDT")
WALLET = {"USDC": D(7), "USDT": D("-2.5")}


def account(count: int, mode: CollateralMode = CollateralMode.SINGLE_ASSET) -> Account:
    """Return an account of ``count`` positions in two assets, every third one isolated with a margin of its own."""
    held = [
        Position(SYMBOLS[5 * at % 6], D(at + 1), D(100 + at), MarginMode.ISOLATED, isolated_margin=D(at))
        if at % 3 == 2
        else Position(SYMBOLS[5 * at % 6], -D(at + 1), D(100 + at), MarginMode.CROSS)
        for at in range(count)
    ]
    return Account(tuple(held), wallet=WALLET, collateral_mode=mode)


def wanted(one: Account) -> list[tuple[str, float | None, list[float]]]:
    """Return name, balance (None: of a basket) and quantities of every pool: shared ones, then isolated positions."""
    shared: dict[str, list[float]] = {}
    alone = []
    for position in one.positions:
        quantity = float(position.quantity)
        if position.isolated_margin is not None:
            alone.append((f"isolated {position.symbol} long", float(position.isolated_margin), [quantity]))
        elif one.collateral_mode is CollateralMode.SINGLE_ASSET:
            shared.setdefault(position.symbol[-4:], []).append(quantity)
        else:
            shared.setdefault("", []).append(quantity)
    found = [(f"cross {asset}" if asset else "account", float(WALLET[asset]) if asset else None, legs)
             for asset, legs in sorted(shared.items())]  # fmt: skip
    return [*found, *alone]


@pytest.mark.parametrize("count", [1, 5, 2 * FEW])
@pytest.mark.parametrize("mode", [CollateralMode.SINGLE_ASSET, CollateralMode.MULTI_ASSET])
def test_pools_have_their_legs_in_the_accounts_order_and_their_balance(count: int, mode: CollateralMode) -> None:
    rulebook = load_rulebook("binance-usdm")
    accounts = [account(3), account(count, mode), Account((), wallet=WALLET), account(2, mode)]
    batch, _ = batch_of([(str(at), one) for at, one in enumerate(accounts)])
    market = market_of(rulebook, SYMBOLS, Terms("binance-usdm", symbols=SYMBOLS))
    for cut in (0, 1):  # a slice of a batch, too: its lists do not begin at 0
        found = pools_of(batch.slice(cut), market)
        got: list[list[tuple[str, float | None, list[float]]]] = [[] for _ in accounts]
        for pool, owner in enumerate(found.account.tolist()):
            legs = slice(int(found.first[pool]), int(found.first[pool + 1]))
            name, balance = found.named(pool, market), float(found.balance[pool])
            got[owner + cut].append((name, None if name == "account" else balance, found.quantity[legs].tolist()))
        assert got[cut:] == [wanted(one) for one in accounts[cut:]]


LARGEST, WIDE = 10**38 - 1, Context(prec=60)


@given(st.lists(st.none() | st.integers(-LARGEST, LARGEST) | st.sampled_from([0, -1, 2**64, -(2**64), 1 - 2**64])))
def test_amounts_are_the_same_floats_by_compiled_code(units: list[int | None]) -> None:
    column = pa.array(
        [None if one is None else D(one).scaleb(-18, WIDE) for one in [None, *units]], pa.decimal128(38, 18)
    )
    for part in (column, column.slice(1), column.slice(1).drop_null()):
        assert nearest_floats(part).tobytes() == floats(part).tobytes()


def test_symbols_that_are_read_as_numbers_are_the_same_texts(tmp_path: Path) -> None:
    written = write_example(50, 3, tmp_path / "one.parquet").fleet
    whole = tmp_path / "whole.parquet"
    pq.write_table(written.to_arrow(), whole, use_dictionary=False, row_group_size=20)
    for fleet in (written, Fleet.open(whole)):
        for index in range(fleet.units):
            plain, coded = fleet.unit(index), fleet.unit(index, coded=True)
            assert pa.types.is_dictionary(coded.column("positions").type.value_type.field("symbol").type)
            assert coded.to_pylist() == plain.to_pylist()
    assert Fleet(written.terms, "table", table=written.to_arrow()).unit(0, coded=True).equals(written.unit(0))
