"""Random commands for a venue: a few traders, two symbols, prices that walk and jump. One seed, one sequence."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

from ringfence.engine import commands as asked
from ringfence.engine.setup import PriceGuard, Setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ringfence.engine.commands import Command

SYMBOLS = ("BTCUSDT", "ETHUSDT")
TRADERS = ("ann", "bob", "cy", "dot", "eve")
SETUP = Setup(
    as_of="2025-10-10",
    guard=PriceGuard(jump=Decimal("0.3")),
    impact=True,
    start_fund={"USDT": Decimal(2_000)},
)

_START = {"BTCUSDT": Decimal(60_000), "ETHUSDT": Decimal(3_000)}
_UNIT = {"BTCUSDT": Decimal("0.001"), "ETHUSDT": Decimal("0.01")}


class Commands:
    """An endless sequence of commands. ``at`` grows by a second per command."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - a simulation
        self.seed = seed
        self.number = 0
        self.prices = dict(_START)
        self.orders: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[Command]:
        for trader in TRADERS:
            yield asked.Deposit(*self._head(), trader, "USDT", Decimal(self.random.randint(500, 20_000)))
            for symbol in SYMBOLS:
                leverage = Decimal(self.random.choice((3, 10, 20, 50)))
                yield asked.SetLeverage(*self._head(), trader, symbol, leverage)
                if self.random.random() < 0.4:
                    yield asked.SetMarginMode(*self._head(), trader, symbol, "isolated")
        yield asked.UpdatePrices(*self._head(), tuple(self.prices.items()))
        kinds: list[tuple[int, Callable[[], Command]]] = [
            (40, self._prices), (35, self._order), (6, self._waiting), (8, self._cancel), (4, self._amend),
            (3, self._money), (2, self._margin), (2, self._funding), (1, self._setting), (1, self._rare),
            (1, self._position),
        ]  # fmt: skip
        makers = [make for weight, make in kinds for _ in range(weight)]
        while True:
            yield self.random.choice(makers)()

    def first(self, count: int) -> list[Command]:
        """Return the next ``count`` commands of a fresh sequence."""
        found = iter(self)
        return [next(found) for _ in range(count)]

    def _head(self) -> tuple[str, int]:
        self.number += 1
        return f"c{self.seed}-{self.number}", 1_000_000 * self.number

    def _prices(self) -> Command:
        for symbol in self.random.sample(SYMBOLS, self.random.randint(1, 2)):
            step = self.random.choice((5, 5, 5, 20, 60)) * self.random.uniform(-1, 1) / 1000
            self.prices[symbol] = (self.prices[symbol] * (1 + Decimal(step))).quantize(Decimal("0.1"))
        marks = tuple(self.prices.items())
        if self.random.random() < 0.03:
            marks = ((SYMBOLS[0], self.prices[SYMBOLS[0]] * 10),)
        last = marks[:1] if self.random.random() < 0.5 else ()
        return asked.UpdatePrices(*self._head(), marks, last, marks[1:] if last else ())

    def _order(self) -> Command:
        trader, symbol = self.random.choice(TRADERS), self.random.choice(SYMBOLS)
        quantity = _UNIT[symbol] * self.random.randint(1, 400)
        side = self.random.choice(("buy", "sell"))
        name = f"o{self.number}"
        if self.random.random() < 0.5:
            self.orders.append((trader, name))
            price = (self.prices[symbol] * Decimal(self.random.uniform(0.98, 1.02))).quantize(Decimal("0.1"))
            time = self.random.choice(("GTC", "GTC", "GTC", "IOC", "FOK", "post_only"))
            return asked.PlaceOrder(
                *self._head(), trader, name, symbol, side, quantity, "limit", price, time,
                self.random.random() < 0.15,
            )  # fmt: skip
        return asked.PlaceOrder(*self._head(), trader, name, symbol, side, quantity, "market")

    def _waiting(self) -> Command:
        trader, symbol = self.random.choice(TRADERS), self.random.choice(SYMBOLS)
        name = f"w{self.number}"
        self.orders.append((trader, name))
        trigger = (self.prices[symbol] * Decimal(self.random.uniform(0.97, 1.03))).quantize(Decimal("0.1"))
        closes = self.random.random() < 0.5
        return asked.PlaceOrder(
            *self._head(), trader, name, symbol, self.random.choice(("buy", "sell")), None if closes else _UNIT[symbol],
            self.random.choice(("stop_market", "take_profit_market")), close_position=closes, trigger_price=trigger,
            trigger_by=self.random.choice(("mark", "last")),
        )  # fmt: skip

    def _known_order(self) -> tuple[str, str]:
        return self.random.choice(self.orders) if self.orders else (TRADERS[0], "none")

    def _cancel(self) -> Command:
        if self.random.random() < 0.1:
            return asked.CancelAllOrders(
                *self._head(), self.random.choice(TRADERS), self.random.choice((None, *SYMBOLS))
            )
        return asked.CancelOrder(*self._head(), *self._known_order())

    def _amend(self) -> Command:
        return asked.AmendOrder(
            *self._head(), *self._known_order(), None, Decimal(self.random.randint(1, 200)).scaleb(-2)
        )

    def _money(self) -> Command:
        trader, amount = self.random.choice(TRADERS), Decimal(self.random.randint(1, 90_000)).scaleb(-2)
        kind = self.random.choice((asked.Deposit, asked.Withdraw, asked.CreditBonus))
        if self.random.random() < 0.2:
            return asked.Transfer(*self._head(), trader, self.random.choice(TRADERS), "USDT", amount)
        return kind(*self._head(), trader, "USDT", amount)

    def _margin(self) -> Command:
        kind = self.random.choice((asked.AddIsolatedMargin, asked.RemoveIsolatedMargin))
        side = self.random.choice(("long", "short"))
        amount = Decimal(self.random.randint(1, 300))
        return kind(*self._head(), self.random.choice(TRADERS), self.random.choice(SYMBOLS), side, amount)

    def _funding(self) -> Command:
        rate = Decimal(self.random.randint(-30, 30)).scaleb(-5)
        return asked.SettleFunding(*self._head(), self.random.choice(SYMBOLS), rate)

    def _setting(self) -> Command:
        trader, symbol = self.random.choice(TRADERS), self.random.choice(SYMBOLS)
        if self.random.random() < 0.3:
            return asked.SetPositionMode(*self._head(), trader, self.random.choice(("hedge", "one_way")))
        if self.random.random() < 0.5:
            return asked.SetMarginMode(*self._head(), trader, symbol, self.random.choice(("isolated", "cross")))
        return asked.SetLeverage(*self._head(), trader, symbol, Decimal(self.random.choice((2, 5, 25))))

    def _position(self) -> Command:
        trader, symbol = self.random.choice(TRADERS), self.random.choice(SYMBOLS)
        return asked.AdoptPosition(
            *self._head(), trader, symbol, self.random.choice(("long", "short")),
            _UNIT[symbol] * self.random.randint(1, 200), self.prices[symbol], Decimal(self.random.choice((3, 10, 20))),
            self.random.choice(("isolated", "cross")),
        )  # fmt: skip

    def _rare(self) -> Command:
        if self.random.random() < 0.5:
            return asked.Review(*self._head())
        return asked.AdoptRulebook(*self._head(), "binance-usdm", self.random.choice(("2025-10-10", "2025-11-01")))
