"""Prices over time: tapes of bars, packaged crash windows, and the one seeded walk a replay is driven by.

    >>> from ringfence.tape import load_tape, walk
    >>> tape = load_tape("2025-10-10")  # or a path to a CSV or Parquet file
    >>> tape.price_kind, len(tape.symbols), len(tape)
    ('last', 6, 2880)
    >>> tick = next(iter(walk(tape, 7)))
    >>> tick.symbol, tick.price, tick.ts.isoformat()
    ('ALGOUSDT', Decimal('0.2105'), '2025-10-10T18:00:00+00:00')

A tape is read from
    the package     seven one-minute windows, mostly crashes: :func:`packaged_windows`
    a CSV file      columns ``ts, symbol, open, high, low, close``; ``price_kind`` as a column or as a
                    header line ``# price_kind: mark``; prices keep their exact decimals
    a Parquet file  the same columns, or ``price_kind`` in the schema's metadata; extra ``parquet``;
                    floats are taken at their shortest decimal text and the tape then says ``exact = False``
    an exchange     :func:`fetch_window`, extra ``live``; :func:`write_tape` keeps it as CSV

Three things are always said and never guessed silently: which price the tape holds (last prices may stand in
for mark prices, but then every result shows it), where it has gaps, and how its bars became ticks
(:class:`Walk`).

Where a symbol has no bar it has no price. The walk says so in the stream itself: a :class:`Tick` whose
``price`` is None means "from here on this symbol has no price", and the type checker makes whoever reads
ticks deal with it.

Modules: ``bars`` the values; ``rows`` checks rows on their way in; ``csv_file``, ``parquet_file`` the two
formats; ``packaged`` the windows; ``source`` finds what a name or path means; ``coins`` whose prices stand in
for whose; ``ticks`` the walk; ``fetch``
the download.
"""

from ringfence.tape.bars import Bar, Bounds, Gap, PriceKind, Provenance, Tape
from ringfence.tape.csv_file import write_tape
from ringfence.tape.fetch import FetchProgress, fetch_window
from ringfence.tape.packaged import SymbolSummary, Window, packaged_windows, summarise
from ringfence.tape.source import load_tape
from ringfence.tape.ticks import Tick, Walk, walk

__all__ = [
    "Bar",
    "Bounds",
    "FetchProgress",
    "Gap",
    "PriceKind",
    "Provenance",
    "SymbolSummary",
    "Tape",
    "Tick",
    "Walk",
    "Window",
    "fetch_window",
    "load_tape",
    "packaged_windows",
    "summarise",
    "walk",
    "write_tape",
]
