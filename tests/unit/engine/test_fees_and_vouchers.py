"""What traders pay for trades: fee levels, discounts, and vouchers that pay fees, losses and funding."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.engine import commands as asked
from ringfence.engine import snapshot
from ringfence.engine.decide import handle
from ringfence.engine.events import SettingChanged, VoucherClosed, VoucherCredited
from ringfence.engine.settle import realised_in
from ringfence.engine.setup import Fees, Market, Setup
from ringfence.engine.state import State
from ringfence.fees import Discount, FeeLevel, FeeSchedule, VoucherKind
from ringfence.ledger import move
from ringfence.margin.bonus import paid_by_voucher
from tests.unit.engine.small_venue import AT_THE_PRICE, SECOND, SmallVenue, of_kind, refusal, rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.engine.events import Event

D = Decimal
SCHEDULE = FeeSchedule(
    levels=(FeeLevel("base", "", D("0.001"), D("0.002")), FeeLevel("high", "", D("-0.0005"), D("0.001"))),
    discounts={
        "token": Discount("token", D("0.1"), D("0.1"), "token"),
        "wood": Discount("wood", D("0.05"), D("0.05"), "staking"),
        "gold": Discount("gold", D("0.2"), D("0.2"), "staking"),
    },
    vouchers={
        "coupon": VoucherKind("coupon", ("fees",)),
        "late": VoucherKind("late", ("fees",), before_bonus=False),
        "trial": VoucherKind("trial", ("losses", "funding"), "claimed", "net_loss", counts_as_margin=True),
    },
)


SPREAD = Market(D("0.01"), D(0), D(10) ** 9, 1)  # 99 and 101 around 100: traders meet in between


def _venue(market: Market = AT_THE_PRICE, **more: Any) -> SmallVenue:
    venue = SmallVenue(rules(fee_schedule=lambda: SCHEDULE, **more), fees=Fees(D(1), D(1), D(0)), market=market)
    venue.marks(X="100")
    venue.trader("ann")
    venue.trader("bob")
    return venue


def _coupon(venue: SmallVenue, name: str, amount: str, kind: str = "coupon", **more: Any) -> tuple[Event, ...]:
    return venue.do(asked.CreditVoucher, "ann", name, kind, "USDT", D(amount), **more)


def _left(venue: SmallVenue, name: str) -> Decimal:
    return venue.ledger(f"voucher:ann:{name}")


# ── Levels and discounts ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_trader_begins_on_the_base_level_and_pays_its_rates() -> None:
    venue = _venue(SPREAD)
    venue.sell("bob", "10", price="100")
    venue.buy("ann", "10")
    assert venue.wallet("ann") == 1000 - D("0.002") * 10 * 100
    assert venue.wallet("bob") == 1000 - D("0.001") * 10 * 100
    assert venue.ledger("fees") == D("0.003") * 10 * 100


def test_a_level_changes_what_its_trader_pays_from_the_next_trade_on() -> None:
    venue = _venue(SPREAD)
    (changed,) = venue.do(asked.SetFeeLevel, "bob", "high")
    assert isinstance(changed, SettingChanged)
    assert (changed.setting, changed.value) == ("fee_level", "high")
    venue.sell("bob", "10", price="100")
    venue.buy("ann", "10")
    assert venue.wallet("bob") == 1000 + D("0.0005") * 10 * 100  # a rebate
    assert venue.ledger("fees") == (D("0.002") - D("0.0005")) * 10 * 100


def test_a_discount_is_taken_off_and_another_of_its_group_takes_its_place() -> None:
    venue = _venue()
    for discount in ("token", "wood", "gold"):
        venue.do(asked.SetFeeDiscount, "ann", discount, "on")
    assert venue.state.trader("ann").discounts == ("gold", "token")
    venue.buy("ann", "10")
    assert venue.wallet("ann") == 1000 - D("0.002") * (1 - D("0.1")) * (1 - D("0.2")) * 10 * 100
    venue.do(asked.SetFeeDiscount, "ann", "gold", "off")
    assert venue.state.trader("ann").discounts == ("token",)


def test_without_a_schedule_the_set_ups_rates_hold() -> None:
    venue = SmallVenue(fees=Fees(D(0), D("0.01"), D(0)))
    venue.marks(X="100")
    venue.trader("ann")
    venue.buy("ann", "1")
    assert venue.wallet("ann") == 1000 - D("0.01") * 100


REFUSED: list[tuple[str, Callable[[SmallVenue], tuple[Event, ...]]]] = [
    ("unknown_fee_level", lambda v: v.do(asked.SetFeeLevel, "ann", "higher")),
    ("unchanged", lambda v: v.do(asked.SetFeeLevel, "ann", "base")),
    ("unknown_discount", lambda v: v.do(asked.SetFeeDiscount, "ann", "silver", "on")),
    ("unknown_discount", lambda v: v.do(asked.SetFeeDiscount, "ann", "gold", "off")),
    ("unknown_choice", lambda v: v.do(asked.SetFeeDiscount, "ann", "gold", "half")),
    ("unknown_voucher", lambda v: _coupon(v, "v", "5", "gift")),
    ("not_positive", lambda v: _coupon(v, "v", "0")),
    ("unknown_choice", lambda v: _coupon(v, "v", "5", share=D("1.1"))),
    ("unknown_choice", lambda v: _coupon(v, "v", "5", share=D(0))),
    ("voucher_over", lambda v: _coupon(v, "v", "5", until=SECOND)),
    ("duplicate_voucher", lambda v: _coupon(v, "mine", "5")),
    ("duplicate_voucher", lambda v: _coupon(v, "a:b", "5")),
    ("unknown_voucher", lambda v: v.do(asked.ExpireVoucher, "ann", "yours")),
]


@pytest.mark.parametrize(("reason", "ask"), REFUSED, ids=[f"{reason}-{n}" for n, (reason, _) in enumerate(REFUSED)])
def test_what_is_refused_changes_nothing(reason: str, ask: Callable[[SmallVenue], tuple[Event, ...]]) -> None:
    venue = _venue()
    _coupon(venue, "mine", "1")
    before = list(venue.state.ledger.entries())
    assert refusal(ask(venue)) == reason
    assert list(venue.state.ledger.entries()) == before


# ── Fee coupons ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_coupon_pays_its_share_of_a_fee_and_its_issuer_bears_it() -> None:
    venue = _venue()
    (credited,) = _coupon(venue, "c", "50", share=D("0.5"))
    assert isinstance(credited, VoucherCredited)
    assert venue.ledger("voucher_issuer") == -50
    venue.buy("ann", "10")  # a fee of 2
    assert _left(venue, "c") == 50 - D("0.5") * 2
    assert venue.wallet("ann") == 1000 - D("0.5") * 2
    assert venue.ledger("fees") == 2


def test_of_several_coupons_the_one_that_ends_first_pays_and_only_that_one() -> None:
    venue = _venue()
    _coupon(venue, "never", "50")
    _coupon(venue, "soon", "1", until=100 * SECOND)
    _coupon(venue, "later", "50", until=200 * SECOND)
    venue.buy("ann", "10")  # a fee of 2
    assert [_left(venue, name) for name in ("never", "soon", "later")] == [50, 0, 50]
    assert venue.wallet("ann") == 1000 - (2 - 1)
    assert "soon" not in venue.state.trader("ann").vouchers  # it is used up
    venue.buy("ann", "10")
    assert [_left(venue, name) for name in ("never", "later")] == [50, 48]


def test_of_coupons_that_end_together_the_one_with_the_highest_share_pays() -> None:
    venue = _venue()
    _coupon(venue, "half", "50", share=D("0.5"), until=100 * SECOND)
    _coupon(venue, "whole", "50", until=100 * SECOND)
    venue.buy("ann", "10")
    assert (_left(venue, "half"), _left(venue, "whole")) == (D(50), D(48))


@pytest.mark.parametrize(("kind", "of_bonus"), [("coupon", 0), ("late", 2)])
def test_a_coupon_pays_before_or_after_bonus_as_its_venue_says(kind: str, of_bonus: int) -> None:
    venue = _venue(bonus_use={"fees": "bonus_first"})
    venue.bonus("ann", "10")
    _coupon(venue, "c", "5", kind)
    venue.buy("ann", "10")  # a fee of 2
    assert venue.ledger("bonus:ann") == 10 - of_bonus
    assert _left(venue, "c") == 5 - (2 - of_bonus)


def test_a_coupon_in_another_asset_pays_nothing() -> None:
    venue = _venue()
    venue.do(asked.CreditVoucher, "ann", "c", "coupon", "BTC", D(1))
    venue.buy("ann", "10")
    assert venue.wallet("ann") == 1000 - 2


def test_a_coupon_is_no_margin_and_cannot_be_withdrawn() -> None:
    venue = _venue()
    _coupon(venue, "c", "50")
    assert venue.state.account("ann").wallet == {"USDT": 1000}
    assert refusal(venue.do(asked.Withdraw, "ann", "USDT", D("1000.01"))) == "insufficient_balance"


def test_a_rebate_is_the_traders_and_no_coupons() -> None:
    venue = _venue(SPREAD)
    venue.do(asked.SetFeeLevel, "ann", "high")
    _coupon(venue, "c", "50")
    venue.buy("ann", "10", price="100", time_in_force="post_only")
    venue.sell("bob", "10")
    assert venue.wallet("ann") == 1000 + D("0.0005") * 1000
    assert _left(venue, "c") == 50


def test_the_fund_and_the_market_use_no_vouchers_and_a_forced_order_pays_no_fee() -> None:
    venue = _venue()
    _coupon(venue, "c", "50")
    venue.buy("ann", "90")  # a fee of 18, all of it the coupon's
    assert (venue.wallet("ann"), _left(venue, "c")) == (D(1000), D(32))
    venue.marks(X="89")  # 10 left: taken over
    assert venue.held("ann") == 0
    assert _left(venue, "c") == 32


# ── Expiry ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_voucher_that_ended_pays_nothing_and_goes_back_with_the_next_price() -> None:
    venue = _venue()
    _coupon(venue, "c", "50", until=venue.at + 2 * SECOND)
    venue.at += 5 * SECOND
    venue.buy("ann", "10")
    assert (venue.wallet("ann"), _left(venue, "c")) == (D(1000 - 2), D(50))
    events = venue.marks(X="100")
    assert [(each.voucher, each.reason) for each in of_kind(events, VoucherClosed)] == [("c", "expired")]
    assert venue.ledger("voucher_issuer") == 0
    assert venue.state.vouchers_end is None
    assert of_kind(venue.marks(X="100"), VoucherClosed) == []


def test_a_voucher_can_be_taken_back_before_its_time() -> None:
    venue = _venue()
    _coupon(venue, "first", "50", until=100 * SECOND)
    _coupon(venue, "second", "50", until=200 * SECOND)
    venue.do(asked.ExpireVoucher, "ann", "first")
    assert (_left(venue, "first"), venue.ledger("voucher_issuer"), venue.state.vouchers_end) == (
        D(0),
        D(-50),
        200 * SECOND,
    )


def test_margin_that_a_voucher_was_is_gone_when_it_ends() -> None:
    venue = _venue()
    _coupon(venue, "t", "500", "trial", until=venue.at + 20 * SECOND)
    assert venue.state.account("ann").wallet == {"USDT": 1500}
    venue.buy("ann", "145")  # 14,500 at 10x needs 1,450, and 29 of fees
    venue.marks(X="94")  # 1,471 − 870 = 601 of 0.02 · 13,630 − 100 = 172.6: healthy
    assert venue.held("ann") == 145
    venue.at += 30 * SECOND
    venue.do(asked.Review)  # 101: not any more
    assert venue.held("ann") == 0


# ── Vouchers against losses ──────────────────────────────────────────────────────────────────────────────────────


def test_a_trial_fund_pays_its_share_of_the_net_loss_since_it_was_claimed() -> None:
    # BingX's example: +100 and −110 with a share of 50 %: 5 of the 10 that were lost.
    venue = _venue()
    _coupon(venue, "t", "50", "trial", share=D("0.5"))
    venue.buy("ann", "10")
    venue.marks(X="110")
    venue.last(X="110")
    venue.sell("ann", "10")  # +100
    venue.buy("ann", "10")
    venue.marks(X="99")
    venue.last(X="99")
    venue.sell("ann", "10")  # −110
    assert _left(venue, "t") == 50 - D("0.5") * (110 - 100)
    fees = D("0.002") * 10 * (100 + 110 + 110 + 99)
    assert venue.wallet("ann") == 1000 + 100 - 110 + 5 - fees


def test_what_was_won_back_and_lost_again_is_not_paid_twice() -> None:
    venue = _venue()
    _coupon(venue, "t", "50", "trial", share=D("0.5"))
    left = []
    for side, back in (("buy", "sell"), ("sell", "buy"), ("buy", "sell")):  # −10, +10, −10: in all 10 lost
        for mark, which in (("100", side), ("99", back)):
            venue.marks(X=mark)
            venue.last(X=mark)
            venue.order("ann", which, "10", "X")
        left.append(_left(venue, "t"))
    assert left == [50 - 5, 50 - 5, 50 - 5]
    assert venue.state.trader("ann").vouchers["t"].realised == -10 + 10 - 10


def test_a_trial_fund_pays_funding_and_no_fees() -> None:
    venue = _venue(SPREAD)
    _coupon(venue, "t", "50", "trial", share=D("0.5"))
    venue.sell("bob", "10", price="100")
    venue.buy("ann", "10")
    venue.do(asked.SettleFunding, "X", D("0.01"))  # ann pays 10
    assert _left(venue, "t") == 50 - D("0.5") * 10
    assert venue.wallet("ann") == 1000 - 2 - 5
    assert venue.wallet("bob") == 1000 - 1 + 10


def test_of_several_trial_funds_the_oldest_pays_until_it_is_used_up() -> None:
    venue = _venue()
    _coupon(venue, "old", "3", "trial")
    _coupon(venue, "new", "50", "trial")
    venue.buy("ann", "10")
    for price in ("99", "98"):
        venue.marks(X=price)
        venue.last(X=price)
        venue.sell("ann", "5")  # −5, then −10
    assert (_left(venue, "old"), _left(venue, "new")) == (D(0), D(50 - 10))


def test_a_trial_fund_cannot_be_withdrawn_though_it_is_margin() -> None:
    venue = _venue()
    _coupon(venue, "t", "500", "trial")
    venue.buy("ann", "100")  # 10,000 at 10x needs 1,000 and 20 of fees
    assert refusal(venue.do(asked.Withdraw, "ann", "USDT", D("0.01"))) == "insufficient_balance"


@pytest.mark.parametrize(
    ("charge", "left", "share", "given", "realised", "paid"),
    [
        ("10", "50", "0.5", "0", None, "5"),  # 50 % of it
        ("10", "3", "0.5", "0", None, "3"),  # no more than is left
        ("110", "50", "0.5", "0", "100", "5"),  # 0.5 · (110 − 100)
        ("10", "50", "1", "0", "100", "0"),  # earlier profit covers it
        ("10", "50", "0.5", "0", "-20", "5"),  # 20 lost before it was its turn: 0.5 · 10 of this loss, no more
        ("10", "45", "0.5", "5", "0", "0"),  # 10 lost and won back before: the 5 were paid already
        ("10", "47", "0.5", "3", "-2", "3"),  # 0.5 · 12 − 3
    ],
)
def test_what_a_voucher_pays_of_a_charge(
    charge: str, left: str, share: str, given: str, realised: str | None, paid: str
) -> None:
    since = None if realised is None else D(realised)
    assert paid_by_voucher(D(charge), left=D(left), share=D(share), given=D(given), realised=since) == D(paid)


def test_what_was_realised_is_what_passed_between_a_trader_and_the_clearing() -> None:
    postings = (
        *move("USDT", D(5), out_of="voucher:ann:t", into="clearing:X"),
        *move("USDT", D(7), out_of="wallet:ann", into="clearing:X"),
        *move("USDT", D(9), out_of="wallet:ann", into="isolated:ann:X:net"),
        *move("USDT", D(2), out_of="wallet:ann", into="fees"),
        *move("USDT", D(3), out_of="clearing:X", into="isolated:bob:X:net"),
        *move("USDT", D(-4), out_of="clearing:X", into="isolated:ann:X:net"),
    )
    assert realised_in(postings, "ann") == -5 - 7 - 4
    assert realised_in(postings, "bob") == 3


# ── State ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_levels_discounts_and_vouchers_are_in_the_digest_and_in_a_snapshot() -> None:
    state = State(Setup("bingx-usdtm"))
    commands: list[asked.Command] = [
        asked.UpdatePrices("1", 1, (("BTC-USDT", D(100_000)),)),
        asked.CreditVoucher("2", 2, "ann", "t", "trial_fund", "USDT", D(50), D("0.5"), 10**9),
        asked.CreditVoucher("3", 3, "ann", "never", "trial_fund", "USDT", D(50)),
    ]
    digests = {state.digest()}
    for command in commands:
        handle(state, command)
        digests.add(state.digest())
    loaded = snapshot.load(snapshot.dump(state))
    assert loaded.digest() == state.digest()
    assert snapshot.dump(loaded) == snapshot.dump(state)
    assert loaded.vouchers_end == state.vouchers_end == 10**9
    assert loaded.trader("ann").vouchers == state.trader("ann").vouchers
    assert len(digests) == 1 + len(commands)


def test_a_level_and_discounts_come_back_from_a_snapshot() -> None:
    state = State(Setup("hyperliquid"))
    handle(state, asked.SetFeeLevel("1", 1, "ann", "Tier 2"))
    handle(state, asked.SetFeeDiscount("2", 2, "ann", "staking_gold", "on"))
    handle(state, asked.SetFeeDiscount("3", 3, "ann", "referral", "on"))
    loaded = snapshot.load(snapshot.dump(state))
    assert loaded.digest() == state.digest()
    rates = loaded.rates("ann", loaded.rulebook.contract("BTC"))
    assert rates.taker == D("0.00035") * (1 - D("0.2")) * (1 - D("0.04"))


def test_under_rules_that_do_not_have_a_traders_level_he_pays_the_base_level() -> None:
    state = State(Setup("hyperliquid"))
    handle(state, asked.SetFeeLevel("1", 1, "ann", "Tier 2"))
    handle(state, asked.SetFeeDiscount("2", 2, "ann", "referral", "on"))
    handle(state, asked.AdoptRulebook("3", 3, "bybit-linear"))
    assert state.rates("ann", state.rulebook.contract("BTCUSDT")) == (D("0.0002"), D("0.00055"))


def test_who_loses_margin_by_a_voucher_that_ends_is_looked_at_also_when_he_was_proved_healthy_before() -> None:
    outcomes = []
    for suspects in (None, ()):  # everybody is looked at, or nobody but who was changed
        venue = _venue()
        _coupon(venue, "t", "500", "trial", until=venue.at + 20 * SECOND)
        venue.buy("ann", "145")
        price = asked.UpdatePrices("price", venue.at + 30 * SECOND, (("X", D("94.5")),))
        outcomes.append(handle(venue.state, price, suspects))
        assert venue.held("ann") == 0
    assert outcomes[0] == outcomes[1]
