"""Double entry: what is posted balances, what is asked for is there, and nothing else changes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.ledger import (
    EXTERNAL,
    INSURANCE,
    Ledger,
    Posting,
    bonus,
    clearing,
    imbalance,
    isolated,
    move,
    posting,
    wallet,
)
from ringfence.numbers import exact


def test_the_accounts_of_a_trader_and_a_contract_have_their_names() -> None:
    assert wallet("ann") == "wallet:ann"
    assert bonus("ann") == "bonus:ann"
    assert isolated("ann", "BTCUSDT", "net") == "isolated:ann:BTCUSDT:net"
    assert clearing("BTCUSDT") == "clearing:BTCUSDT"


def test_a_move_is_two_postings_that_cancel_out_and_a_move_of_nothing_is_none() -> None:
    made = move("USDT", Decimal(5), out_of=EXTERNAL, into=wallet("ann"))
    assert made == (Posting(EXTERNAL, "USDT", Decimal(-5)), Posting("wallet:ann", "USDT", Decimal(5)))
    assert move("USDT", Decimal(0), out_of=EXTERNAL, into=wallet("ann")) == ()
    assert move("USDT", Decimal(-5), out_of=EXTERNAL, into=wallet("ann"))[0].amount == 5


def test_what_is_posted_is_the_balance_and_a_balance_of_nothing_is_forgotten() -> None:
    ledger = Ledger()
    ledger.apply(move("USDT", Decimal(5), out_of=EXTERNAL, into=wallet("ann")))
    ledger.apply(move("USDT", Decimal(2), out_of=wallet("ann"), into=INSURANCE))
    assert ledger.balance("wallet:ann", "USDT") == 5 - 2
    assert ledger.balance("wallet:ann", "BTC") == 0
    assert ledger.assets_of("wallet:ann") == {"USDT": Decimal(3)}
    ledger.apply(move("USDT", Decimal(3), out_of=wallet("ann"), into=EXTERNAL))
    assert ledger.assets_of("wallet:ann") == {}
    assert [entry for entry in ledger.entries() if entry[0] == "wallet:ann"] == []


def test_entries_come_by_account_and_asset_whatever_was_posted_first() -> None:
    ledger = Ledger()
    for trader, asset in (("zoe", "USDT"), ("ann", "USDT"), ("ann", "BTC")):
        ledger.apply(move(asset, Decimal(1), out_of=EXTERNAL, into=wallet(trader)))
    assert [f"{account} {asset}" for account, asset, _ in ledger.entries()] == [
        "external BTC",
        "external USDT",
        "wallet:ann BTC",
        "wallet:ann USDT",
        "wallet:zoe USDT",
    ]


def test_postings_that_do_not_balance_stop_everything_and_change_nothing() -> None:
    ledger = Ledger()
    crooked = (Posting("wallet:ann", "USDT", Decimal(5)), Posting(EXTERNAL, "BTC", Decimal(-5)))
    assert imbalance(crooked) == {"USDT": 5, "BTC": -5}
    with pytest.raises(AssertionError, match="unbalanced"):
        ledger.apply(crooked)
    assert list(ledger.entries()) == []


def test_postings_of_one_asset_that_do_not_balance_are_told_as_those_of_several() -> None:
    one = (Posting("wallet:ann", "USDT", Decimal(5)), Posting(EXTERNAL, "USDT", Decimal(-4)))
    assert imbalance(one) == {"USDT": 1}
    assert imbalance((*one, Posting(EXTERNAL, "USDT", Decimal(-1)))) == {}
    assert imbalance((*one, Posting(EXTERNAL, "BTC", Decimal(1)))) == {"USDT": 1, "BTC": 1}
    assert imbalance(()) == {}


def test_a_posting_made_the_short_way_is_one() -> None:
    made = posting((EXTERNAL, "USDT", Decimal(1)))
    assert type(made) is Posting
    assert made == Posting(EXTERNAL, "USDT", Decimal(1))


names = st.sampled_from([EXTERNAL, INSURANCE, "wallet:a", "wallet:b", "isolated:a:X:net"])
amounts = st.decimals(Decimal(-1000), Decimal(1000), places=8)


@given(st.lists(st.tuples(names, names, st.sampled_from(["USDT", "BTC"]), amounts), max_size=30))
@exact
def test_the_trial_balance_is_zero_per_asset_after_any_row_of_moves(rows: list[tuple[str, str, str, Decimal]]) -> None:
    ledger = Ledger()
    for source, target, asset, amount in rows:
        ledger.apply(move(asset, amount, out_of=source, into=target))
    assert not any(ledger.trial_balance().values())
