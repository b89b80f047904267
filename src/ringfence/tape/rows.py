"""Rows on their way into a tape: each is checked where it stands, so that errors name line and column."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from ringfence.errors import BadTape, nearest
from ringfence.tape.bars import (
    EPOCH,
    MICROSECOND,
    PRICE_KINDS,
    PriceKind,
    Provenance,
    Series,
    Tape,
    moment_of,
    utc_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PRICE_COLUMNS = ("open", "high", "low", "close")
REQUIRED_COLUMNS = ("ts", "symbol", *PRICE_COLUMNS)

# Whole numbers are seconds below 10^11 and milliseconds from there to 10^14: as seconds the border is the
# year 5138, as milliseconds 1973, so neither can be taken for the other.
_SECONDS_FROM, _MILLISECONDS_FROM, _MILLISECONDS_TO = 10**8, 10**11, 10**14

_PLAIN_NUMBER = re.compile(r"(\d{1,40})(?:\.(\d{0,40}))?")
_MOST_PLACES = 40
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_ONE_MINUTE = 60_000_000

# Names other programs give to our columns, for the hint only: nothing is renamed silently.
_OTHER_NAMES = {
    "ts": ("timestamp", "time", "date", "datetime", "open_time", "opentime", "t"),
    "symbol": ("pair", "instrument", "market", "ticker", "s"),
    "open": ("o", "open_price"),
    "high": ("h", "high_price", "max"),
    "low": ("l", "low_price", "min"),
    "close": ("c", "close_price", "price"),
}

_LEAVE_OUT = "correct the row, or leave it out: a missing bar is a gap, and nothing is decided in a gap"


def scaled_price(text: str) -> tuple[int, int]:
    """Return (integer, decimal places) of a positive decimal text, exactly; ValueError says what is wrong."""
    plain = _PLAIN_NUMBER.fullmatch(text)
    if plain is None:
        return _scaled_unusual_price(text)
    whole, fraction = plain[1], plain[2] or ""
    value = int(whole + fraction)
    if value == 0:
        raise ValueError("a price cannot be zero")
    return value, len(fraction)


def _scaled_unusual_price(text: str) -> tuple[int, int]:
    """Handle signs and exponents, and name what is not a price at all."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = None
    if number is None or "_" in text or not text.isascii():
        raise ValueError("a price is missing" if not text else "a price must be a number")
    if not number.is_finite():
        raise ValueError("a price must be finite")
    if number <= 0:
        raise ValueError("a price cannot be zero" if number == 0 else "a price cannot be negative")
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_MOST_PLACES or number.adjusted() > _MOST_PLACES:
        raise ValueError(f"a price cannot have more than {_MOST_PLACES} digits before or after the point")
    return scaled_price(format(number, "f"))


def micros_from_text(text: str) -> int:
    """Return microseconds since 1970 of ISO 8601 with zone, epoch seconds or milliseconds, or ValueError."""
    if text.isdecimal() and text.isascii():
        return micros_from_number(int(text))
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("the time has no zone")
    return (moment - EPOCH) // MICROSECOND


def micros_from_number(number: int) -> int:
    """Return microseconds since 1970 of epoch seconds or milliseconds; ValueError when it can be neither."""
    if _SECONDS_FROM <= number < _MILLISECONDS_FROM:
        return number * 1_000_000
    if _MILLISECONDS_FROM <= number < _MILLISECONDS_TO:
        return number * 1_000
    raise ValueError("the number is neither epoch seconds nor epoch milliseconds")


def check_columns(columns: Sequence[str], *, where: str) -> None:
    """Raise BadTape unless the columns a tape needs are there, each once."""
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise BadTape(
            f"column {twice[0]} is there twice",
            where=where,
            expected="each column once",
            found=", ".join(columns),
            hint="leave one of them out",
        )
    missing = [name for name in REQUIRED_COLUMNS if name not in columns]
    if not missing:
        return
    renames = [
        f"rename {other!r} to {name!r}" for name in missing for other in columns if other.lower() in _OTHER_NAMES[name]
    ]
    raise BadTape(
        f"column {missing[0]} is missing" if len(missing) == 1 else f"columns {', '.join(missing)} are missing",
        where=where,
        expected=f"columns {', '.join(REQUIRED_COLUMNS)} and optionally price_kind",
        found=", ".join(columns) or "no columns",
        hint="; ".join(renames) or "write the first line as: " + ",".join(REQUIRED_COLUMNS),
    )


def checked_price_kind(text: str, *, where: str) -> PriceKind:
    """Return the price kind of this name, or raise BadTape with the nearest one."""
    for kind in PRICE_KINDS:
        if text == kind:
            return kind
    raise BadTape(
        "the price kind is not known",
        where=where,
        expected=" or ".join(PRICE_KINDS),
        found=repr(text),
        hint=nearest(text.lower(), PRICE_KINDS) or "say which price the venue published these as",
    )


def step_from_text(text: str, *, where: str) -> int:
    """Return the microseconds of a resolution such as 1m, 15m, 1h or 1d, or raise BadTape."""
    match = re.fullmatch(r"([1-9]\d{0,5})([smhdw])", text)
    if match is None:
        raise BadTape(
            "the resolution cannot be read",
            where=where,
            expected="a number and one of s, m, h, d, w, such as 1m or 4h",
            found=repr(text),
            hint="say how long one bar lasts",
        )
    return int(match[1]) * _UNITS[match[2]] * 1_000_000


@dataclass
class _Columns:
    """One symbol's bars while they are being read; all prices in units of 10^-places, which may grow."""

    places: int = 0
    ts: list[int] = field(default_factory=list)
    prices: tuple[list[int], list[int], list[int], list[int]] = field(default_factory=lambda: ([], [], [], []))

    def widen(self, places: int) -> None:
        factor = 10 ** (places - self.places)
        for column in self.prices:
            column[:] = [price * factor for price in column]
        self.places = places

    def narrow(self) -> None:
        """Drop decimal places that are zero in every price, so that the finest place is one that prices use."""
        while self.places and not any(price % 10 for column in self.prices for price in column):
            for column in self.prices:
                column[:] = [price // 10 for price in column]
            self.places -= 1


@dataclass
class RowCollector:
    """Takes rows of one file in the file's order and makes a tape of them.

    ``file`` is how errors name the file, ``row_word`` what its rows are called there: line or row. Symbols
    may come in any order, but each symbol's own rows must ascend in time.
    """

    file: str
    row_word: str
    _symbols: dict[str, _Columns] = field(default_factory=dict)
    _kind: PriceKind | None = None

    def add(self, row: int, *, ts: int, symbol: str, prices: Sequence[str]) -> None:
        """Check and take one row; ``prices`` are the texts of open, high, low and close."""
        if not symbol:
            raise self._fault(
                "the symbol is missing",
                row,
                "symbol",
                expected="a symbol such as BTCUSDT",
                found="nothing",
                hint="name the symbol in every row",
            )
        columns = self._symbols.get(symbol)
        if columns is None:
            columns = self._symbols[symbol] = _Columns()
        self._check_order(row, symbol=symbol, ts=ts, columns=columns)
        values = self._scaled(row, prices, columns)
        open_, high, low, close = values
        if not (low <= open_ <= high and low <= close <= high):
            raise self._impossible_bar(row, prices, values)
        columns.ts.append(ts)
        for column, value in zip(columns.prices, values, strict=True):
            column.append(value)

    def add_kind(self, row: int, text: str) -> None:
        """Take one row's price kind; all rows of a tape must have the same."""
        if text == self._kind:
            return
        kind = checked_price_kind(text, where=self.place(row, "price_kind"))
        if self._kind is not None:
            raise self._fault(
                "a tape holds one kind of price",
                row,
                "price_kind",
                expected=self._kind,
                found=kind,
                hint="split the file by price_kind",
            )
        self._kind = kind

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols taken so far."""
        return tuple(self._symbols)

    def place(self, row: int, column: str) -> str:
        """Return how an error names this place."""
        return f"{self.file}: {self.row_word} {row}, column {column}"

    def tape(self, *, name: str, header: Mapping[str, str], exact: bool) -> Tape:
        """Return the tape of all rows taken, with what the file's header says about them."""
        if not self._symbols:
            raise BadTape(
                "there are no bars in it",
                where=self.file,
                expected="at least one row below the column names",
                found="none",
                hint="check that the file was written completely",
            )
        kind = self._kind_with(header)
        series, notes = self._series(header.get("resolution"))
        texts = {key: header.get(key) for key in ("venue", "market", "source", "retrieved")}
        return Tape(
            name=name,
            price_kind=kind or "last",
            price_kind_assumed=kind is None,
            exact=exact,
            provenance=Provenance(file=self.file, **texts),
            notes=notes,
            series=series,
        )

    def _scaled(self, row: int, prices: Sequence[str], columns: _Columns) -> list[int]:
        pairs = []
        for column, text in zip(PRICE_COLUMNS, prices, strict=True):
            try:
                pairs.append(scaled_price(text))
            except ValueError as reason:
                raise self._fault(
                    str(reason),
                    row,
                    column,
                    expected="a decimal number above zero, such as 101516.5",
                    found=repr(text) if text else "nothing",
                    hint=_LEAVE_OUT,
                ) from None
        most = max(places for _, places in pairs)
        if most > columns.places:
            columns.widen(most)
        return [value * 10 ** (columns.places - places) for value, places in pairs]

    def _check_order(self, row: int, *, symbol: str, ts: int, columns: _Columns) -> None:
        if not columns.ts or ts > columns.ts[-1]:
            return
        last = utc_text(moment_of(columns.ts[-1]))
        if ts == columns.ts[-1]:
            raise self._fault(
                f"the bar of {symbol} at this time is there twice",
                row,
                "ts",
                expected=f"a time after {last}",
                found=last,
                hint="keep one row for each symbol and time, and each resolution in a file of its own",
            )
        raise self._fault(
            f"the rows of {symbol} are not in time order",
            row,
            "ts",
            expected=f"a time after {last}",
            found=utc_text(moment_of(ts)),
            hint="sort the rows by ts",
        )

    def _impossible_bar(self, row: int, prices: Sequence[str], values: list[int]) -> BadTape:
        open_, high, low, _ = values
        if high < low:
            return self._fault(
                "high is below low",
                row,
                "high",
                expected=f"at least the low, {prices[2]}",
                found=prices[1],
                hint=_LEAVE_OUT,
            )
        column = "close" if low <= open_ <= high else "open"
        return self._fault(
            f"{column} is outside of low and high",
            row,
            column,
            expected=f"a price between {prices[2]} and {prices[1]}",
            found=prices[PRICE_COLUMNS.index(column)],
            hint=_LEAVE_OUT,
        )

    def _kind_with(self, header: Mapping[str, str]) -> PriceKind | None:
        if "price_kind" not in header:
            return self._kind
        stated = checked_price_kind(header["price_kind"], where=f"{self.file}: header, price_kind")
        if self._kind is not None and self._kind != stated:
            raise BadTape(
                "header and column price_kind contradict each other",
                where=self.file,
                expected=f"{stated} in every row, as the header says",
                found=self._kind,
                hint="correct the one that is wrong",
            )
        return stated

    def _series(self, resolution: str | None) -> tuple[dict[str, Series], tuple[str, ...]]:
        """Close the columns; a bar lasts as the header says, else the shortest time between two of them."""
        stated = step_from_text(resolution, where=f"{self.file}: header, resolution") if resolution else None
        shortest = {symbol: _shortest_step(columns.ts) for symbol, columns in self._symbols.items()}
        known = [step for step in shortest.values() if step is not None]
        series, notes = {}, []
        for symbol, columns in sorted(self._symbols.items()):
            columns.narrow()
            step, own = stated, shortest[symbol]
            if step is not None and own is not None and own < step:
                raise BadTape(
                    f"bars of {symbol} overlap",
                    where=self.file,
                    expected=f"{step // 1_000_000} s between them, as the header's resolution says",
                    found=f"{own / 1_000_000:g} s",
                    hint="correct the resolution, or leave that line out",
                )
            step = step or own
            if step is None:
                step = min(known, default=_ONE_MINUTE)
                notes.append(f"{symbol} has a single bar; its length of {step // 1_000_000} s is assumed")
            series[symbol] = Series(symbol, columns.places, step, columns.ts, *columns.prices)
        return series, tuple(notes)

    def _fault(self, message: str, row: int, column: str, *, expected: str, found: str, hint: str) -> BadTape:
        return BadTape(message, where=self.place(row, column), expected=expected, found=found, hint=hint)


def _shortest_step(ts: Iterable[int]) -> int | None:
    times = list(ts)
    return min((after - before for before, after in itertools.pairwise(times)), default=None)
