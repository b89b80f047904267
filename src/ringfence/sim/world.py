"""A seeded world: a venue, its traders and their temper, prices, and all that can go wrong, one command at a time.

:meth:`World.next` looks at the state as a trader would (what do I hold, which orders are open) and asks for something:
most of it sensible, some of it not. The same seed and number give the same commands as long as the engine answers
alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from ringfence.account import MarginMode
from ringfence.engine import commands as asked
from ringfence.engine.setup import Fees, Market, PriceGuard, Setup
from ringfence.numbers import EXACT, round_to
from ringfence.sim import sizes
from ringfence.sim.chance import Chance
from ringfence.sim.paths import Path, insane
from ringfence.sim.venues import VENUES, Venue, rules

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ringfence.contract import Contract
    from ringfence.engine.commands import Command
    from ringfence.engine.state import State
    from ringfence.numbers import Price, Quantity
    from ringfence.rulebook import Rulebook

_TYPES = ((45, "limit"), (35, "market"), (6, "stop_limit"), (6, "stop_market"), (4, "take_profit_limit"),
          (4, "take_profit_market"))  # fmt: skip
_BASKETS = 1_000  # names the chance by which a world has multi-asset accounts
_PORTFOLIOS = 1_001  # and the one by which some of them are portfolio accounts
_EXPIRIES = 1_002  # and those of what expires, and when it is settled
_LEAST = Decimal(12_000)  # what those begin with at least: venues ask for a minimum
_COINS = {"BTC": "110000", "ETH": "4000", "BETH": "4000"}
_START = 1_760_000_000_000_000  # microseconds: 9 October 2025


@dataclass(frozen=True, slots=True)
class WorldSetup(Setup):
    """A set-up whose rulebooks are complete for the symbols of ``venue``, also those it goes over to."""

    venue: Venue = VENUES[0]

    def rulebook(self, name: str | None = None, as_of: str | None = None) -> Rulebook:
        """Return the venue's rulebook or another one."""
        return rules(self.venue, name, as_of)


@dataclass(slots=True)
class Character:
    """A trader's temper. ``leans``: +1 buys, −1 sells, 0 both; ``stakes``: times its value it takes on."""

    name: str
    manner: str  # isolated, cross, mixed
    hedged: bool
    leans: int
    stakes: Decimal
    value: Decimal
    pools: bool = False
    scenarios: bool = False  # its pool is held to portfolio margin
    leverage: dict[str, Decimal] = field(default_factory=dict)


class World:
    """One world of a run; ``crowd``: all traders lean to one side of the first symbol until it crashes."""

    def __init__(self, seed: int, number: int, *, length: int) -> None:
        self.chance = Chance(seed, number)
        # Every eight worlds in a row are all eight venues; which comes first is the seed's.
        self.venue = VENUES[(number + Chance(seed).below(len(VENUES))) % len(VENUES)]
        self.number, self.length = number, length
        self.prefix = f"{seed}.{number}"
        self.at = _START
        self.count = 0
        self.crowd = self.chance.happens(250)
        self.setup = self._setup()
        self.paths: dict[str, Path] = {}
        for index, symbol in enumerate(self.venue.symbols[: self.chance.between(1, len(self.venue.symbols))]):
            step = self._contract(symbol.name).price_step or Decimal(1)
            self.paths[symbol.name] = Path(Chance(seed, number, index), Decimal(symbol.start), step)
        self.symbols = tuple(self.paths)
        self.assets = tuple(dict.fromkeys(self._contract(symbol).settle_asset for symbol in self.symbols))
        self._begin_baskets(Chance(seed, number, _BASKETS))
        self.whales = self.chance.happens(200)
        self.feed = self.chance.pick(("mark", "mark_last", "all", "all"))
        self.cast = tuple(self._character(index) for index in range(self.chance.between(3, 11)))
        for one in self.cast if self.coins else ():
            one.pools = self.of_baskets.happens(600)
        self._begin_portfolios(Chance(seed, number, _PORTFOLIOS))
        self.of_expiries = Chance(seed, number, _EXPIRIES)
        self.recent: list[Command] = []
        self.queue: list[Command] = []
        self.orders = 0
        self._open()

    def _begin_baskets(self, chance: Chance) -> None:
        """Choose whether traders may pool their assets here, and in which coin beside what contracts settle in.

        Out of a chance of its own, so that a world without baskets is the one it would be anyway.
        """
        self.of_baskets = chance
        self.coins: dict[str, Path] = {}  # every asset that may be in a basket, with its index
        book = self.setup.rulebook()
        offered = any(offer.name == "multi_asset" and offer.offered for offer in book.architectures())
        listed = [asset for asset in _COINS if asset in book.accepted()]
        if not (offered and listed and chance.happens(500)):
            return
        coin = chance.pick(tuple(listed))
        cent = Decimal("0.01")
        self.coins[coin] = Path(Chance(chance.below(10**9), 1), Decimal(_COINS[coin]), cent)
        for asset in self.assets:
            if chance.happens(500):  # the others have an index of 1
                self.coins.setdefault(asset, Path(Chance(chance.below(10**9), 2), Decimal(1), Decimal("0.0001")))

    def _begin_portfolios(self, chance: Chance) -> None:
        """Choose who of those that pool their assets is in portfolio margin, where the venue has rules of it."""
        book = self.setup.rulebook()
        offered = any(offer.name == "portfolio" and offer.offered for offer in book.architectures())
        for one in self.cast if offered and book.portfolio is not None else ():
            one.scenarios = one.pools and chance.happens(600)
            if one.scenarios:
                one.manner, one.value = "cross", max(one.value, _LEAST)

    def _setup(self) -> WorldSetup:
        chance = self.chance
        return WorldSetup(
            rulebook_name=self.venue.rulebook,
            fees=Fees(clearance=chance.pick((Decimal("0.0125"), Decimal("0.005"), Decimal(0)))),
            market=Market(
                half_spread=chance.pick((Decimal(0), Decimal("0.0001"), Decimal("0.002"))),
                level_gap=chance.pick((Decimal("0.0001"), Decimal("0.0005"), Decimal("0.003"))),
                depth_value=chance.pick((Decimal(500), Decimal(20_000), Decimal(500_000), Decimal(10_000_000))),
                levels=chance.pick((40, 40, 12, 3, 1, 40, 40, 500)),
                take_bound=chance.pick((Decimal("0.05"), Decimal("0.01"), None)),
            ),
            guard=PriceGuard(
                jump=chance.pick((Decimal("0.5"), Decimal("0.2"), Decimal("0.5"))),
                from_index=chance.pick((Decimal("0.25"), Decimal("0.1"), None)),
                stale_after=chance.pick((60_000_000, 10_000_000, 60_000_000)),
                confirmations=chance.pick((3, 3, 2, None)),
                witnessed=chance.pick((1, 1, None)),
            ),
            impact=chance.happens(300),
            self_trade=chance.pick(("cancel_taker", "cancel_maker", "cancel_both")),
            start_fund={} if chance.happens(500) else {self.venue.asset: Decimal(chance.pick((1, 100, 10_000)))},
            venue=self.venue,
        )

    def _contract(self, symbol: str) -> Contract:
        return self.setup.rulebook().contract(symbol)

    def _character(self, index: int) -> Character:
        chance = self.chance
        character = Character(
            f"t{index}",
            chance.pick(("isolated", "cross", "mixed")),
            chance.happens(300),
            chance.pick((1, -1, 0, 0)) if not self.crowd else 1 if index else -1,
            sizes.leverage(chance, most=Decimal(100)),
            sizes.account_value(chance),
        )
        if self.whales:
            character.value += Decimal(chance.between(20_000, 3_000_000))
            character.stakes = max(character.stakes, Decimal(chance.between(4, 20)))
        if self.venue.asset == "BTC":
            character.value = character.value.scaleb(-5)  # about what a coin is worth
        for symbol in self.paths:
            most = self._most_leverage(symbol, character.value * character.stakes)
            wanted = max(Decimal(1), min(most, (character.stakes * Decimal("1.5")).quantize(Decimal(1))))
            character.leverage[symbol] = chance.pick((wanted, wanted, most))
        return character

    def _most_leverage(self, symbol: str, value: Decimal) -> Decimal:
        """Return the most leverage that the tiers allow a position of ``value``; 20 where they do not say."""
        book, table = self.setup.rulebook(), self.setup.rulebook().tiers(symbol)
        if table is None:
            return Decimal(20)
        price = self.paths[symbol].start if symbol in self.paths else Decimal(1)
        amount = value / book.contract(symbol).contract_value(price) if table.unit == "contracts" else value
        return table.tiers[table.index_at(amount)].max_leverage or Decimal(20)

    # ── The opening: modes, money, first prices ──────────────────────────────────────────────────────────────────

    def _open(self) -> None:
        if self.setup.start_fund:
            self.queue.append(asked.SetUp(*self._stamp(), f"world {self.prefix}"))
        unpriced = self.chance.happens(200)  # a venue that takes positions over before it knows any price
        if not unpriced:
            self.queue.append(self._prices(faults=False))
        for one in self.cast:
            self._enter(one)
        if unpriced:
            for one in self.cast:
                self.queue.append(self._position_of(one, self.chance.pick(self.symbols)))
            self.queue += [self._place_blindly(one) for one in self.cast]
            self.queue.append(self._prices(faults=False))

    def _enter(self, one: Character) -> None:
        if one.hedged:
            self.queue.append(asked.SetPositionMode(*self._stamp(), one.name, "hedge"))
        for index, symbol in enumerate(self.symbols):
            isolated = one.manner == "isolated" or (one.manner == "mixed" and index % 2 == 0)
            if isolated:
                self.queue.append(asked.SetMarginMode(*self._stamp(), one.name, symbol, "isolated"))
            self.queue.append(asked.SetLeverage(*self._stamp(), one.name, symbol, one.leverage[symbol]))
        if one.pools and not one.scenarios:
            self.queue.append(asked.SetCollateralMode(*self._stamp(), one.name, "multi_asset"))
        if one.pools:
            coin = next(iter(self.coins))
            self.queue.append(asked.Deposit(*self._stamp(), one.name, coin, self._units(coin, one.value)))
            if self.of_baskets.happens(500):
                self._into_portfolio(one)
                return
        for asset in self.assets:
            self.queue.append(asked.Deposit(*self._stamp(), one.name, asset, one.value))
        self._into_portfolio(one)

    def _into_portfolio(self, one: Character) -> None:
        """Go over to portfolio margin once the money is there that the venue asks for."""
        if one.scenarios:
            self.queue.append(asked.SetCollateralMode(*self._stamp(), one.name, "portfolio"))

    def _units(self, asset: str, value: Decimal) -> Decimal:
        """Return how much of an asset is worth about ``value``."""
        path = self.coins.get(asset)
        if path is None or path.start <= 1:
            return value
        return round_to(value / path.start, Decimal("0.00000001"), rounding=ROUND_DOWN) or Decimal("0.00000001")

    def _stamp(self) -> tuple[str, int]:
        self.count += 1
        return f"{self.prefix}.{self.count}", self.at

    # ── One command after the other ──────────────────────────────────────────────────────────────────────────────

    def next(self, state: State) -> Command:
        """Return the next command."""
        self._pass_time()
        if self.queue:
            command = self.queue.pop(0)
        elif (settlement := self._settlement(state)) is not None:
            command = settlement
        elif self.recent and self.chance.happens(20):
            return self.chance.pick(self.recent)  # sent again: the same id
        else:
            command = self._misnamed(self.chance.weighted(self._KINDS)(self, state))
        self.recent = [*self.recent[-40:], command]
        return command

    def _misnamed(self, command: Command) -> Command:
        """Now and then ask for something in a name that nobody can have: the venue's own, or with a separator."""
        if not self.chance.happens(3) or not hasattr(command, "account"):
            return command
        name = self.chance.pick(("@market", "@insurance", "", " ", "t0|1", "t0:X", "t0 "))
        renamed: dict[str, Any] = {"account": name}
        return replace(command, **renamed)

    def _pass_time(self) -> None:
        chance = self.chance
        if chance.happens(5):
            self.at += 200_000_000  # everything is stale
        elif chance.happens(5):
            self.at -= 1_000_000  # a clock that jumps back
        else:
            self.at += chance.between(0, 3_000_000)

    def _prices(self, state: State | None = None, *, faults: bool = True) -> Command:
        chance = self.chance
        symbols = self.symbols if not faults or chance.happens(700) else (chance.pick(self.symbols),)
        if faults and self.crowd and chance.happens(8):
            self.paths[self.symbols[0]].crash(12)
        marks: list[tuple[str, Price]] = []
        last: list[tuple[str, Price]] = []
        index: list[tuple[str, Price]] = []
        for symbol in symbols:
            path = self.paths[symbol]
            path.advance()
            self._catch(state, symbol, path)
            mark: Price = path.near(3)
            if faults and chance.happens(25):
                mark = insane(chance, mark)
            if not (faults and chance.happens(15)):
                marks.append((symbol, mark))
            if self.feed != "mark":
                last.append((symbol, insane(chance, path.price) if faults and chance.happens(8) else path.near(15)))
            if self.feed == "all":
                index.append((symbol, insane(chance, path.price) if faults and chance.happens(4) else path.near(5)))
        if self.coins:
            index += self._indices(faults=faults)
        late = 30_000_000 if faults and chance.happens(10) else 0
        name, at = self._stamp()
        return asked.UpdatePrices(name, at - late, tuple(marks), tuple(last), tuple(index))

    def _indices(self, *, faults: bool) -> list[tuple[str, Price]]:
        """Return what the assets of baskets count at now: a coin moves as it likes, a dollar hardly."""
        chance, found = self.of_baskets, []
        for asset, path in self.coins.items():
            if path.start > 1:
                path.advance()
            price: Price = path.near(5)
            if faults and chance.happens(15):
                price = insane(chance, price)
            if not (faults and chance.happens(30)):
                found.append((asset, price))
        return found

    def _catch(self, state: State | None, symbol: str, path: Path) -> None:
        """Bring a price that ran away beyond what the venue believes back to where it is believed, after a while."""
        mark, limit = None if state is None else state.marks.get(symbol), self.setup.guard.jump
        if (
            mark is not None
            and limit is not None
            and abs(path.price - mark) > limit * mark
            and self.chance.happens(300 if self.setup.guard.confirmations is None else 40)
        ):
            path.price = mark

    def _settlement(self, state: State) -> Command | None:
        """Ask for what has expired to be settled, sooner or later; now and then for what has not, or again.

        Near the price of its path, or, as an average may be, some way from it.
        """
        chance = self.of_expiries
        dated = [symbol for symbol in self.symbols if self._contract(symbol).expiry is not None]
        if not dated or not chance.happens(40):
            return None
        symbol = chance.pick(self.symbols if chance.happens(20) else tuple(dated))
        expiry = self._contract(symbol).expiry
        over = expiry is not None and self.at >= expiry.timestamp() * 1_000_000
        if (symbol in state.settled or not over) and not chance.happens(30):
            return None
        price = self._price(symbol, chance.fraction(-100, 100, places=4))
        if chance.happens(150):
            price = self._price(symbol, chance.fraction(-4000, 4000, places=4))
        return asked.SettleExpiry(*self._stamp(), symbol, price, "the simulator's own")

    def _someone(self) -> Character:
        return self.chance.pick(self.cast)

    def _place(self, state: State) -> Command:
        chance, one = self.chance, self._someone()
        symbol = self.symbols[0] if self.crowd and chance.happens(700) else chance.pick(self.symbols)
        held = [(leg, position) for (name, leg), position in state.trader(one.name).held.items() if name == symbol]
        if held and chance.happens(350):
            return self._reduce(one, symbol, *chance.pick(held))
        side = chance.pick(("buy", "sell")) if not one.leans else "buy" if one.leans > 0 else "sell"
        if chance.happens(100):
            side = "sell" if side == "buy" else "buy"
        leg = None
        if one.hedged and chance.happens(600):
            leg = "long" if side == "buy" else "short"
        quantity = self._quantity(one, symbol)
        kind = chance.weighted(_TYPES)
        return self._order(one, symbol, side, quantity, kind, leg)

    def _reduce(self, one: Character, symbol: str, leg: str, position: object) -> Command:
        chance = self.chance
        quantity: Decimal = position.quantity  # type: ignore[attr-defined]
        side = "sell" if quantity > 0 else "buy"
        size = abs(quantity)
        if chance.happens(600):
            size = self._whole(symbol, size * chance.fraction(5, 130, places=2)) or size
        kind = chance.weighted(((40, "limit"), (40, "market"), (10, "stop_market"), (10, "take_profit_limit")))
        named = None if leg == "net" else leg
        if kind.startswith("stop") and chance.happens(500):
            return self._order(one, symbol, side, None, kind, named, closes=True)
        return self._order(one, symbol, side, size, kind, named, reduces=chance.happens(700))

    def _order(
        self, one: Character, symbol: str, side: str, quantity: Quantity | None, kind: str, leg: str | None,
        *, reduces: bool = False, closes: bool = False,
    ) -> Command:  # fmt: skip
        chance = self.chance
        self.orders += 1
        name = f"o{self.orders}" if not chance.happens(10) else f"o{chance.between(1, self.orders)}"
        price = trigger = None
        if kind.endswith("limit"):
            price = self._price(symbol, chance.fraction(-250, 250, places=4))
        if kind not in {"limit", "market"}:
            up = (side == "buy") == kind.startswith("stop")
            away = chance.fraction(5, 500, places=4)
            trigger = self._price(symbol, away if up else -away)
        force = "GTC" if price is None else chance.weighted(((60, "GTC"), (12, "IOC"), (12, "FOK"), (16, "post_only")))
        return asked.PlaceOrder(
            *self._stamp(), one.name, name, symbol, side, quantity, kind, price, force, reduces, closes, trigger,
            chance.pick(("mark", "mark", "last")), leg,
        )  # fmt: skip

    def _price(self, symbol: str, away: Decimal) -> Price:
        path = self.paths[symbol]
        return max(path.step, round_to(EXACT.multiply(path.price, 1 + away), path.step, rounding=ROUND_HALF_EVEN))

    def _whole(self, symbol: str, quantity: Decimal) -> Quantity:
        return round_to(quantity, self._contract(symbol).quantity_step or Decimal(1), rounding=ROUND_DOWN)

    def _quantity(self, one: Character, symbol: str) -> Quantity:
        contract = self._contract(symbol)
        share = self.chance.fraction(5, 100, places=2)
        step = contract.quantity_step or Decimal(1)
        value = contract.contract_value(self.paths[symbol].price)
        quantity = self._whole(symbol, one.value / value * one.stakes * share)
        return max(step, quantity)

    def _take_over(self, state: State) -> Command:
        """Ask for a position from elsewhere to be taken over: mostly one that fits, and at about the price."""
        chance, one = self.chance, self._someone()
        symbol = chance.pick(self.symbols)
        isolated = state.trader(one.name).margin_mode.get(symbol, MarginMode.CROSS) is MarginMode.ISOLATED
        return self._position_of(one, symbol, "isolated" if isolated != chance.happens(150) else "cross")

    def _place_blindly(self, one: Character) -> Command:
        """Ask for something that depends on margin, whether or not there is a price to reckon it at."""
        symbol = self.chance.pick(self.symbols)
        asset = self._contract(symbol).settle_asset
        return self.chance.pick((
            self._order(one, symbol, "buy", self._quantity(one, symbol), "market", None),
            asked.SetLeverage(*self._stamp(), one.name, symbol, one.leverage[symbol]),
            asked.Withdraw(*self._stamp(), one.name, asset, Decimal("0.01")),
            asked.AddIsolatedMargin(*self._stamp(), one.name, symbol, "long", Decimal("0.01")),
            asked.SetMarginMode(*self._stamp(), one.name, symbol, "isolated"),
        ))  # fmt: skip

    def _position_of(self, one: Character, symbol: str, mode: str | None = None) -> Command:
        chance = self.chance
        side = chance.pick(("long", "short"))
        mode = chance.pick(("isolated", "cross")) if mode is None else mode
        leverage = one.leverage[symbol] if not chance.happens(100) else Decimal(chance.between(1, 130))
        quantity = self._quantity(one, symbol) if not chance.happens(20) else Decimal(0)
        price = self._price(symbol, chance.fraction(-300, 300, places=4))
        return asked.AdoptPosition(*self._stamp(), one.name, symbol, side, quantity, price, leverage, mode)

    def _amend(self, state: State) -> Command:
        chance, one = self.chance, self._someone()
        orders = list(state.trader(one.name).orders.values())
        if not orders:
            return self._place(state)
        order = chance.pick(orders)
        price = self._price(order.symbol, chance.fraction(-250, 250, places=4)) if chance.happens(600) else None
        quantity = None
        if price is None or chance.happens(400):
            quantity = self._whole(order.symbol, order.quantity * chance.fraction(20, 200, places=2)) or order.quantity
        return asked.AmendOrder(*self._stamp(), one.name, order.id, price, quantity or None)

    def _cancel(self, state: State) -> Command:
        chance, one = self.chance, self._someone()
        orders = list(state.trader(one.name).orders)
        if not orders or chance.happens(30):
            return asked.CancelOrder(*self._stamp(), one.name, "nothing")
        if chance.happens(150):
            return asked.CancelAllOrders(*self._stamp(), one.name, chance.pick((None, *self.symbols)))
        return asked.CancelOrder(*self._stamp(), one.name, chance.pick(orders))

    def _share_of_wallet(self, state: State, one: Character, asset: str) -> Decimal:
        own = state.ledger.balance(f"wallet:{one.name}", asset)
        share = own * self.chance.fraction(5, 110, places=2)
        return round_to(max(share, Decimal("0.01")), Decimal("0.00000001"), rounding=ROUND_DOWN)

    def _fund(self, state: State) -> Command:
        chance, one = self.chance, self._someone()
        asset = chance.pick(self.assets) if not chance.happens(40) else "XYZ"
        if self.coins and self.of_baskets.happens(400):
            asset = self.of_baskets.pick(tuple(self.coins))
        what = chance.weighted(((45, "deposit"), (30, "withdraw"), (25, "transfer")))
        if what == "deposit":
            amount = self._units(asset, EXACT.multiply(one.value, chance.fraction(1, 150, places=2)))
            return asked.Deposit(*self._stamp(), one.name, asset, amount)
        amount = self._share_of_wallet(state, one, asset)
        if what == "withdraw":
            return asked.Withdraw(*self._stamp(), one.name, asset, amount)
        return asked.Transfer(*self._stamp(), one.name, self._someone().name, asset, amount)

    def _bonus(self, _: State) -> Command:
        chance, one = self.chance, self._someone()
        if chance.happens(300):
            return asked.ExpireBonus(*self._stamp(), one.name, chance.pick(self.assets))
        amount = EXACT.multiply(one.value, chance.fraction(1, 60, places=2))
        return asked.CreditBonus(*self._stamp(), one.name, chance.pick(self.assets), amount)

    def _perk(self, state: State) -> Command:
        """A fee level, a discount, or a voucher: those of the venue, now and then one that it does not have."""
        chance, one, fees = self.chance, self._someone(), state.rulebook.fees
        what = chance.weighted(((25, "level"), (25, "discount"), (45, "voucher"), (5, "end")))
        if what == "level":
            return asked.SetFeeLevel(*self._stamp(), one.name, chance.pick((*fees.names, *fees.names, "none")))
        if what == "discount":
            named = chance.pick((*fees.discounts, *fees.discounts, "none"))
            return asked.SetFeeDiscount(*self._stamp(), one.name, named, chance.pick(("on", "on", "off")))
        if what == "end":
            return asked.ExpireVoucher(*self._stamp(), one.name, f"v{chance.between(1, self.count)}")
        kind = chance.pick((*fees.vouchers, *fees.vouchers, *fees.vouchers, "none"))
        amount = EXACT.multiply(one.value, chance.fraction(1, 300, places=3))
        until = None if chance.happens(300) else self.at + chance.between(1_000_000, 400_000_000)
        return asked.CreditVoucher(
            *self._stamp(), one.name, f"v{self.count}", kind, chance.pick(self.assets), amount,
            chance.pick((Decimal(1), Decimal("0.5"), Decimal("0.25"))), until,
        )  # fmt: skip

    def _setting(self, state: State) -> Command:
        chance, one = self.chance, self._someone()
        symbol = chance.pick(self.symbols)
        if self.coins and self.of_baskets.happens(150):
            mode = self.of_baskets.pick(("multi_asset", "multi_asset", "single_asset", "portfolio"))
            return asked.SetCollateralMode(*self._stamp(), one.name, mode)
        what = chance.weighted(((50, "leverage"), (25, "margin_mode"), (5, "position_mode"), (20, "replenishment")))
        if what == "leverage":
            leverage = chance.pick((one.leverage[symbol], Decimal(chance.between(1, 130))))
            return asked.SetLeverage(*self._stamp(), one.name, symbol, leverage)
        if what == "margin_mode":
            return asked.SetMarginMode(*self._stamp(), one.name, symbol, chance.pick(("isolated", "cross")))
        if what == "position_mode":
            mode = chance.pick(("one_way", "hedge"))
            if not state.trader(one.name).held and not state.trader(one.name).orders:
                one.hedged = mode == "hedge"
            return asked.SetPositionMode(*self._stamp(), one.name, mode)
        amount = chance.pick((None, Decimal(10)))
        return asked.SetReplenishment(*self._stamp(), one.name, symbol, chance.pick(("on", "on", "off")), amount)

    def _margin(self, state: State) -> Command:
        chance, one = self.chance, self._someone()
        legs = list(state.trader(one.name).held.items())
        if not legs:
            return self._fund(state)
        (symbol, _), held = chance.pick(legs)
        side = "long" if held.quantity > 0 else "short"
        asset = self._contract(symbol).settle_asset
        if chance.happens(600):
            amount = self._share_of_wallet(state, one, asset)
            return asked.AddIsolatedMargin(*self._stamp(), one.name, symbol, side, amount)
        accounts = [f"isolated:{one.name}:{symbol}:{leg}" for leg in ("net", "long", "short")]
        own = sum((state.ledger.balance(account, asset) for account in accounts), Decimal(0))
        share = round_to(own * chance.fraction(1, 100, places=2), Decimal("0.00000001"), rounding=ROUND_DOWN)
        amount = max(Decimal("0.01"), share)
        return asked.RemoveIsolatedMargin(*self._stamp(), one.name, symbol, side, amount)

    def _funding(self, _: State) -> Command:
        if self.coins and self.of_baskets.happens(400):
            rate = self.of_baskets.pick((Decimal("0.00001"), Decimal("0.002"), Decimal("0.05")))
            asset = self.of_baskets.pick((*self.assets, *self.coins))
            return asked.ChargeInterest(*self._stamp(), asset, rate, "the simulator's own")
        rate = self.chance.pick((self.chance.fraction(-30, 30, places=5), self.chance.fraction(-20, 20, places=3)))
        return asked.SettleFunding(*self._stamp(), self.chance.pick(self.symbols), rate)

    def _adopt(self, _: State) -> Command:
        if not self.venue.other:
            return asked.Review(*self._stamp())
        name, as_of = self.chance.pick((*self.venue.other, (self.venue.rulebook, None)))
        return asked.AdoptRulebook(*self._stamp(), name, as_of)

    def _resume(self, _: State) -> Command:
        return asked.Resume(*self._stamp())

    def _review(self, _: State) -> Command:
        return asked.Review(*self._stamp())

    _KINDS: tuple[tuple[int, Callable[..., Command]], ...] = (
        (360, _prices), (330, _place), (40, _amend), (60, _cancel), (60, _fund), (20, _bonus), (15, _perk),
        (50, _setting), (40, _margin), (15, _funding), (4, _adopt), (10, _review), (2, _resume), (25, _take_over),
    )  # fmt: skip


__all__ = ["Character", "World", "WorldSetup"]
