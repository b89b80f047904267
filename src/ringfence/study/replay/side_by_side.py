"""One account through real prices under every margin architecture its venue offers, on the engine, measured alike.

Each way of holding it is an engine of its own, with the same capital, prices and moments, and the venue's own
liquidation sequence. A basket has no single asset, so everything is measured in the account's currency: what cash and
PnL are worth at the index, no haircut taken (dollars at 1 unless the file says otherwise). Health is the venue's.

**An index moves with its coin's mark** (decision 19): the index of a coin that is held or traded on is the price of the
first contract on it, a perpetual before what expires, times what the file's index was to the file's mark of it.

A way that the venue does not offer, or that this account cannot be held in, is there with the reason.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from ringfence import ledger as books
from ringfence.account import DOLLARS, STABLE, CollateralMode
from ringfence.account_file import check_leverage, check_sizes, check_symbols
from ringfence.contract import coin
from ringfence.engine import events as happened
from ringfence.engine.commands import UpdatePrices
from ringfence.engine.setup import Setup
from ringfence.errors import BadAccount, BadInput, BadTape
from ringfence.numbers import ONE, PRICE_PLACES, ZERO, divide, exact, plain
from ringfence.screen import BandScreen
from ringfence.study.architecture import all_cross, held_as, refuse_without_stakes
from ringfence.study.replay.engine_run import Run, journal_name, refuse_journals
from ringfence.study.replay.engine_tape import guard_of, moments
from ringfence.study.replay.on_engine import FUND, TRADER, Forced, played
from ringfence.study.replay.replay import DEFAULT_TICKS_PER_BAR, Progress, assumed, refuse_missing_symbols
from ringfence.study.replay.ways import Happening, Moment, SideBySide, Way, chosen
from ringfence.study.wording import amount, listed
from ringfence.tape import walk
from ringfence.tape.bars import MICROSECOND, micros_of, moment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date
    from decimal import Decimal
    from pathlib import Path
    from typing import TypeAlias

    from ringfence.account import Account
    from ringfence.account_file import AccountFile
    from ringfence.numbers import Price, Value
    from ringfence.rulebook import Rulebook
    from ringfence.tape import Tape, Walk

    _Prices: TypeAlias = tuple[tuple[str, Price], ...]

_SAMPLE_STEP = timedelta(minutes=1)
_INDEX_PLACES = 12
_LEVELS = frozenset({"warning", "margin_call"})


class Index(NamedTuple):
    """Where the index of a coin comes from: the price of ``symbol`` times ``factor``."""

    asset: str
    symbol: str
    factor: Decimal


@exact
def side_by_side(
    file: AccountFile,
    tape: Tape,
    names: Sequence[str],
    *,
    seed: int = 1,
    as_of: date | None = None,
    ticks_per_bar: int = DEFAULT_TICKS_PER_BAR,
    progress: Callable[[Progress], None] | None = None,
    journal: Path | None = None,
) -> SideBySide:
    """Return what happens to the account of ``file`` on ``tape`` under each architecture of ``names``.

    Arguments as of :func:`ringfence.study.replay.on_engine.replay_on_engine`; ``journal``: a file per way.

    Raises BadTape when the tape lacks a symbol or says nothing of what an asset is worth, BadAccount for an account
    without positions, with an unknown balance, with an option, or with a contract that expires on the tape,
    BadConfiguration for a name that is none.
    """
    rulebook = file.rulebook(as_of or file.as_of or tape.start.date())
    wanted = chosen(names, rulebook)
    check_symbols(file, rulebook)
    check_sizes(file, rulebook)
    symbols = tuple(dict.fromkeys(position.symbol for position in file.account.positions))
    _refuse(file, tape, rulebook, symbols)
    refuse_missing_symbols(tape, symbols)
    indices = _indices(file, tape, rulebook, symbols)
    driven = walk(
        tape.select(symbols=tuple(dict.fromkeys((*symbols, *(index.symbol for index in indices))))), seed,
        intermediate=max(0, ticks_per_bar - 4),
    )  # fmt: skip
    with ExitStack() as stack:
        run = _Through(file, rulebook, driven, indices, stack)
        if journal is not None:
            refuse_journals(journal_name(journal, name) for name in wanted)
        sides, unavailable = [], {}
        for name in wanted:
            side = run.begin(name, journal)
            if isinstance(side, _Side):
                sides.append(side)
            else:
                unavailable[name] = side
        ticks = run.play(sides, progress)
    ways = {side.name: side.way() for side in sides} | {name: Way(name, reason) for name, reason in unavailable.items()}
    return SideBySide(
        file, tape, rulebook, seed, driven, ticks, tuple(ways[name] for name in wanted),
        assumed(file, tape, rulebook, driven, symbols, (*played(rulebook), *_said(indices))),
    )  # fmt: skip


_SAID = (
    "Every way starts with the same capital and is measured alike: cash and PnL at the index, without haircut.",
    """
    No trading fees, no funding, no interest on what is borrowed; nobody adds margin, reduces or closes of their own
    accord. A price is too old one bar after it came.
    """,
    "Portfolio margin: the venue's steps for it where they are others; sizes and the order of positions are ours.",
)


def _said(indices: Sequence[Index]) -> tuple[str, ...]:
    told = tuple(" ".join(text.split()) for text in _SAID)
    if not indices:
        return told
    moved = listed([f"{index.asset} with {index.symbol}" for index in indices])
    return (*told, f"An index moves with its coin's mark, from what the file says of both (ours): {moved}.")


def _refuse(file: AccountFile, tape: Tape, rulebook: Rulebook, symbols: Sequence[str]) -> None:
    """Refuse what no way can be replayed with."""
    where = f"{file.where}: account"
    refuse_without_stakes(file)
    contracts = [rulebook.contract(symbol) for symbol in symbols]
    options = [contract.symbol for contract in contracts if contract.option]
    if options:
        raise BadAccount(
            f"options are not replayed: {', '.join(options)}", where=f"{where}.positions",
            expected="futures and perpetuals: no tape holds implied volatility", found="options",
            hint="`ringfence stress` and `ringfence distance` answer for options",
        )  # fmt: skip
    for contract in contracts:
        if contract.expiry is not None and contract.expiry <= tape.end:
            raise BadAccount(
                f"{contract.symbol} expires while the tape runs", where=f"{where}.positions",
                expected=f"an expiry after {tape.end:%Y-%m-%d %H:%M} UTC", found=contract.expiry.isoformat(),
                hint="leave it out: nothing settles a contract in a replay",
            )  # fmt: skip


def _indices(file: AccountFile, tape: Tape, rulebook: Rulebook, symbols: Sequence[str]) -> tuple[Index, ...]:
    """Return where the index of every coin comes from that is held, or that the file gives an index of."""
    account = file.account
    given: dict[str, Price] = {**(account.risk.index if account.risk is not None else {}), **account.index_prices}
    given |= {asset: terms.index for asset, terms in account.collateral.items()}
    settled = {rulebook.contract(symbol).settle_asset for symbol in symbols}
    wanted = dict.fromkeys((*account.wallet, *sorted(settled), *given))
    found = []
    for asset in wanted:
        if asset in STABLE or asset in DOLLARS:
            continue
        symbol = _leading(asset, symbols, tape, rulebook)
        if symbol is None:
            raise BadTape(
                f"nothing on the tape says what {asset} is worth", where=tape.name,
                expected=f"prices of a contract on {coin(asset)}", found=", ".join(tape.symbols),
                hint=f"bring a tape that has one, or leave {asset} out of the account",
            )  # fmt: skip
        index, mark = given.get(asset), file.marks.get(symbol)
        factor = ONE if index is None or mark is None else divide(index, mark, places=PRICE_PLACES)
        found.append(Index(asset, symbol, factor))
    return tuple(found)


def _leading(asset: str, symbols: Sequence[str], tape: Tape, rulebook: Rulebook) -> str | None:
    """Return the first contract on an asset's coin: one that is held, a perpetual first; else one of the tape's."""
    held = sorted(symbols, key=lambda symbol: rulebook.contract(symbol).expiry is not None)
    units = {symbol: rulebook.contract(symbol).risk_unit for symbol in held}
    own = next((symbol for symbol in held if units[symbol] == coin(asset)), None)
    return own or next((symbol for symbol in tape.symbols if coin(symbol) == coin(asset)), None)


class _Side:
    """One way: an engine that holds the account, and what was seen of it."""

    def __init__(self, name: str, run: Run, account: Account, through: _Through) -> None:
        self.name, self.run, self.state, self.through = name, run, run.state, through
        self.screen = BandScreen()
        self.moments: list[Moment] = []
        self.happenings: list[Happening] = []
        self.closed: dict[str, None] = {}
        self.reduced: dict[str, None] = {}
        self._called: dict[str, str] = {}
        self._assumptions: tuple[str, ...] = ()
        self._open(account)

    def _open(self, account: Account) -> None:
        basket = account.collateral_mode is not CollateralMode.SINGLE_ASSET
        index = tuple(self.through.index.items())
        if basket and index:
            self.run.do(UpdatePrices("first index", self.through.span[0], (), (), index))
        for asset, capital in self.through.capital.items():
            self.run.money(TRADER, asset, capital)
        self.run.position_mode(TRADER, account.position_mode)
        self.run.collateral_mode(TRADER, account.collateral_mode)
        for position in account.positions:
            self.run.position(
                TRADER, position.symbol, position.quantity, position.entry_price, leverage=position.leverage or ONE,
                mode=position.margin_mode.value,
            )  # fmt: skip

    def update(self, number: int, at: int, prices: _Prices, index: _Prices) -> None:
        """Take new prices in, and note what they lead to."""
        own = tuple((symbol, price) for symbol, price in prices if symbol in self.through.held)
        basket = self.state.trader(TRADER).basket
        if not own and not (basket and index):
            return
        command = UpdatePrices(f"tick {number}", at, own, (), index if basket else ())
        suspects = () if basket else self.screen.suspects(self.state, command)
        events = self.run.do(command, suspects)
        if not basket:
            self.screen.looked_at(self.state, command, suspects)
        if len(events) > 1:
            self.happenings += self._told(events, at)

    def _told(self, events: tuple[happened.Event, ...], at: int) -> Iterator[Happening]:
        """Yield what an update's events say: calls, exchanges, and each liquidation from its start to its end."""
        forced: Forced | None = None
        began: happened.LiquidationStarted | None = None
        for event in events:
            if isinstance(event, happened.MarginCalled):
                was, self._called[event.pool] = self._called.get(event.pool), event.level
                if event.level in _LEVELS and was != "margin_call":  # from there it can only have risen
                    yield Happening(moment_of(at), self.name, event.level, event.pool, event.health,
                                    event.margin_balance, event.liquidation_requirement, self.worth())  # fmt: skip
            elif isinstance(event, happened.CollateralExchanged) and forced is None:
                yield self._exchanged(event, at)
            elif isinstance(event, happened.LiquidationStarted):
                forced, began = Forced(event.pool), event
            if forced is not None:
                forced.read(event)
                if isinstance(event, happened.LiquidationEnded):
                    yield self._liquidated(forced, began, at)
                    forced = began = None

    def _exchanged(self, event: happened.CollateralExchanged, at: int) -> Happening:
        sold = listed([f"{plain(round(given, 8).normalize())} {asset}" for asset, given in event.sold])
        said = f"{amount(event.debt, event.asset)} owed, paid with {sold}"
        return Happening(moment_of(at), self.name, "exchange", "account", None, ZERO, ZERO, self.worth(), said=said)

    def _liquidated(self, forced: Forced, began: happened.LiquidationStarted | None, at: int) -> Happening:
        trades = tuple(forced.trades(self.state.rulebook))
        for trade in trades:
            position = f"{trade.symbol} {trade.side}"
            if trade.whole:
                self.closed[position] = None
                self.reduced.pop(position, None)
            else:
                self.reduced[position] = None
        balance, required = (ZERO, ZERO) if began is None else (began.margin_balance, began.liquidation_requirement)
        health = divide(balance, required, places=PRICE_PLACES) if required else None
        kind = "liquidation" if any(trade.whole for trade in trades) else "reduction"
        fund = sum((given * self.through.price(asset) for asset, given in forced.to_fund.items()), ZERO)
        return Happening(
            moment_of(at), self.name, kind, forced.pool, health, balance, required, self.worth(), fund, trades
        )

    def worth(self) -> Value:
        """Return what everything is worth at the marks and the index: cash, margins and PnL."""
        total = ZERO
        for asset, balance in self.state.ledger.assets_of(books.wallet(TRADER)).items():
            total += balance * self.through.price(asset)
        for (symbol, leg), held in self.state.trader(TRADER).held.items():
            contract, mark = self.state.rulebook.contract(symbol), self.through.marks[symbol]
            own = self.state.ledger.balance(books.isolated(TRADER, symbol, leg), contract.settle_asset)
            gained = held.quantity * contract.unit_value(mark) - held.entry_value
            total += (own + gained) * self.through.price(contract.settle_asset)
        return total

    def sample(self, at: int) -> None:
        """Note what the way is worth, and the lowest health of its pools."""
        healths = []
        for pool in self.state.pools(TRADER):
            found = self.state.assessment(TRADER, pool.name) if pool.positions else None
            if found is not None:
                healths.append(found.health)
                if found.portfolio is not None:
                    self._assumptions = found.portfolio.assumptions
        known = [health for health in healths if health is not None]
        self.moments.append(Moment(moment_of(at), self.worth(), min(known, default=None)))

    def way(self) -> Way:
        """Return how it went."""
        kept = tuple(
            f"{symbol} {'long' if held.quantity > 0 else 'short'}"
            for (symbol, _), held in self.state.trader(TRADER).held.items()
        )
        return Way(
            self.name, None, tuple(self.moments), tuple(self.happenings), tuple(self.closed), tuple(self.reduced), kept,
            self._assumptions,
        )  # fmt: skip


class _Through:
    """What all ways go through: prices, indices and moments; and how each of them begins."""

    def __init__(
        self, file: AccountFile, rulebook: Rulebook, driven: Walk, indices: Sequence[Index], stack: ExitStack
    ) -> None:
        self.file, self.rulebook, self.driven, self.stack = file, rulebook, driven, stack
        self.account = _unpooled(file.account, rulebook)
        self.held = frozenset(position.symbol for position in file.account.positions)
        self.capital = {asset: balance or ZERO for asset, balance in self.account.wallet.items()}
        for position in self.account.positions:
            self.capital.setdefault(rulebook.contract(position.symbol).settle_asset, ZERO)
        self.span = (micros_of(driven.tape.start), micros_of(driven.tape.end))
        self.marks: dict[str, Price] = {symbol: _first(driven.tape, symbol) for symbol in driven.tape.symbols}
        self.marks |= {symbol: mark for symbol, mark in file.marks.items() if symbol in self.held}
        self.by_symbol: dict[str, list[Index]] = {}
        for index in indices:
            self.by_symbol.setdefault(index.symbol, []).append(index)
        self.index: dict[str, Price] = {
            asset: price for asset, price in file.account.index_prices.items() if asset in STABLE or asset in DOLLARS
        }
        first = tuple((symbol, _first(driven.tape, symbol)) for symbol in self.by_symbol)
        self.index |= dict(self._moved(first))

    def price(self, asset: str) -> Price:
        """Return what an asset is worth now, in the account's currency."""
        return self.index.get(asset, ONE)

    def _moved(self, prices: tuple[tuple[str, Price], ...]) -> Iterator[tuple[str, Price]]:
        """Yield the indices that move with ``prices``."""
        for symbol, price in prices:
            for index in self.by_symbol.get(symbol, ()):
                yield index.asset, round(price * index.factor, _INDEX_PLACES)

    def begin(self, name: str, journal: Path | None) -> _Side | str:
        """Return the account held one way, or why it cannot be."""
        offer = next(offer for offer in self.rulebook.architectures() if offer.name == name)
        if not offer.offered:
            return f"{self.rulebook.name}: {offer.reason}"
        path = None if journal is None else journal_name(journal, name)
        try:
            account = self._held(name)
            run = Run(self._setup(), at=self.span[0], journal=None if path is None else str(path))
        except BadInput as error:
            return error.message
        try:
            side = _Side(name, run, account, self)
        except BadInput as error:
            run.drop()
            if path is not None:
                path.unlink(missing_ok=True)
            return error.message
        self.stack.enter_context(run)
        return side

    def _held(self, name: str) -> Account:
        if name != "portfolio" or not self._by_scenarios():
            for position in self.account.positions:
                table = self.rulebook.tiers(position.symbol)
                if table is None or not table.tiers:
                    raise BadAccount(
                        f"no risk tiers are known for {position.symbol}", where=self.file.where,
                        expected="tiers, without which nobody can say when it is liquidated",
                        hint=f"give contracts.{position.symbol}.tiers in the file",
                    )  # fmt: skip
            check_leverage(self.file, self.rulebook)
        if name in {"multi_asset", "portfolio"}:
            self._same_terms()
        return held_as(self.account, name, self.rulebook)

    def _by_scenarios(self) -> bool:
        return self.rulebook.portfolio is not None and self.rulebook.portfolio.model != "unified_ratio"

    def _same_terms(self) -> None:
        """Refuse collateral terms of the file's own: the engine counts assets by the venue's list."""
        for asset, terms in self.file.account.collateral.items():
            listed_as = self.rulebook.collateral(asset)
            if listed_as is None or (terms.ratio, terms.slices) != (listed_as.ratio, listed_as.slices):
                raise BadAccount(
                    f"the file has terms of its own for {asset}, and the venue's engine counts it by the venue's list",
                    where=self.file.where, expected="an index price alone", found="a ratio or tiers",
                    hint=f"give account.index.{asset} instead of collateral terms",
                )  # fmt: skip

    def _setup(self) -> Setup:
        guard = guard_of(self.driven.tape)
        jumps = {index.asset: guard.jump_of(symbol) for symbol, many in self.by_symbol.items() for index in many}
        funds = dict.fromkeys(self.capital, FUND)
        if self.rulebook.insurance_fund != "venue":
            for symbol in self.held:
                funds[f"{symbol}:{self.rulebook.contract(symbol).settle_asset}"] = FUND
        known = {asset: jump for asset, jump in jumps.items() if jump is not None}
        guard = replace(guard, by_symbol={**guard.by_symbol, **known})
        return Setup(rulebook_name=self.rulebook.name, given=self.rulebook, guard=guard, start_fund=funds)

    def play(self, sides: Sequence[_Side], progress: Callable[[Progress], None] | None) -> int:
        """Go through all prices, sample at every step and once more at the end; return how many prices there were."""
        start, end = self.span
        step = max(_SAMPLE_STEP, min(self.driven.tape.resolutions.values())) // MICROSECOND
        due, ticks = start, 0
        for number, (at, prices) in enumerate(moments(self.driven)):
            while at > due:
                self._sample(sides, due, progress)
                due += step
            ticks += len(prices)
            self.marks.update(prices)
            index = tuple(self._moved(tuple(prices)))
            self.index.update(index)
            for side in sides:
                side.update(number, at, tuple(prices), index)
        while due < end:
            self._sample(sides, due, progress)
            due += step
        self._sample(sides, end, progress)
        return ticks

    def _sample(self, sides: Sequence[_Side], at: int, progress: Callable[[Progress], None] | None) -> None:
        for side in sides:
            side.sample(at)
        if progress is not None:
            start, end = self.span
            events = sum(len(side.happenings) for side in sides)
            progress(Progress(moment_of(at), (at - start) / (end - start), events))


def _first(tape: Tape, symbol: str) -> Price:
    """Return the price at which a symbol's first bar opens."""
    return next(tape.bars(symbol)).open


def _unpooled(account: Account, rulebook: Rulebook) -> Account:
    """Return the account with all its capital in the wallet and without orders: what every way starts from."""
    return replace(all_cross(account, rulebook), orders=(), collateral={}, collateral_mode=CollateralMode.SINGLE_ASSET)


__all__ = ["Index", "side_by_side"]
