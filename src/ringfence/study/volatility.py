"""Volatilities, correlations and betas of a book's symbols, estimated from a tape.

Returns are relative changes from close to close, over bars that every symbol has and that follow one another; the
covariance is about their own mean and counted per minute. Estimates of chance are floats: they carry a few digits. A
tape with too few returns is refused, with how many there are and how many it takes.
"""

from __future__ import annotations

from decimal import Decimal
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from ringfence.errors import BadTape
from ringfence.study.stand_in import stand_in
from ringfence.tape.packaged import packaged_windows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringfence.tape.bars import Tape

_FEWEST = 60
_PER_SYMBOL = 10
_MINUTE = 60_000_000  # microseconds


class Estimate(NamedTuple):
    """What a tape says of how its symbols move. ``covariance``: of returns, per minute, by the order of ``symbols``.

    ``returns``: how many were used; the relative standard error of a volatility is about ``1 ÷ √(2 · returns)``.
    ``stand_ins``: the tape's symbol, for each that it has under another name only.
    """

    symbols: tuple[str, ...]
    covariance: tuple[tuple[float, ...], ...]
    returns: int
    minutes_a_return: float
    tape: str
    price_kind: str
    stand_ins: Mapping[str, str] = {}

    def volatility(self, symbol: str) -> float:
        """Return the standard deviation of a symbol's return over a minute."""
        index = self.symbols.index(symbol)
        return sqrt(self.covariance[index][index])

    def correlation(self, one: str, other: str) -> float:
        """Return the correlation of two symbols' returns."""
        i, j = self.symbols.index(one), self.symbols.index(other)
        return self.covariance[i][j] / (self.volatility(one) * self.volatility(other))

    def betas(self, reference: str) -> dict[str, Decimal]:
        """Return how much of the reference's move each symbol makes: covariance ÷ its variance, 4 places."""
        j = self.symbols.index(reference)
        shares = (row[j] / self.covariance[j][j] for row in self.covariance)
        return {symbol: Decimal(f"{share:.4f}") for symbol, share in zip(self.symbols, shares, strict=True)}


def fewest_returns(symbols: int) -> int:
    """Return how many returns an estimate takes: at least an hour of minutes, and ten per symbol. Ours."""
    return max(_FEWEST, _PER_SYMBOL * symbols)


def estimate(tape: Tape, symbols: Sequence[str]) -> Estimate:
    """Return what ``tape`` says of ``symbols``.

    Raises BadTape for a symbol it lacks, for bars of several lengths, for too few returns, and for a price that never
    moves.
    """
    names = {symbol: stand_in(symbol, tape.symbols) for symbol in symbols}
    _refuse_missing(tape, symbols, [symbol for symbol, name in names.items() if name is None])
    series = [tape.series[name] for name in names.values() if name is not None]
    steps = {one.step for one in series}
    if len(steps) > 1:
        raise BadTape("bars of several lengths", where=tape.name, expected="one resolution for all symbols",
                      found=", ".join(f"{step // _MINUTE} min" for step in sorted(steps)),
                      hint="bring a tape of one resolution")  # fmt: skip
    step = steps.pop()
    closes = [dict(zip(one.ts, one.close, strict=True)) for one in series]
    common = set(closes[0]).intersection(*closes[1:])
    times = [ts for ts in sorted(common) if ts - step in common]
    need = fewest_returns(len(symbols))
    if len(times) < need:
        raise BadTape(
            "the tape is too short for an estimate", where=tape.name,
            expected=f"at least {need} returns that {len(symbols)} symbols have in common",
            found=f"{len(times)}, of {step / _MINUTE:g} minutes each", hint="bring a longer tape: ringfence tape fetch",
        )  # fmt: skip
    rows = [[prices[ts] / prices[ts - step] - 1 for ts in times] for prices in closes]
    minutes = step / _MINUTE
    covariance = _covariance(rows, minutes)
    flat = [symbol for index, symbol in enumerate(symbols) if covariance[index][index] <= 0]
    if flat:
        raise BadTape("a price that never moves has no volatility", where=tape.name, expected="prices that move",
                      found=", ".join(flat), hint="bring another tape, or leave the position out")  # fmt: skip
    others = {symbol: name for symbol, name in names.items() if name is not None and name != symbol}
    return Estimate(tuple(symbols), covariance, len(times), minutes, tape.name, tape.price_kind, others)


def _covariance(rows: list[list[float]], minutes: float) -> tuple[tuple[float, ...], ...]:
    count = len(rows[0])
    centred = []
    for row in rows:
        mean = sum(row) / count
        centred.append([value - mean for value in row])
    return tuple(
        tuple(sum(a * b for a, b in zip(one, other, strict=True)) / (count - 1) / minutes for other in centred)
        for one in centred
    )


def _refuse_missing(tape: Tape, symbols: Sequence[str], missing: Sequence[str]) -> None:
    if not missing:
        return
    fitting = [w.name for w in packaged_windows() if all(stand_in(symbol, w.symbols) for symbol in symbols)]
    hint = f"packaged tapes that have all of them: {', '.join(fitting)}" if fitting else (
        "bring a tape that has all of them: ringfence tape fetch")  # fmt: skip
    raise BadTape(
        f"the tape has no prices of {', '.join(missing)}", where=tape.name,
        expected=f"prices of every position: {', '.join(symbols)}", found=", ".join(tape.symbols), hint=hint,
    )  # fmt: skip


__all__ = ["Estimate", "estimate", "fewest_returns"]
