"""Prices to look at a fleet with: a file of marks, or a moment of a tape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account_file import read_price
from ringfence.errors import BadAccount, BadConfiguration, nearest
from ringfence.fleet.faults import Faults
from ringfence.fleet.sources import batches_of, columns_of, open_source
from ringfence.fleet.stand_ins import said, stand_ins
from ringfence.fleet.tables import shown
from ringfence.tape import load_tape, packaged_windows
from ringfence.tape.bars import micros_of, utc_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from ringfence.fleet.fleet import Fleet
    from ringfence.numbers import Price
    from ringfence.tape import Tape

PRICES = ("mark_price", "price", "mark")


class GivenMarks(NamedTuple):
    """Marks by symbol, where they come from, as a clause, and whether that is a tape, of whatever venue's names."""

    marks: Mapping[str, Price]
    source: str
    of_tape: bool = False

    def beside(self, fleet: Fleet) -> tuple[dict[str, Price], tuple[str, ...]]:
        """Return them by the fleet's symbols, and what stood in for what; those that no symbol takes stay as they are.

        Only a tape's stand in for symbols of another name: who writes a file of marks names what is meant.
        """
        if not self.of_tape:
            return dict(self.marks), ()
        terms = fleet.terms
        named = dict.fromkeys((*(terms.symbols or terms.marks), *terms.standing))
        taken = stand_ins(named, tuple(self.marks), terms.rulebook())
        found = {name: price for name, price in self.marks.items() if name not in taken.values()}
        held = {symbol: name for symbol, name in taken.items() if symbol in (terms.symbols or taken)}
        return {**found, **{symbol: self.marks[name] for symbol, name in taken.items()}}, said(held)


def load_marks(spec: str, at: datetime | None = None) -> GivenMarks:
    """Return the marks of a packaged window, a tape file, or a file of marks.

    A file of marks is CSV, Parquet or JSON lines with ``symbol`` and ``mark_price`` (or ``price``), or one JSON object
    of prices by symbol. A tape's are its last closes up to ``at``, its end if not given. Raises BadAccount or BadTape,
    and BadConfiguration where ``at`` is given without a tape.
    """
    if spec in {window.name for window in packaged_windows()}:
        return _of_tape(load_tape(spec), at)
    path = Path(spec)
    if path.suffix.lower() == ".json":
        _refuse_moment(spec, at)
        return GivenMarks(_of_object(path), str(path))
    windows = [window.name for window in packaged_windows()]
    if not path.exists():
        raise BadAccount(
            "there are no such marks", where=spec, found="neither",
            expected=f"a file, or one of the packaged tapes {', '.join(windows)}",
            hint=nearest(spec, windows) or "check the path",
        )  # fmt: skip
    source = open_source(path)
    names = columns_of(source)
    if "close" in names and "ts" in names:
        return _of_tape(load_tape(path), at)
    column = next((name for name in PRICES if name in names), None)
    if "symbol" not in names or column is None:
        raise BadAccount(
            "no file of marks", where=spec, expected="columns symbol and mark_price, or a tape", found=", ".join(names),
            hint=nearest("mark_price", names) or "name the column of prices mark_price",
        )  # fmt: skip
    _refuse_moment(spec, at)
    faults = Faults()
    found: dict[str, Price] = {}
    row = 0
    for batch in batches_of(source, faults):
        table = batch.select(["symbol", column]).to_pylist()
        for entry in table:
            row += 1
            where = f"{spec}: row {row}, column {column}"
            try:
                symbol, price = str(entry["symbol"]), read_price(_text(entry[column]), where)
            except BadAccount as error:
                faults.note(error)
                continue
            if found.setdefault(symbol, price) != price:
                faults.add(f"two marks for {symbol}", where=where, expected=shown(found[symbol]), found=shown(price))
    faults.raise_any()
    return GivenMarks(found, spec)


def _refuse_moment(spec: str, at: datetime | None) -> None:
    if at is not None:
        raise BadConfiguration("a moment of a file that has none", where="--at", expected="a tape",
                               found=f"{spec}, a file of marks", hint="leave --at out, or name a tape")  # fmt: skip


def _text(value: object) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _of_object(path: Path) -> Mapping[str, Price]:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"), parse_float=str, object_pairs_hook=_once(path))
    except (OSError, ValueError) as error:
        raise BadAccount("cannot be read as JSON", where=str(path), expected='an object such as {"BTCUSDT": "61000"}',
                         found=str(error)[:200], hint="mend the file") from None  # fmt: skip
    if not isinstance(data, dict):
        raise BadAccount("not an object", where=str(path), expected='an object such as {"BTCUSDT": "61000"}',
                         found=type(data).__name__)  # fmt: skip
    return {symbol: read_price(_text(price), f"{path}: {symbol}") for symbol, price in data.items()}


def _once(path: Path) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """Return what makes an object of its pairs and refuses a key that comes twice: the last would win silently."""

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise BadAccount(
                    f"{key} is there twice", where=f"{path}: {key}", expected="one price per symbol",
                    found=f"{found[key]} and {value}", hint="leave out the one that does not hold",
                )  # fmt: skip
            found[key] = value
        return found

    return made


def _of_tape(tape: Tape, at: datetime | None) -> GivenMarks:
    moment = at or tape.end
    if moment > tape.end:
        raise BadConfiguration(
            "the tape has ended", where="--at", expected=f"a moment up to {utc_text(tape.end)}", found=utc_text(moment),
            hint="give an earlier moment, or leave --at out",
        )  # fmt: skip
    until = micros_of(moment)
    found = {}
    for symbol, series in tape.series.items():
        ended = [index for index, ts in enumerate(series.ts) if ts + series.step <= until]
        if ended:
            found[symbol] = series.bar(ended[-1]).close
    if not found:
        raise BadConfiguration(
            "the tape has no price yet", where="--at", expected=f"a moment from {utc_text(tape.start)} on",
            found=utc_text(moment), hint="give a later moment",
        )  # fmt: skip
    stand_in = f"; {tape.stand_in}" if tape.stand_in else ""
    return GivenMarks(found, f"tape {tape.name} at {utc_text(moment)}{stand_in}", of_tape=True)


__all__ = ["GivenMarks", "load_marks"]
