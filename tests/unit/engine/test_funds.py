"""Money in and out of a running venue: deposits, withdrawals, transfers, bonus, isolated margin, funding."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.engine import commands as asked
from ringfence.engine.events import FundingPaid, MoneyMoved
from tests.unit.engine.small_venue import SmallVenue, of_kind, refusal, rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.engine.events import Event


def _venue(**more: Any) -> SmallVenue:
    """Ann is long 10 X at 100 with 1,000 (100 of it is initial margin), bob the same in isolated margin."""
    venue = SmallVenue(rules(**more))
    venue.marks(X="100")
    venue.trader("ann")
    venue.trader("bob")
    venue.isolate("bob")
    venue.buy("ann", "10")
    venue.buy("bob", "10")
    return venue


# ── Refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────

REFUSED: list[tuple[str, Callable[[SmallVenue], tuple[Event, ...]]]] = [
    ("not_positive", lambda v: v.deposit("ann", "0")),
    ("not_positive", lambda v: v.do(asked.Withdraw, "ann", "USDT", Decimal(-1))),
    ("insufficient_balance", lambda v: v.do(asked.Withdraw, "ann", "USDT", Decimal("900.01"))),  # 100 is tied up
    ("insufficient_balance", lambda v: v.do(asked.Withdraw, "ann", "BTC", Decimal(1))),
    ("not_positive", lambda v: v.do(asked.Transfer, "ann", "bob", "USDT", Decimal(0))),
    ("insufficient_balance", lambda v: v.do(asked.Transfer, "ann", "bob", "USDT", Decimal(901))),
    ("not_positive", lambda v: v.do(asked.CreditBonus, "ann", "USDT", Decimal(0))),
    ("no_position", lambda v: v.do(asked.AddIsolatedMargin, "bob", "X", "short", Decimal(1))),
    ("not_isolated", lambda v: v.do(asked.AddIsolatedMargin, "ann", "X", "long", Decimal(1))),
    ("not_positive", lambda v: v.do(asked.AddIsolatedMargin, "bob", "X", "long", Decimal(0))),
    ("insufficient_balance", lambda v: v.do(asked.AddIsolatedMargin, "bob", "X", "long", Decimal(901))),
    ("margin_not_removable", lambda v: v.do(asked.RemoveIsolatedMargin, "bob", "X", "long", Decimal(1))),
    ("no_price", lambda v: v.do(asked.SettleFunding, "Y", Decimal("0.0001"))),
]


@pytest.mark.parametrize(("reason", "ask"), REFUSED, ids=[f"{reason}-{n}" for n, (reason, _) in enumerate(REFUSED)])
def test_what_is_refused_moves_nothing(reason: str, ask: Callable[[SmallVenue], tuple[Event, ...]]) -> None:
    venue = _venue()
    before = list(venue.state.ledger.entries())
    assert refusal(ask(venue)) == reason
    assert list(venue.state.ledger.entries()) == before


# ── Wallets ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_money_comes_from_outside_and_goes_back() -> None:
    venue = SmallVenue()
    venue.deposit("ann", "100")
    assert [venue.wallet("ann"), venue.ledger("external")] == [100, -100]
    venue.do(asked.Withdraw, "ann", "USDT", Decimal(40))
    assert [venue.wallet("ann"), venue.ledger("external")] == [60, -60]


def test_what_is_free_may_be_withdrawn_to_the_last_cent() -> None:
    venue = _venue()
    assert refusal(venue.do(asked.Withdraw, "ann", "USDT", Decimal(900))) is None
    assert venue.wallet("ann") == 100


def test_unrealised_profit_is_free_where_the_venue_counts_it_but_only_the_wallet_leaves() -> None:
    venue = _venue()
    venue.marks(X="300")  # 2,000 gained; 300 tied up at the mark
    assert refusal(venue.do(asked.Withdraw, "ann", "USDT", Decimal(1001))) == "insufficient_balance"
    assert refusal(venue.do(asked.Withdraw, "ann", "USDT", Decimal(1000))) is None


def test_a_transfer_goes_from_one_wallet_into_another() -> None:
    venue = _venue()
    venue.do(asked.Transfer, "ann", "sub-ann", "USDT", Decimal(50))
    assert [venue.wallet("ann"), venue.wallet("sub-ann")] == [950, 50]


# ── Bonus ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_bonus_backs_positions_and_cannot_be_withdrawn() -> None:
    venue = SmallVenue()
    venue.marks(X="100")
    venue.trader("ann", "50")
    venue.bonus("ann", "60")
    assert refusal(venue.do(asked.Withdraw, "ann", "USDT", Decimal(51))) == "insufficient_balance"
    assert refusal(venue.buy("ann", "11")) is None  # 110 of initial margin, 50 of it own
    assert refusal(venue.do(asked.Withdraw, "ann", "USDT", Decimal(1))) == "insufficient_balance"


def test_what_is_left_of_a_bonus_expires_to_its_issuer() -> None:
    venue = SmallVenue()
    venue.deposit("ann", "50")
    venue.bonus("ann", "60")
    (event,) = of_kind(venue.do(asked.ExpireBonus, "ann", "USDT"), MoneyMoved)
    assert event.cause == "bonus_expired"
    assert [venue.ledger("bonus:ann"), venue.ledger("bonus_issuer"), venue.wallet("ann")] == [0, 0, 50]
    assert venue.do(asked.ExpireBonus, "ann", "USDT") == ()


@pytest.mark.parametrize("ask", [asked.Withdraw, asked.Transfer])
def test_a_transfer_out_forfeits_all_bonus_where_the_venue_says_so(ask: type[asked.Command]) -> None:
    to = ("bob",) if ask is asked.Transfer else ()
    for use, left in (({"on_transfer": "forfeited"}, 0), ({}, 60)):
        venue = SmallVenue(rules(bonus_use=use))
        venue.deposit("ann", "50")
        venue.bonus("ann", "60")
        venue.do(ask, "ann", *to, "USDT", Decimal(1))
        assert venue.ledger("bonus:ann") == left


def test_money_that_the_bonus_carries_cannot_leave_where_the_bonus_would_be_forfeited() -> None:
    venue = SmallVenue(rules(bonus_use={"on_transfer": "forfeited"}))
    venue.marks(X="100")
    venue.trader("ann", "100")
    venue.bonus("ann", "60")
    venue.buy("ann", "9")  # 90 tied up: 10 of own money is free once the bonus is gone
    assert refusal(venue.do(asked.Withdraw, "ann", "USDT", Decimal("10.01"))) == "insufficient_balance"
    assert refusal(venue.do(asked.Withdraw, "ann", "USDT", Decimal(10))) is None


@pytest.mark.parametrize(
    ("use", "wallet", "bonus"),
    [
        ("bonus_first", 100, 20),  # a loss of 40: all of it from 60 of bonus
        ("own_first", 60, 60),
        ("half", 80, 40),
        ("pro_rata", 100 - 25, 60 - 15),  # 40 · 60 ÷ 160
        ("never", 60, 60),
    ],
)
def test_a_loss_is_paid_in_the_order_the_venue_names(use: str, wallet: int, bonus: int) -> None:
    venue = SmallVenue(rules(bonus_use={"losses": use}))
    venue.marks(X="100")
    venue.trader("ann", "100")
    venue.bonus("ann", "60")
    venue.buy("ann", "10")
    venue.marks(X="96")
    venue.sell("ann", "10")
    assert [venue.wallet("ann"), venue.ledger("bonus:ann")] == [wallet, bonus]


def test_funding_is_paid_from_the_bonus_where_the_venue_spends_it_first() -> None:
    venue = SmallVenue(rules(bonus_use={"funding": "bonus_first"}))
    venue.marks(X="100")
    venue.trader("ann", "100")
    venue.bonus("ann", "60")
    venue.buy("ann", "10")
    venue.do(asked.SettleFunding, "X", Decimal("0.01"))  # 1,000 · 1 %
    assert [venue.wallet("ann"), venue.ledger("bonus:ann")] == [100, 50]


# ── Isolated margin ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_isolated_position_is_funded_from_the_wallet_and_topped_up_from_it() -> None:
    venue = _venue()
    assert [venue.wallet("bob"), venue.margin("bob")] == [900, 100]
    venue.do(asked.AddIsolatedMargin, "bob", "X", "long", Decimal(30))
    assert [venue.wallet("bob"), venue.margin("bob")] == [870, 130]
    venue.do(asked.RemoveIsolatedMargin, "bob", "X", "long", Decimal(30))
    assert [venue.wallet("bob"), venue.margin("bob")] == [900, 100]


def test_bonus_does_not_go_into_an_isolated_position() -> None:
    venue = SmallVenue()
    venue.marks(X="100")
    venue.trader("bob", "120")
    venue.isolate("bob")
    venue.bonus("bob", "60")
    venue.buy("bob", "10")
    assert refusal(venue.do(asked.AddIsolatedMargin, "bob", "X", "long", Decimal(30))) == "bonus_not_withdrawable"


# ── Funding ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_longs_pay_shorts_and_nothing_stays_between_them() -> None:
    venue = _venue()
    venue.trader("cy")
    venue.sell("cy", "5")
    events = of_kind(venue.do(asked.SettleFunding, "X", Decimal("0.01")), FundingPaid)
    paid = {event.account: event.amount for event in events}
    assert {name: paid[name] for name in ("ann", "bob", "cy")} == {"ann": -10, "bob": -10, "cy": 5}
    assert sum(paid.values()) == 0  # the tape's market stands on the other side of the rest
    assert venue.ledger("funding:X") == 0
    assert [venue.wallet("ann"), venue.wallet("cy")] == [990, 1005]


def test_a_negative_rate_is_paid_by_shorts() -> None:
    venue = _venue()
    venue.do(asked.SettleFunding, "X", Decimal("-0.01"))
    assert venue.wallet("ann") == 1000 + 10


def test_an_isolated_position_pays_from_its_own_margin_and_moves_its_liquidation_price() -> None:
    venue = _venue()
    venue.do(asked.SettleFunding, "X", Decimal("0.01"))
    assert [venue.wallet("bob"), venue.margin("bob")] == [900, 100 - 10]


def test_where_the_wallet_pays_first_the_margin_only_pays_the_rest() -> None:
    venue = _venue(funding_from="wallet_first")
    venue.do(asked.Withdraw, "bob", "USDT", Decimal(894))
    venue.do(asked.SettleFunding, "X", Decimal("0.01"))
    assert [venue.wallet("bob"), venue.margin("bob")] == [0, 100 - 4]


def test_funding_that_a_position_cannot_bear_liquidates_it() -> None:
    venue = _venue()
    events = venue.do(asked.SettleFunding, "X", Decimal("0.09"))  # 90 of 100; maintenance is 10
    assert "take_over" in {getattr(event, "cause", None) for event in events}
    assert venue.held("bob") == 0
    assert venue.wallet("bob") == 900


def test_funding_is_settled_at_the_mark_of_the_moment() -> None:
    venue = _venue()
    venue.marks(X="110")
    venue.do(asked.SettleFunding, "X", Decimal("0.01"))
    assert venue.wallet("ann") == 1000 - 11
