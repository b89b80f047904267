"""A fleet drawn from a seed, to try everything on at once: plausible accounts on a packaged rulebook's real symbols.

The population is an assumption of ours: 3 to 5 positions an account; symbols by a Zipf law with exponent 0.9 over the
500 with the largest tables; notionals lognormal (median 2,000, σ 1.6); 30 % of positions isolated, at an effective
leverage of 2 to 40; the cross positions of an account at one of 0.5 to 15, or to 75 in a *stressed* fleet, all drawn
evenly on a logarithmic scale and lowered to what the tier allows; 65 % long. Marks are those of the crash of 10 October
2025 at its start for the symbols of that tape, and drawn for the others. Who would begin
beyond a call level has its margin raised by nobody: a few do.

Account i of a seed is the same in a fleet of any size.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.errors import BadConfiguration
from ringfence.fleet.build import Built, Writer
from ringfence.fleet.fleet import Fleet
from ringfence.fleet.numbers_in import amounts
from ringfence.fleet.schema import LISTS, Terms, amount_type, arrow_schema, empty_lists, entry_type, pyarrow
from ringfence.tape import load_tape

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.contract import Contract
    from ringfence.rulebook import Rulebook, TierTable

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

RULEBOOK, DAY, TAPE, ASSET = "binance-usdm", date(2025, 10, 10), "2025-10-10", "USDT"
SYMBOLS, ZIPF = 500, 0.9
MEDIAN, SIGMA = 2_000.0, 1.6
ISOLATED, LONG = 0.3, 0.65
LEVERAGE = {"base": (0.5, 15.0), "stressed": (0.5, 75.0)}  #: effective, of an account's cross positions
ISOLATED_LEVERAGE = (2.0, 40.0)
BLOCK = 4_096  #: accounts that are drawn together
_VERSION = 1  # part of every draw
_SCALE = 8  # decimal places of margins and balances


class _Market(NamedTuple):
    """The symbols drawn from, most popular first, as arrays: price, steps, places, popularity, tiers."""

    symbols: tuple[str, ...]
    marks: dict[str, Decimal]
    price: Floats
    price_places: Integers
    step_places: Integers
    popularity: Floats
    floors: Floats  # (symbol, tier), padded with infinity
    most_leverage: Floats  # (symbol, tier)
    cap: Floats


class _Drawn(NamedTuple):
    """Positions of a block: account and symbol by number, quantity, entry, isolated, leverage, and the account's."""

    parent: Integers
    symbol: Integers
    quantity: Floats
    entry: Floats
    isolated: NDArray[np.bool_]
    own: Floats
    shared: Floats


def write_example(
    accounts: int,
    seed: int,
    out: Path,
    *,
    kind: str = "base",
    progress: Callable[[int], None] | None = None,
) -> Built:
    """Write a fleet of ``accounts`` accounts; ``kind`` is ``base`` or ``stressed``. Raises BadConfiguration."""
    if accounts < 1 or kind not in LEVERAGE:
        raise BadConfiguration(
            "no example", where="--accounts, --book", expected=f"1 account or more; {' or '.join(LEVERAGE)}",
            found=f"{accounts}, {kind}",
        )  # fmt: skip
    terms = Terms(RULEBOOK, DAY)
    market = _market(terms.rulebook(), seed)
    said = "accounts, positions and most marks are made up, the rules and tables are not"
    terms = replace(terms, marks=market.marks, notes=(f"an example drawn from seed {seed} ({kind}): {said}",))
    with Writer(out, progress) as writer:
        for index in range(-(-accounts // BLOCK)):
            batch = _block(market, seed, index, kind)
            writer.write(batch.slice(0, min(BLOCK, accounts - index * BLOCK)))
        written, positions = writer.finish(terms)
    return Built(Fleet.open(out), written, positions, terms.notes)


def example_table(accounts: int, seed: int, *, kind: str = "base") -> Fleet:
    """Return such a fleet in memory."""
    pa = pyarrow()
    terms = Terms(RULEBOOK, DAY)
    market = _market(terms.rulebook(), seed)
    batches = [_block(market, seed, index, kind) for index in range(-(-accounts // BLOCK))]
    terms = replace(terms, marks=market.marks)
    table = pa.Table.from_batches(batches, schema=arrow_schema(terms)).slice(0, accounts)
    return Fleet(terms, "example", table=table.combine_chunks())


def _market(rulebook: Rulebook, seed: int) -> _Market:
    import numpy as np

    known: list[tuple[Contract, TierTable]] = []
    for symbol in rulebook.symbols():
        contract, table = rulebook.entry(symbol)
        perpetual = contract.settle_asset == ASSET and not contract.inverse and "_" not in symbol
        if perpetual and table is not None and table.tiers:
            known.append((contract, table))
    known.sort(key=lambda pair: (-(pair[1].tiers[-1].floor), pair[0].symbol))
    known = known[:SYMBOLS]
    tape = load_tape(TAPE)
    first = {symbol: next(iter(tape.bars(symbol))).open for symbol in tape.symbols}
    rng = np.random.default_rng([_VERSION, seed])
    digits, exponents = rng.integers(10_000, 99_999, len(known)), rng.integers(-7, -1, len(known))
    marks = {
        contract.symbol: first.get(contract.symbol, Decimal(int(five)).scaleb(int(exponent)))
        for (contract, _), five, exponent in zip(known, digits, exponents, strict=True)
    }
    price = np.array([float(marks[contract.symbol]) for contract, _ in known])
    # Lots worth between 1 and 10 USDT, as venues cut them about.
    lots = np.maximum(np.floor(np.log10(price)).astype(np.int64), 0)
    width = max(len(table.tiers) for _, table in known)
    floors, most = np.full((len(known), width), np.inf), np.ones((len(known), width))
    for row, (_, table) in enumerate(known):
        floors[row, : len(table.tiers)] = [float(tier.floor) for tier in table.tiers]
        most[row, : len(table.tiers)] = [float(tier.max_leverage or 1) for tier in table.tiers]
    popularity = np.arange(1, len(known) + 1, dtype=float) ** -ZIPF
    return _Market(
        tuple(contract.symbol for contract, _ in known),
        marks,
        price,
        np.array([_places(marks[contract.symbol]) for contract, _ in known]),
        lots,
        np.cumsum(popularity / popularity.sum()),
        floors,
        most,
        np.array([float(table.tiers[-1].cap or table.tiers[-1].floor * 2) for _, table in known]),
    )


def _places(price: Decimal) -> int:
    exponent = price.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _block(market: _Market, seed: int, index: int, kind: str) -> Any:
    """Return block ``index`` of the fleet: always :data:`BLOCK` accounts, each of its own draws."""
    import numpy as np

    pa = pyarrow()
    rng = np.random.default_rng([_VERSION, seed, index, 1 if kind == "stressed" else 0])
    counts = rng.integers(3, 6, BLOCK)
    # Five draws for every account, so that one account's number of positions moves no other's.
    drawn = np.searchsorted(market.popularity, rng.random((BLOCK, 5))).clip(max=len(market.symbols) - 1)
    order = np.argsort(drawn, axis=1, kind="stable")
    ranked = np.take_along_axis(drawn, order, axis=1)
    again = np.zeros_like(drawn, bool)
    np.put_along_axis(again, order[:, 1:], ranked[:, 1:] == ranked[:, :-1], axis=1)  # a symbol once an account
    held = (np.arange(5) < counts[:, None]) & ~again
    parent = np.repeat(np.arange(BLOCK), 5).reshape(BLOCK, 5)[held]
    symbol = drawn[held]
    notional = (MEDIAN * np.exp(SIGMA * rng.standard_normal((BLOCK, 5))))[held]
    sign = np.where(rng.random((BLOCK, 5)) < LONG, 1.0, -1.0)[held]
    isolated = (rng.random((BLOCK, 5)) < ISOLATED)[held]
    shift = (1 + 0.02 * rng.standard_normal((BLOCK, 5)).clip(-4, 4))[held]
    own = _log_uniform(rng.random((BLOCK, 5)), ISOLATED_LEVERAGE)[held]
    shared = _log_uniform(rng.random(BLOCK), LEVERAGE[kind])
    scale = 10.0 ** market.price_places[symbol]
    entry = np.maximum(np.rint(market.price[symbol] * shift * scale), 1) / scale
    steps = 10.0 ** market.step_places[symbol]
    notional = np.minimum(notional, market.cap[symbol] * 0.4)
    size = np.maximum(np.rint(notional / market.price[symbol] * steps), 1) / steps
    drawn_now = _Drawn(parent, symbol, sign * size, entry, isolated, own, shared)
    return pa.record_batch(_columns(market, index, drawn_now), schema=arrow_schema())


def _log_uniform(uniform: Floats, between: tuple[float, float]) -> Floats:
    import numpy as np

    low, high = np.log(between)
    found: Floats = np.exp(low + (high - low) * uniform)
    return found


def _columns(market: _Market, index: int, drawn: _Drawn) -> list[Any]:
    """Return the columns of a block: margins so that the effective leverage at the marks is the one drawn."""
    import numpy as np

    pa = pyarrow()
    parent, symbol, quantity, entry, isolated, own, shared = drawn
    mark, size = market.price[symbol], np.abs(quantity)
    pnl = quantity * (mark - entry)
    largest = np.maximum(size * entry, size * mark)
    tier = (market.floors[symbol] <= largest[:, None] * 1.01).sum(axis=1) - 1
    allowed = market.most_leverage[symbol, tier]
    own = np.minimum(own, allowed)
    margin = np.round(np.maximum(size * mark / own - pnl, size * mark * 0.001), _SCALE)
    leverage = np.where(isolated, np.maximum(np.ceil(own), 1), np.minimum(allowed, 20.0))
    leverage = np.minimum(leverage, allowed)
    cross = ~isolated
    notional = np.bincount(parent[cross], weights=(size * mark)[cross], minlength=BLOCK)
    gained = np.bincount(parent[cross], weights=pnl[cross], minlength=BLOCK)
    wallet = np.round(np.maximum(notional / shared - gained, 0) + (notional == 0) * 100.0, _SCALE)
    first = index * BLOCK
    counts = np.bincount(parent, minlength=BLOCK)
    names = pa.array([f"A{number:08d}" for number in range(first + 1, first + BLOCK + 1)])
    assets = pa.DictionaryArray.from_arrays(np.zeros(BLOCK, np.int32), [ASSET]).dictionary_decode()
    symbols = pa.DictionaryArray.from_arrays(symbol.astype(np.int32), list(market.symbols)).dictionary_decode()
    empty = pa.nulls(BLOCK)
    return [
        names,
        empty.cast(pa.string()),
        empty.cast(pa.string()),
        empty.cast(pa.bool_()),
        _list("wallet", np.ones(BLOCK, np.int64), [assets, _exact(wallet), empty.cast(amount_type())]),
        empty_lists("collateral", BLOCK),
        empty_lists("tiers", BLOCK),
        _list(
            "positions",
            counts,
            [symbols, _exact(quantity), _exact(entry), _exact(margin, where=isolated), _exact(leverage)],
        ),
        empty_lists("orders", BLOCK),
    ]


def _exact(values: Floats, where: Any = None) -> Any:
    """Return floats that are decimals of few places as those decimals."""
    return amounts(pyarrow().array(values, mask=None if where is None else ~where)).values


def _list(name: str, counts: Integers, columns: list[Any]) -> Any:
    import numpy as np

    pa = pyarrow()
    offsets = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    entry = entry_type(name)
    assert len(columns) == len(LISTS[name])  # noqa: S101 - a column per field
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.StructArray.from_arrays(columns, fields=list(entry)), type=pa.list_(entry)
    )


__all__ = ["LEVERAGE", "example_table", "write_example"]
