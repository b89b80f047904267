"""What a trade does to both sides: entry values, realised PnL, isolated margin, fees."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.engine import commands as asked
from ringfence.engine.events import Traded
from ringfence.engine.settle import Side, Trade, traded
from ringfence.engine.setup import Fees
from ringfence.numbers import exact
from tests.unit.engine.small_venue import SmallVenue, of_kind, rules


def _venue() -> SmallVenue:
    venue = SmallVenue(fund="1000")
    venue.marks(X="100")
    venue.trader("ann", "100000")
    return venue


def test_entry_values_add_up_and_leave_in_proportion() -> None:
    venue = _venue()
    venue.buy("ann", "1")
    venue.marks(X="130")
    venue.buy("ann", "2")
    assert venue.state.trader("ann").held["X", "net"].entry_value == 100 + 260
    venue.marks(X="150")
    (trade,) = of_kind(venue.sell("ann", "1"), Traded)
    assert trade.seller_entry_value == 240
    assert venue.wallet("ann") == 100000 + 150 - 120


def test_turning_around_realises_all_of_the_old_side() -> None:
    venue = _venue()
    venue.buy("ann", "2")
    venue.marks(X="110")
    venue.sell("ann", "5")
    assert venue.wallet("ann") == 100000 + 20
    assert venue.state.trader("ann").held["X", "net"].entry_value == -3 * 110


def test_an_inverse_contract_pays_in_its_coin() -> None:
    venue = SmallVenue()
    venue.do(asked.UpdatePrices, (("I", Decimal(100)),))
    venue.deposit("ann", "10", "BTC")
    venue.leverage("ann", "10", "I")
    venue.buy("ann", "20", "I")  # 2,000 USD: 20 BTC at 100
    venue.do(asked.UpdatePrices, (("I", Decimal(125)),))
    venue.sell("ann", "20", "I")
    assert venue.wallet("ann", "BTC") == 10 + 20 - 2000 / Decimal(125)


def test_a_part_of_an_isolated_position_releases_its_share_of_the_margin() -> None:
    venue = _venue()
    venue.isolate("ann")
    venue.buy("ann", "4")
    venue.marks(X="96")
    venue.sell("ann", "1")
    # 10 of 40, less the loss of 4
    assert [venue.margin("ann"), venue.wallet("ann")] == [30, 100000 - 40 + 10 - 4]


def test_a_forced_part_leaves_its_margin_and_its_loss_in_the_position() -> None:
    venue = _venue()
    venue.isolate("ann")
    venue.buy("ann", "4")
    event = traded(
        venue.state,
        Trade("X", Decimal(96), Decimal(1), "liquidation", Side("@market"), Side("ann")),
        command="c",
        at=1,
    )
    margin = sum(one.amount for one in event.postings if one.account.startswith("isolated:ann"))
    wallet = sum(one.amount for one in event.postings if one.account == "wallet:ann")
    assert [margin, wallet] == [-4, 0]


def test_a_loss_is_taken_from_the_margin_before_anything_is_released() -> None:
    venue = _venue()
    venue.isolate("ann")
    venue.buy("ann", "4")
    venue.state.marks["X"] = Decimal(85)  # no review: as in the middle of a command
    event = traded(
        venue.state, Trade("X", Decimal(85), Decimal(1), "order", Side("@market"), Side("ann")), command="c", at=1
    )
    wallet = sum(one.amount for one in event.postings if one.account == "wallet:ann")
    assert wallet == 0  # the share of 10 does not cover the loss of 15: the rest of the margin does


def test_two_charges_of_one_trade_do_not_spend_a_bonus_twice() -> None:
    venue = SmallVenue(
        rules(bonus_use={"losses": "bonus_first", "fees": "bonus_first"}),
        fees=Fees(Decimal(0), Decimal("0.01"), Decimal(0)),
    )
    venue.marks(X="100")
    venue.trader("ann", "1000")
    venue.bonus("ann", "22")
    venue.buy("ann", "10")  # a fee of 10 out of the bonus
    assert venue.ledger("bonus:ann") == 12
    venue.marks(X="99")
    venue.sell("ann", "10")  # a loss of 10 and a fee of 9.90
    assert [venue.ledger("bonus:ann"), venue.wallet("ann")] == [0, 1000 - Decimal("7.9")]


def test_two_losing_legs_netted_in_one_trade_do_not_spend_a_bonus_twice() -> None:
    venue = SmallVenue(rules(bonus_use={"losses": "bonus_first"}))
    venue.marks(X="100")
    venue.trader("ann", "1000")
    venue.hedge("ann")
    venue.bonus("ann", "15")
    venue.buy("ann", "1", position_side="long")
    venue.marks(X="80")
    venue.sell("ann", "1", position_side="short")
    trade = Trade("X", Decimal(90), Decimal(1), "netting", Side("ann", "short"), Side("ann", "long"))
    event = traded(venue.state, trade, command="c", at=1)  # each leg loses 10
    assert sum(one.amount for one in event.postings if one.account == "bonus:ann") == -15
    assert sum(one.amount for one in event.postings if one.account == "wallet:ann") == -5


def test_a_trade_with_oneself_is_a_bug() -> None:
    venue = _venue()
    with pytest.raises(AssertionError, match="with itself"):
        traded(venue.state, Trade("X", Decimal(1), Decimal(1), "order", Side("ann"), Side("ann")), command="c", at=1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ann", "bob"]), st.sampled_from(["buy", "sell"]), st.integers(1, 30), st.integers(90, 110)
        ),
        max_size=12,
    )
)
@exact
def test_the_clearing_account_is_always_minus_the_open_entry_values(rows: list[tuple[str, str, int, int]]) -> None:
    venue = SmallVenue(fund="100000")
    venue.marks(X="100")
    venue.trader("ann", "50000")
    venue.trader("bob", "50000")
    for name, side, quantity, price in rows:
        venue.marks(X=str(price))
        venue.order(name, side, str(quantity), "X")
        entries = sum(held.entry_value for one in venue.state.traders.values() for held in one.held.values())
        assert venue.ledger("clearing:X") == -entries
