"""Portfolio accounts in the engine: who may be one, what orders need, what hedges are closed, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence import rulebooks
from ringfence.contract import Contract, ContractKind, OptionType
from ringfence.engine import commands as asked
from ringfence.engine import events as happened
from ringfence.engine.decide import handle
from ringfence.engine.setup import Fees, Market, PriceGuard, Setup
from ringfence.engine.snapshot import dump, load
from ringfence.engine.state import State
from ringfence.engine.wire import decode_command, decode_event, encode
from ringfence.ledger import move
from ringfence.rulebook import Tier, TierTable
from ringfence.screen import BandScreen

if TYPE_CHECKING:
    from ringfence.margin.assessment import Assessment

D = Decimal
SECOND = 1_000_000
NOW = 1_767_225_600  # 2026-01-01 00:00 UTC, in seconds
TIERS = TierTable((Tier(D(0), D("0.01"), D(0), D(50)),))
PERPETUAL = Contract(
    "BTCUSDT", ContractKind.LINEAR, D(1), "USDT", quantity_step=D("0.001"), maker_fee_rate=D(0), taker_fee_rate=D(0)
)
OTHER = replace(PERPETUAL, symbol="ETHUSDT", quantity_step=D("0.01"))
MARCH = replace(PERPETUAL, symbol="BTC-MAR", underlying="BTC", expiry=datetime(2026, 3, 27, 8, tzinfo=UTC))
CALL = replace(MARCH, symbol="BTC-CALL", kind=ContractKind.OPTION, strike=D(60_000), option_type=OptionType.CALL)
CONTRACTS = (PERPETUAL, OTHER, MARCH, CALL)


class Venue:
    """A venue that trades without fees, in a market that takes everything at its price."""

    def __init__(self, rulebook: str, as_of: date | None = None, *, stale_after: int | None = None) -> None:
        book = rulebooks.load(rulebook, as_of).with_tables({c.symbol: (c, TIERS) for c in CONTRACTS})
        self.state = State(
            Setup(
                rulebook, given=book, fees=Fees(D(0), D(0), D(0)), market=Market(D(0), D(0), D(10) ** 9, 1),
                guard=PriceGuard(jump=None, from_index=None, stale_after=stale_after),
            )
        )  # fmt: skip
        self.number = 0
        self.late = 0  # seconds that passed besides

    def do(self, kind: Any, *given: Any, suspects: Any = None, **named: Any) -> tuple[Any, ...]:
        self.number += 1
        at = (NOW + self.number + self.late) * SECOND
        events = handle(self.state, kind(f"c{self.number}", at, *given, **named), suspects)
        assert not any(self.state.ledger.trial_balance().values())
        return events

    def prices(self, bitcoin: str, ether: str = "3000", *, march: str | None = None) -> tuple[Any, ...]:
        marks = (("BTCUSDT", D(bitcoin)), ("ETHUSDT", D(ether)), ("BTC-MAR", D(march or bitcoin)))
        return self.do(asked.UpdatePrices, marks, (), (("BTC", D(bitcoin)), ("ETH", D(ether))))

    def pooled(self, amount: str = "100000", name: str = "ann") -> Venue:
        """A portfolio account with dollars in it."""
        self.prices("60000")
        self.do(asked.Deposit, name, "USDT", D(amount))
        self.do(asked.SetCollateralMode, name, "portfolio")
        return self

    def buys(self, quantity: str, symbol: str = "BTCUSDT", name: str = "ann", **more: Any) -> tuple[Any, ...]:
        number = D(quantity)
        side = "buy" if number > 0 else "sell"
        more.setdefault("type", "limit" if "price" in more else "market")
        if "price" in more:
            more["price"] = D(more["price"])
        return self.do(asked.PlaceOrder, name, f"o{self.number}", symbol, side, abs(number), **more)

    def held(self, symbol: str, name: str = "ann") -> Decimal:
        found = self.state.trader(name).held.get((symbol, "net"))
        return D(0) if found is None else found.quantity

    def assessed(self) -> Assessment:
        found = self.state.assessment("ann", "account")
        assert found is not None
        return found


def only(events: tuple[Any, ...], kind: Any) -> Any:
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


def reason(events: tuple[Any, ...]) -> str | None:
    return next((event.reason for event in events if isinstance(event, happened.Refused)), None)


# ── Who may be a portfolio account ────────────────────────────────────────────────────────────────────────────────


def test_a_venue_without_rules_of_the_day_says_from_when_there_are_some() -> None:
    venue = Venue("okx-swap", date(2024, 12, 1))
    venue.prices("60000")
    refused = only(venue.do(asked.SetCollateralMode, "ann", "portfolio"), happened.Refused)
    assert refused.reason == "collateral_mode_not_offered"
    assert "2024-12-30" in refused.message


def test_a_venue_asks_for_the_equity_that_it_publishes() -> None:
    venue = Venue("okx-swap", date(2026, 1, 1))
    venue.prices("60000")
    venue.do(asked.Deposit, "ann", "USDT", D("9999.99"))
    refused = only(venue.do(asked.SetCollateralMode, "ann", "portfolio"), happened.Refused)
    assert refused.reason == "equity_below_minimum"
    venue.do(asked.Deposit, "ann", "USDT", D("0.01"))
    assert reason(venue.do(asked.SetCollateralMode, "ann", "portfolio")) is None


def test_nothing_is_isolated_in_a_portfolio_account() -> None:
    venue = Venue("deribit")
    venue.prices("60000")
    venue.do(asked.SetMarginMode, "ann", "ETHUSDT", "isolated")
    assert reason(venue.do(asked.SetCollateralMode, "ann", "portfolio")) == "isolated_margin_in_portfolio"
    venue.do(asked.SetMarginMode, "ann", "ETHUSDT", "cross")
    assert reason(venue.do(asked.SetCollateralMode, "ann", "portfolio")) is None
    assert reason(venue.do(asked.SetMarginMode, "ann", "ETHUSDT", "isolated")) == "isolated_margin_in_portfolio"
    adopted = venue.do(asked.AdoptPosition, "ann", "BTCUSDT", "long", D(1), D(60_000), D(10), "isolated")
    assert reason(adopted) == "isolated_margin_in_portfolio"


def test_who_would_be_liquidated_by_going_over_stays_where_he_is() -> None:
    venue = Venue("deribit")
    venue.prices("60000")
    venue.do(asked.Deposit, "ann", "USDT", D(5_000))
    venue.do(asked.AdoptPosition, "ann", "BTCUSDT", "long", D(1), D(60_000), D(50), "cross")
    # 0.8 · (16 % + 1 %) of 60,000 = 8,160 would be required, where 1 % is now
    assert reason(venue.do(asked.SetCollateralMode, "ann", "portfolio")) == "would_be_liquidated"
    assert not venue.state.trader("ann").basket


def test_a_venue_that_goes_over_to_rules_without_portfolio_margin_is_refused_that() -> None:
    venue = Venue("okx-swap", date(2026, 1, 1)).pooled()
    assert reason(venue.do(asked.AdoptRulebook, "okx-swap", "2024-12-01")) == "collateral_mode_not_offered"


# ── Orders ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_first_order_needs_the_initial_margin_of_the_book_with_it_filled_and_its_fees() -> None:
    venue = Venue("deribit").pooled("10200")  # (16 % + 1 %) of 60,000 each
    refused = only(venue.buys("1.001"), happened.Refused)
    assert refused.reason == "insufficient_balance"
    assert reason(venue.buys("1", price="60000", time_in_force="GTC")) is None  # no leverage was ever chosen
    assert venue.assessed().available_balance == 0


def test_a_hedge_needs_nothing_where_the_book_with_it_filled_is_safer() -> None:
    venue = Venue("deribit").pooled("10200")
    venue.buys("1")
    assert venue.assessed().available_balance == 0
    assert reason(venue.buys("0.1")) == "insufficient_balance"
    assert reason(venue.buys("-0.5", "BTC-MAR")) is None
    assert (venue.assessed().available_balance or D(0)) > 0


def test_open_orders_count_by_their_worse_side() -> None:
    venue = Venue("deribit").pooled("20400")
    venue.buys("1", price="59000")
    before = venue.assessed().order_margin
    assert before == D(10_200)
    venue.buys("-1", price="61000")
    assert venue.assessed().order_margin == before


def test_binance_opens_above_its_ratio_only_and_lets_reduce_below_it() -> None:
    venue = Venue("binance-usdm").pooled("1000")
    venue.buys("1")
    venue.prices("59730")  # 1,000 · 0.9999 less 270 for 597.3: 1.22
    assert reason(venue.buys("0.01")) is None  # 735.9 for 603.3, above 1.2
    venue.prices("59700")
    assert reason(venue.buys("0.001")) == "ratio_too_low_to_open"
    assert reason(venue.buys("-0.001")) is None
    assert reason(venue.buys("0.01", "ETHUSDT")) == "ratio_too_low_to_open"
    assert reason(venue.do(asked.Withdraw, "ann", "USDT", D(1))) is not None


# ── Liquidation ───────────────────────────────────────────────────────────────────────────────────────────────────


def causes(events: tuple[Any, ...]) -> list[tuple[str, str]]:
    return [(event.symbol, event.cause) for event in events if isinstance(event, happened.Traded)]


def test_okx_brings_delta_down_before_it_touches_a_hedge() -> None:
    venue = Venue("okx-swap", date(2026, 1, 1)).pooled("30000")
    venue.buys("2")
    venue.buys("-1", "BTC-MAR")
    events = venue.prices("33000", march="33000")
    # 27,000 lost of 30,000 by a net delta of one coin; 12 % of 33,000 to keep, and the basis of 85 days of the hedge
    assert only(events, happened.LiquidationStarted).margin_balance == 3_000
    assert [e.step for e in events if isinstance(e, happened.LiquidationStep)] == ["cancel_orders", "hedge_delta"]
    assert causes(events) == [("BTCUSDT", "liquidation")]
    assert venue.held("BTC-MAR") == -1
    assert 1 < venue.held("BTCUSDT") < 2


def test_okx_closes_a_basis_trade_on_both_sides() -> None:
    venue = Venue("okx-swap", date(2026, 1, 1)).pooled("100000")
    venue.buys("5")
    venue.buys("-5", "BTC-MAR")
    venue.do(asked.Withdraw, "ann", "USDT", D(88_000))
    # MR4 is 5 % a year of 5 coins each for 85 days; the basis runs away by 1,900 a coin
    events = venue.prices("60000", march="61900")
    steps = [event.step for event in events if isinstance(event, happened.LiquidationStep)]
    assert steps == ["cancel_orders", "hedge_delta", "hedge_basis"]
    assert causes(events) == [("BTCUSDT", "liquidation"), ("BTC-MAR", "liquidation")]
    assert venue.held("BTCUSDT") == -venue.held("BTC-MAR")
    assert only(events, happened.LiquidationEnded).outcome == "safe"


def test_what_the_market_does_not_take_goes_to_the_fund_at_prices_that_leave_the_account_nothing() -> None:
    venue = Venue("deribit").pooled("12000")
    venue.buys("1")
    venue.buys("2", "ETHUSDT")
    events = venue.prices("47000", "2000")  # 13,000 and 2,000 lost of 12,000
    assert {cause for _, cause in causes(events)} >= {"take_over"}
    assert only(events, happened.LiquidationEnded).outcome == "closed"
    assert not venue.state.trader("ann").held
    assert abs(venue.state.ledger.balance("wallet:ann", "USDT")) < D("1e-15")


def test_a_book_of_hedges_is_not_liquidated_for_the_loss_of_one_leg() -> None:
    cross, pooled = Venue("deribit"), Venue("deribit").pooled("9000")
    cross.prices("60000")
    for venue in (cross, pooled):
        venue.buys("1")
    pooled.buys("-0.9", "BTC-MAR")
    events = pooled.prices("30000", march="30000")
    assert not any(isinstance(event, happened.LiquidationStarted) for event in events)
    assert pooled.held("BTCUSDT") == 0 or pooled.held("BTCUSDT") == 1


# ── What is remembered, and what is refused ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rulebook", ["deribit", "bybit-uta", "binance-usdm"])
def test_a_portfolio_account_survives_a_snapshot_and_its_messages_a_journal(rulebook: str) -> None:
    venue = Venue(rulebook).pooled()
    venue.buys("1")
    venue.buys("-0.5", "BTC-MAR", price="61000")
    events = venue.prices("58000", march="58100")
    again = load(dump(venue.state))
    assert again.digest() == venue.state.digest()
    assert dump(again) == dump(venue.state)
    kept, restored = venue.state.assessment("ann", "account"), again.assessment("ann", "account")
    assert kept is not None
    assert restored is not None
    assert kept.liquidation_requirement == restored.liquidation_requirement
    assert kept.pool.risk == restored.pool.risk
    assert [decode_event(encode(event)) for event in events] == list(events)
    command = asked.SetCollateralMode("c", 1, "ann", "portfolio")
    assert decode_command(encode(command)) == command


def test_a_portfolio_account_is_looked_at_whoever_is_suspected() -> None:
    alone, screened = Venue("deribit").pooled("12000"), Venue("deribit").pooled("12000")
    for venue, suspects in ((alone, None), (screened, ())):
        venue.buys("1")
        venue.do(asked.UpdatePrices, (("BTCUSDT", D(55_000)),), (), (("BTC", D(55_000)),), suspects=suspects)
    assert alone.state.digest() == screened.state.digest()
    assert alone.held("BTCUSDT") < 1


def test_a_screen_names_a_portfolio_account_at_every_price_and_searches_for_nothing() -> None:
    venue = Venue("deribit").pooled("12000")
    venue.buys("1")
    screen = BandScreen()
    command = asked.UpdatePrices("p", (NOW + 100) * SECOND, (("BTCUSDT", D(59_999)),))
    assert screen.suspects(venue.state, command) == ("ann",)
    assert screen.assessments == 0


def test_a_coin_without_an_index_stands_on_the_mark_of_the_first_contract_on_it() -> None:
    venue = Venue("deribit")
    venue.do(asked.UpdatePrices, (("BTCUSDT", D(60_000)),))
    venue.do(asked.Deposit, "ann", "USDT", D(20_000))
    venue.do(asked.SetCollateralMode, "ann", "portfolio")
    venue.buys("1")
    assessment = venue.assessed()
    assert assessment.maintenance_margin == D("0.8") * D("0.17") * 60_000
    assert assessment.portfolio is not None
    assert "BTCUSDT" in assessment.portfolio.assumptions[0]


def test_time_passes_for_what_expires() -> None:
    venue = Venue("okx-swap", date(2026, 1, 1)).pooled()
    venue.buys("1", "BTC-MAR")
    first = venue.assessed().maintenance_margin or D(0)
    venue.late = 40 * 86_400
    venue.prices("60000")
    assert (venue.assessed().maintenance_margin or D(0)) < first  # the basis has less time to move


def test_nothing_is_decided_on_what_is_past_its_expiry_and_nothing_is_ordered_in_it() -> None:
    venue = Venue("deribit").pooled("12000")
    venue.buys("1", "BTC-MAR")
    venue.late = 100 * 86_400
    events = venue.prices("40000")
    assert not any(isinstance(event, happened.LiquidationStarted) for event in events)
    assert venue.state.assessment("ann", "account") is None
    assert reason(venue.buys("1", "BTC-MAR")) == "past_expiry"
    assert reason(venue.buys("0.001")) == "no_price"


def test_nothing_that_expires_is_ordered_after_a_restart_until_a_mark_says_what_time_it_is() -> None:
    venue = Venue("deribit").pooled("12000")
    venue.do(asked.Resume)
    assert reason(venue.buys("0.1", "BTC-MAR")) == "no_price"
    venue.prices("60000")
    assert reason(venue.buys("0.1", "BTC-MAR")) is None


def test_interest_is_charged_on_what_is_owed_and_the_rate_has_a_source() -> None:
    venue = Venue("deribit").pooled("20000")
    venue.do(asked.Deposit, "bob", "USDT", D(1_000))
    venue.buys("1")
    venue.prices("50000")
    venue.do(asked.PlaceOrder, "ann", "out", "BTCUSDT", "sell", D(1), "market", reduce_only=True)
    venue.do(asked.Withdraw, "ann", "USDT", D(10_000))  # 10,000 lost of 20,000, and the rest taken out
    assert venue.state.ledger.balance("wallet:ann", "USDT") == 0
    assert venue.do(asked.ChargeInterest, "USDT", D("0.01"), "ours") == ()
    venue.state.ledger.apply(move("USDT", D(500), out_of="wallet:ann", into="external"))
    (paid,) = venue.do(asked.ChargeInterest, "USDT", D("0.01"), "ours")
    assert (paid.account, paid.cause) == ("ann", "interest")
    assert venue.state.ledger.balance("wallet:ann", "USDT") == -500 * D("1.01")
    assert venue.state.ledger.balance("interest", "USDT") == 5
    assert venue.state.ledger.balance("wallet:bob", "USDT") == 1_000
    assert reason(venue.do(asked.ChargeInterest, "USDT", D("0.01"), " ")) == "unknown_choice"
    assert reason(venue.do(asked.ChargeInterest, "USDT", D(0), "ours")) == "not_positive"
    command = asked.ChargeInterest("c", 1, "USDT", D("0.01"), "ours")
    assert decode_command(encode(command)) == command


def test_an_option_is_refused_with_the_reason() -> None:
    venue = Venue("deribit").pooled()
    assert reason(venue.do(asked.AdoptPosition, "ann", "BTC-CALL", "long", D(1), D(1000), D(1))) == "option_not_played"
    assert reason(venue.buys("1", "BTC-CALL", price="1000")) == "option_not_played"


def test_a_stale_index_of_a_traded_coin_decides_nothing() -> None:
    venue = Venue("deribit", stale_after=60 * SECOND).pooled("12000")
    venue.buys("1")
    venue.late = 100
    events = venue.do(asked.UpdatePrices, (("BTCUSDT", D(40_000)),))
    assert not any(isinstance(event, happened.LiquidationStarted) for event in events)
    events = venue.prices("40000")
    assert any(isinstance(event, happened.LiquidationStarted) for event in events)
