"""A venue of one or two contracts, small enough that every figure of a test is mental arithmetic.

The tape's market fills at its price, without spread, as much as is asked for (or as a test says). After every command
the trial balance is zero and positions of a symbol add up to nothing, or the command fails.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from ringfence.contract import Contract, ContractKind
from ringfence.engine import commands as asked
from ringfence.engine.decide import handle
from ringfence.engine.setup import Fees, Market, PriceGuard, Setup
from ringfence.engine.state import State
from ringfence.numbers import ZERO
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event

E = TypeVar("E", bound="Event")

SECOND = 1_000_000
AT_THE_PRICE = Market(Decimal(0), Decimal(0), Decimal(10) ** 9, 1)  #: everything fills at the tape's price
NO_FEES = Fees(Decimal(0), Decimal(0), Decimal(0))
ANY_PRICE = PriceGuard(jump=None, from_index=None, stale_after=None)

TIERS = TierTable(
    (
        Tier(Decimal(0), Decimal("0.01"), Decimal(0), Decimal(50)),
        Tier(Decimal(10_000), Decimal("0.02"), Decimal(100), Decimal(20)),
        Tier(Decimal(50_000), Decimal("0.05"), Decimal(1600), Decimal(10), Decimal(10_000_000)),
    )
)
LINEAR = Contract(
    "X", ContractKind.LINEAR, Decimal(1), "USDT", price_step=Decimal("0.1"), quantity_step=Decimal("0.01"),
    minimum_quantity=Decimal("0.01"), minimum_notional=Decimal(1),
)  # fmt: skip
INVERSE = Contract("I", ContractKind.INVERSE, Decimal(100), "BTC", quantity_step=Decimal(1))


def rules(*, tiers: TierTable = TIERS, policies: dict[str, Any] | None = None, **more: Any) -> Rulebook:
    """A rulebook of X and Y (linear, USDT) and I (inverse, BTC): progressive, at the mark, no closing fee."""
    chosen = Policies(**(policies or {}))
    tables = {"X": (LINEAR, tiers), "Y": (replace(LINEAR, symbol="Y"), tiers), "I": (INVERSE, tiers)}
    sequence = more.pop("sequence", ("cancel_orders", "take_over"))
    return Rulebook(
        "small", "Small", None, isolated=chosen, cross=chosen, basket=chosen, tables=tables,
        liquidation_sequence=tuple(sequence), **more,
    )  # fmt: skip


class SmallVenue:
    """A running venue. Commands get ids and times one second apart; each returns its events."""

    def __init__(
        self, rulebook: Rulebook | None = None, *, market: Market = AT_THE_PRICE, fees: Fees = NO_FEES,
        guard: PriceGuard = ANY_PRICE, fund: str = "0", **more: Any,
    ) -> None:  # fmt: skip
        given = rulebook or rules()
        self.setup = Setup(given=given, market=market, fees=fees, guard=guard, **more)
        self.state = State(self.setup)
        self.number = 0
        self.at = 0
        if Decimal(fund):
            self.put_in_fund("USDT", fund)

    def put_in_fund(self, asset: str, amount: str) -> None:
        """Give the insurance fund money from outside."""
        from ringfence.engine.events import MoneyMoved
        from ringfence.engine.evolve import evolve
        from ringfence.ledger import EXTERNAL, INSURANCE, move

        evolve(
            self.state,
            MoneyMoved("start", 0, "@insurance", "start_fund",
                       move(asset, Decimal(amount), out_of=EXTERNAL, into=INSURANCE)),
        )  # fmt: skip

    def do(self, kind: type[Command], *given: Any, **named: Any) -> tuple[Event, ...]:
        """Handle a command of ``kind``; numbers may be strings."""
        self.number += 1
        self.at += SECOND
        return self.handle(kind(f"c{self.number}", self.at, *given, **named))

    def handle(self, command: Command) -> tuple[Event, ...]:
        """Handle a command as it is, and hold the laws of every command."""
        events = handle(self.state, command)
        assert not any(self.state.ledger.trial_balance().values()), "money was made or lost"
        for symbol in self.state.holders:
            held = (
                leg.quantity for one in self.state.traders.values() for (of, _), leg in one.held.items() if of == symbol
            )
            assert sum(held, ZERO) == 0, f"positions of {symbol} do not add up to nothing"
        return events

    # ── Shorthand ────────────────────────────────────────────────────────────────────────────────────────────────

    def deposit(self, account: str, amount: str, asset: str = "USDT") -> tuple[Event, ...]:
        return self.do(asked.Deposit, account, asset, Decimal(amount))

    def bonus(self, account: str, amount: str) -> tuple[Event, ...]:
        return self.do(asked.CreditBonus, account, "USDT", Decimal(amount))

    def leverage(self, account: str, leverage: str, symbol: str = "X") -> tuple[Event, ...]:
        return self.do(asked.SetLeverage, account, symbol, Decimal(leverage))

    def isolate(self, account: str, symbol: str = "X") -> tuple[Event, ...]:
        return self.do(asked.SetMarginMode, account, symbol, "isolated")

    def hedge(self, account: str) -> tuple[Event, ...]:
        return self.do(asked.SetPositionMode, account, "hedge")

    def marks(self, **prices: str) -> tuple[Event, ...]:
        """New marks; the last price stays as it was."""
        return self.do(asked.UpdatePrices, tuple((symbol, Decimal(price)) for symbol, price in prices.items()))

    def last(self, **prices: str) -> tuple[Event, ...]:
        return self.do(asked.UpdatePrices, (), tuple((symbol, Decimal(price)) for symbol, price in prices.items()))

    def buy(self, account: str, quantity: str, symbol: str = "X", **more: Any) -> tuple[Event, ...]:
        return self.order(account, "buy", quantity, symbol, **more)

    def sell(self, account: str, quantity: str, symbol: str = "X", **more: Any) -> tuple[Event, ...]:
        return self.order(account, "sell", quantity, symbol, **more)

    def order(self, account: str, side: str, quantity: str | None, symbol: str, **more: Any) -> tuple[Event, ...]:
        """A limit order where a price is given, else a market order; other fields as they stand in the command."""
        name = more.pop("order", f"o{self.number + 1}")
        for field in ("price", "trigger_price"):
            if field in more:
                more[field] = Decimal(more[field])
        more.setdefault("type", "limit" if "price" in more else "market")
        size = None if quantity is None else Decimal(quantity)
        return self.do(asked.PlaceOrder, account, name, symbol, side, size, **more)

    def trader(self, account: str, deposit: str = "1000", leverage: str = "10", symbol: str = "X") -> None:
        """A trader with money and a leverage."""
        self.deposit(account, deposit)
        self.leverage(account, leverage, symbol)

    # ── What there is ────────────────────────────────────────────────────────────────────────────────────────────

    def wallet(self, account: str, asset: str = "USDT") -> Decimal:
        return self.state.ledger.balance(f"wallet:{account}", asset)

    def ledger(self, account: str, asset: str = "USDT") -> Decimal:
        return self.state.ledger.balance(account, asset)

    def margin(self, account: str, symbol: str = "X", leg: str = "net") -> Decimal:
        return self.state.ledger.balance(f"isolated:{account}:{symbol}:{leg}", "USDT")

    def held(self, account: str, symbol: str = "X", leg: str = "net") -> Decimal:
        found = self.state.trader(account).held.get((symbol, leg))
        return ZERO if found is None else found.quantity

    def orders(self, account: str) -> list[str]:
        return list(self.state.trader(account).orders)


def of_kind(events: Iterable[Event], kind: type[E]) -> list[E]:
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def refusal(events: tuple[Event, ...]) -> str | None:
    """The reason of a command that was refused, and nothing else happened; None where it was not refused."""
    from ringfence.engine.events import Refused

    refused = of_kind(events, Refused)
    assert len(refused) in {0, len(events)}, f"refused and done: {events}"
    return refused[0].reason if refused else None
