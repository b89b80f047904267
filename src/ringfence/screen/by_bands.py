"""Which traders a price update can concern, found by where their price bands end.

For every trader and every symbol it holds there is a band (:mod:`ringfence.screen.bands`): while all of its symbols
are strictly inside theirs, a look at any of its pools finds nothing, so it need not be looked at. Per symbol the lower
and the upper ends stand in two sorted lists; a price finds those it has reached by bisection, in O(log n + hits).

**A hit** is first assessed here, at the prices of the update. If nothing happens at them it gets new bands and is not
named: that is one assessment, and the engine has none to make. Only where something may happen is it a suspect. An
update can be believed in part: the new bands count only if they hold the prices before the update as well, so that
whatever the engine believes of it, the trader was proved healthy there.

At an update that reaches very many bands at once, in a crash, most of whom it reaches fall: then all of them are
suspects, and the engine's assessments serve for the new bands too.

**Nobody can be missed.** Bands are made from a trader's pools, levels called and liquidations going on, all of which
change by events alone. The screen reads the events of every command since it looked last (:attr:`State.outcomes`) and
places anew whoever they name; where they are not to be had, everybody. Who has no band (a liquidation waits, a price is
missing, a venue's rules are not linear) is a suspect at every price of every symbol it holds. Whether a price is too
old plays no part: on one that is, nothing is decided, and inside the bands nothing would be.

One screen belongs to one state. It reads the state and changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import fields
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

from ringfence.engine.events import EVENTS, PriceMoved, PricesChanged, RulebookAdopted, VenueSetUp
from ringfence.engine.impact import expected_mark
from ringfence.engine.state import FUND, HOUSE
from ringfence.errors import BadInput
from ringfence.margin.assess import assess
from ringfence.numbers import ONE, exact
from ringfence.screen.bands import NO_END, Band, PoolBands
from ringfence.screen.plain_bands import Edges as TierEdges
from ringfence.screen.plain_bands import PlainBands

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from decimal import Decimal

    from ringfence.account import Pool
    from ringfence.engine.commands import UpdatePrices
    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.engine.trader import Trader
    from ringfence.numbers import Price

NOBODY = frozenset({HOUSE, FUND})  #: whose positions are the venue's own
_PRICE = itemgetter(0)
_OWNERS = frozenset({"wallet", "isolated", "bonus", "voucher"})
MANY = 200
"""Hits at one update above which it is a crash: most of them fall, and the engine looks at all of them."""


class Edges:
    """The ends of the bands in one symbol, and who has no band in it."""

    __slots__ = ("_loose", "highs", "lows", "without")

    def __init__(self) -> None:
        self._loose = False
        self.lows: list[tuple[Price, str]] = []
        self.highs: list[tuple[Price, str]] = []
        self.without: dict[str, None] = {}

    def reaches(self, price: Price) -> bool:
        """Whether there is anybody whose band ``price`` is not strictly inside of; by the nearest ends alone."""
        lows, highs = self.lows, self.highs
        return bool(self.without or (lows and price <= lows[-1][0]) or (highs and price >= highs[0][0]))

    def reached(self, price: Price) -> Iterator[str]:
        """Yield whose band ``price`` is not strictly inside of."""
        yield from self.without
        lows, highs = self.lows, self.highs
        for index in range(bisect_left(lows, price, key=_PRICE), len(lows)):
            yield lows[index][1]
        for index in range(bisect_right(highs, price, key=_PRICE)):
            yield highs[index][1]

    def clear(self) -> None:
        """Forget everybody."""
        self.lows.clear()
        self.highs.clear()
        self.without.clear()

    def put(self, name: str, band: Band | None) -> None:
        """Enter a trader's band; None for a trader without one."""
        if band is None:
            self.without[name] = None
            return
        enter = list.append if self._loose else insort
        if band.low > 0:
            enter(self.lows, (band.low, name))
        if band.high < NO_END:
            enter(self.highs, (band.high, name))

    def take(self, name: str, band: Band | None) -> None:
        """Take out what :meth:`put` entered."""
        if band is None:
            del self.without[name]
            return
        if band.low > 0:
            del self.lows[bisect_left(self.lows, (band.low, name))]
        if band.high < NO_END:
            del self.highs[bisect_left(self.highs, (band.high, name))]

    def leave(self, names: Collection[str]) -> None:
        """Take out whatever was entered for ``names``. Who is put in from now on is in order once that is asked for."""
        self._loose = True
        self.lows = [one for one in self.lows if one[1] not in names]
        self.highs = [one for one in self.highs if one[1] not in names]
        self.without = {name: None for name in self.without if name not in names}

    def put_in_order(self) -> None:
        """Sort in whoever was put in since :meth:`leave`."""
        self._loose = False
        self.lows.sort()
        self.highs.sort()


class Placed:
    """Where a trader stands: its band per symbol it holds (None: suspect at every price), and its pools' bands."""

    __slots__ = ("bands", "edges", "finders", "pools")

    def __init__(self) -> None:
        self.edges = TierEdges()
        self.bands: dict[str, Band | None] = {}
        self.pools: tuple[Pool, ...] = ()
        self.finders: dict[str, PoolBands] = {}


class BandScreen:
    """Says who has to be looked at when prices change. Made for one state; use it for every price update of it.

    ``assessments``: how many exact assessments it has made; ``named``: how many suspects it has named. ``many``: at how
    many hits it no longer asks which of them are healthy.
    """

    def __init__(self, *, many: int = MANY) -> None:
        self._many = many
        self.assessments = 0
        self.named = 0
        self._edges: dict[str, Edges] = {}
        self._placed: dict[str, Placed] = {}
        self._seen: int | None = None
        self._hoped: list[str] = []
        self._plain = PlainBands()

    @exact
    def suspects(self, state: State, command: UpdatePrices, /) -> tuple[str, ...] | None:
        """Return the traders that ``command`` may concern, before it is handled; None for everybody."""
        self._catch_up(state)
        if len({symbol for symbol, _ in command.marks}) != len(command.marks):
            return None  # one symbol twice: which price is believed is the engine's affair
        # What is no positive number is never believed.
        moved = {
            symbol: price if not state.pressure else expected_mark(state, symbol, price, command.at)
            for symbol, price in command.marks
            if price.is_finite() and price > 0
        }
        hits = self._reached(state, moved, command)
        if hits is None:
            return None
        if not hits:
            return ()
        if len(hits) > self._many:
            found = tuple(hits)
        else:
            marks = {**state.marks, **moved}
            found = tuple(name for name in hits if not self._proved(state, name, marks, moved))
        self.named += len(found)
        return found

    def _reached(self, state: State, moved: Mapping[str, Price], command: UpdatePrices) -> dict[str, None] | None:
        """Return whose bands prices to come reach; None for everybody."""
        hits: dict[str, None] = {}
        for symbol, price in moved.items():
            edges = self._edges.get(symbol)
            if edges is not None and edges.reaches(price):
                hits.update(dict.fromkeys(edges.reached(price)))
        if command.last and state.rulebook.trigger_prices == "mark_and_last":
            for symbol, _ in command.last:  # a pool below the line at its marks has no band, and may fall by this price
                edges = self._edges.get(symbol)
                if edges is not None:
                    hits.update(edges.without)
        return hits

    @exact
    def looked_at(self, state: State, command: UpdatePrices, suspects: Iterable[str] | None, /) -> None:
        """Take note of the state after ``command``, which was handled with these ``suspects``."""
        if suspects is not None and self._seen == state.touched.since:
            # Whoever the command's events can have changed: whose pools were looked at, or what he holds is another.
            done = self._catch_up(state, dict.fromkeys((*suspects, *state.touched.names)))
        else:
            done = self._catch_up(state)
        # Everybody was looked at: a mark may stand outside of bands that nobody was taken out of.
        again = dict.fromkeys(self._placed if suspects is None else suspects)
        told = {symbol: state.told.get(("mark", symbol), state.marks.get(symbol)) for symbol, _ in command.marks}
        if any(told[symbol] != price for symbol, price in command.marks):
            again.update(dict.fromkeys(self._hoped))  # not believed: their bands are around a price that never was
        self._hoped.clear()
        for name in again:
            if name not in done:
                self._place(state, name, state.marks)

    # ── Who changed ──────────────────────────────────────────────────────────────────────────────────────────────

    def _catch_up(self, state: State, changed: dict[str, None] | None = None) -> dict[str, None]:
        """Place anew whoever changed since the last time, and return them. ``changed``: who that is, if it is known."""
        if self._seen == state.sequence:
            return {}
        names = changed
        if names is None and self._seen is not None:
            names = _changed_since(state, state.sequence - self._seen)
        self._seen = state.sequence
        if names is None:
            names = self._begin(state)
        at_once = len(names) > self._many
        if at_once:
            self._leave(names)
        for name in names:
            if name not in NOBODY:
                self._place(state, name, state.marks)
        if at_once:
            for edges in self._edges.values():
                edges.put_in_order()
        return names

    def _leave(self, names: dict[str, None]) -> None:
        """Take out all bands of very many traders at once: nobody is looked up, and who comes back is sorted in."""
        for edges in self._edges.values():
            edges.leave(names)
        for name in names:
            placed = self._placed.get(name)
            if placed is not None:
                placed.bands = {}

    def _begin(self, state: State) -> dict[str, None]:
        """Return who has to be placed where it cannot be told who changed: everybody."""
        return dict.fromkeys([*self._placed, *state.traders])

    # ── Bands ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _proved(self, state: State, name: str, marks: Mapping[str, Price], moved: Mapping[str, Price]) -> bool:
        """Place a trader at prices to come and say whether nothing happens to it, whichever of them are believed."""
        placed = self._place(state, name, marks)
        if placed is None:
            return True  # holds nothing
        for symbol, band in placed.bands.items():
            if band is None:
                return False
            before = state.marks.get(symbol)
            if symbol in moved and before is not None and not band.low < before < band.high:
                return False
        self._hoped.append(name)
        return True

    def _place(self, state: State, name: str, marks: Mapping[str, Price]) -> Placed | None:
        """Give a trader its bands around ``marks``; None when it holds nothing."""
        placed = self._placed.get(name)
        if placed is not None:
            for symbol, band in placed.bands.items():
                self._edges[symbol].take(name, band)
            placed.bands = {}
        trader = state.traders.get(name)
        if trader is None or not trader.held:
            self._placed.pop(name, None)
            return None
        if placed is None:
            placed = self._placed[name] = Placed()
        found = self._bands(state, trader, placed, marks)
        for symbol in dict.fromkeys(symbol for symbol, _ in trader.held):
            band = None if found is None else found[symbol]
            placed.bands[symbol] = band
            edges = self._edges.get(symbol)
            if edges is None:
                edges = self._edges[symbol] = Edges()
            edges.put(name, band)
        return placed

    def _bands(
        self, state: State, trader: Trader, placed: Placed, marks: Mapping[str, Price]
    ) -> dict[str, Band] | None:
        """Return a band per symbol inside which no pool of the trader does anything; None where there is none."""
        plain = self._plain.around(state, trader, marks, placed.edges, _watched)
        if plain is not None:
            self.assessments += 0 if marks is state.marks else len(plain)
            return _narrowest(plain.values())
        return self._assessed_bands(state, trader, placed, marks)

    def _assessed_bands(
        self, state: State, trader: Trader, placed: Placed, marks: Mapping[str, Price]
    ) -> dict[str, Band] | None:
        """Return the same for a trader who is not plain, pool by pool."""
        found: list[dict[str, Band]] = []
        pools = state.pools(trader.name)
        if pools is not placed.pools:
            placed.pools, placed.finders = pools, {}
        for pool in placed.pools:
            if not (pool.positions or pool.orders):
                continue
            watched = None if pool.risk is not None else _watched(state, trader, pool.name)
            if watched is None or not all(position.symbol in marks for position in pool.positions):
                return None
            try:
                if marks is state.marks:  # the engine has looked at whoever was a suspect, and keeps what it found
                    assessment = state.assessment(trader.name, pool.name)
                else:
                    self.assessments += 1
                    assessment = assess(pool, marks, state.rulebook)
            except BadInput:
                return None  # beyond the last tier: the engine will say so
            if assessment is None:
                return None
            if not pool.positions:  # orders alone: no price changes anything, unless something is due already
                if assessment.liquidatable or assessment.liquidation_requirement or pool.name in trader.levels:
                    return None
                continue
            finder = placed.finders.get(pool.name)
            if finder is None:
                finder = placed.finders[pool.name] = PoolBands()
            found.append(finder.around(assessment, above=watched[0], not_above=watched[1]))
        return _narrowest(found)


def _narrowest(pools: Iterable[Mapping[str, Band]]) -> dict[str, Band] | None:
    """Return the bands of several pools together; None where one of them has none."""
    found: dict[str, Band] = {}
    for bands in pools:
        if not bands:
            return None
        for symbol, band in bands.items():
            other = found.get(symbol)
            found[symbol] = band if other is None else Band(max(band.low, other.low), min(band.high, other.high))
    return found


def _watched(state: State, trader: Trader, pool: str) -> tuple[tuple[Decimal, ...], tuple[Decimal, ...]] | None:
    """Return the levels of health a pool must stay above, and at or below, for a look to find nothing; None: look.

    Above 1, where it is liquidated, and above the levels it has not been called at; at or below the level it was called
    at, times what re-arms it. A portfolio account is always looked at: its band would be a long search.
    """
    if pool in trader.liquidating:
        return None
    levels, clear = state.rulebook.levels, max(ONE, state.setup.rearm)
    was = trader.levels.get(pool, "none")
    if was == "margin_call":
        return (ONE,), (levels.margin_call * clear,)
    if was == "warning":
        return (ONE, levels.margin_call), (levels.warning * clear,)
    return (ONE, levels.margin_call, levels.warning), ()


def _changed_since(state: State, events: int) -> dict[str, None] | None:
    """Return whom the latest ``events`` events may have changed, by name; None where that cannot be told."""
    names: dict[str, None] = {}
    for outcome in reversed(state.outcomes.values()):
        if events <= 0:
            break
        events -= len(outcome)
        for event in outcome:
            kind = type(event)
            if kind in _OF_EVERYBODY:
                return None
            naming, posts = _NAMING[kind]
            for name in naming(event):
                names[name] = None
            if posts:
                for account, _, _ in event.postings:  # type: ignore[attr-defined]
                    owner, _, rest = account.partition(":")
                    if owner in _OWNERS:
                        names[rest.partition(":")[0]] = None
    names.pop(None, None)  # type: ignore[call-overload]  # of a trade without a maker
    return names if events == 0 else None


_OF_EVERYBODY = frozenset({RulebookAdopted, VenueSetUp})
_OF_NOBODY = frozenset({PricesChanged, PriceMoved})


def _naming(kind: type[Event]) -> tuple[Callable[[Event], tuple[str, ...]], bool]:
    """Return what reads whom an event of a kind names, as account, buyer, seller or maker, and whether it posts."""
    present = {field.name for field in fields(kind)}
    found = [field for field in ("account", "buyer", "seller", "maker") if field in present]
    if not found or kind in _OF_NOBODY:
        return (lambda _: ()), False
    if len(found) == 1:  # all have ``account`` then; a crash has a hundred thousand of them
        return (lambda event: (event.account,)), "postings" in present
    return attrgetter(*found), "postings" in present


_NAMING = {kind: _naming(kind) for kind in EVENTS}


__all__ = ["MANY", "NOBODY", "BandScreen", "Placed"]
