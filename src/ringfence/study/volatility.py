"""Volatilities, correlations and betas of a book's symbols, estimated from a tape.

Returns are relative changes from close to close, over bars that every symbol has and that follow one another; the
covariance is about their own mean and counted per minute. Estimates of chance are floats: they carry a few digits. A
tape with too few returns is refused, with how many there are and how many it takes.

A coin that the tape lacks is put in by the rule of :mod:`~ringfence.study.stand_in`: with the median volatility ``v``
of the tape's symbols, and as correlated with their common move ``m`` (at each bar the median return) as the median of
them is with that of the others, ``c``: its return is ``v · (c · m ÷ σ(m) + √(1 − c²) · e)``, ``e`` its own. Prices can
have such a covariance, and no two coins that nothing is known of hedge each other perfectly.
"""

from __future__ import annotations

from decimal import Decimal
from math import sqrt
from statistics import median, variance
from typing import TYPE_CHECKING, NamedTuple

from ringfence.errors import BadTape
from ringfence.study.stand_in import put_in, said
from ringfence.tape.coins import standing
from ringfence.tape.packaged import packaged_windows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringfence.study.stand_in import PutIn
    from ringfence.tape.bars import Series, Tape

_FEWEST = 60
_PER_SYMBOL = 10
_MINUTE = 60_000_000  # microseconds
_MINUTES_A_DAY = 1440


class Common(NamedTuple):
    """How coins that a tape lacks are taken to move with its symbols' common move.

    ``correlation``: with it, between ``least`` and ``most``; ``covariances``: of the common move, scaled to a
    volatility of 1, with each of the estimate's symbols that the tape has.
    """

    correlation: float
    least: float
    most: float
    covariances: Mapping[str, float]


class Estimate(NamedTuple):
    """What a tape says of how its symbols move. ``covariance``: of returns, per minute, by the order of ``symbols``.

    ``returns``: how many were used; the relative standard error of a volatility is about ``1 ÷ √(2 · returns)``.
    ``stand_ins``: the tape's symbol, for each that it has under another name only; ``put_in``: volatilities of coins
    that it lacks, with how they move together in ``common``.
    """

    symbols: tuple[str, ...]
    covariance: tuple[tuple[float, ...], ...]
    returns: int
    minutes_a_return: float
    tape: str
    price_kind: str
    stand_ins: Mapping[str, str] = {}
    put_in: tuple[PutIn, ...] = ()
    common: Common | None = None

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

    def notes(self) -> tuple[str, ...]:
        """Return what stands in for what, in sentences."""
        notes = [f"{name} stands in for {symbol} on the tape" for symbol, name in self.stand_ins.items()]
        notes += said(self.put_in, of=f"the tape {self.tape}")
        if self.common is not None:
            many, held = ", ".join(one.symbol for one in self.put_in), self.common
            notes.append(f"* the correlation of {many} with the tape's common move is taken to be "
                         f"{held.correlation:.2f}, between {held.least:.2f} and {held.most:.2f}")  # fmt: skip
        return tuple(notes)

    def extremes(self) -> tuple[Estimate, ...]:
        """Return the estimates with what was put in at its ends: small or large moves, loose or tight together."""
        if self.common is None:
            return ()
        ends = [{one.symbol: _a_minute(end) for one, end in zip(self.put_in, side, strict=True)}
                for side in ([one.least for one in self.put_in], [one.most for one in self.put_in])]  # fmt: skip
        return tuple(
            self._replace(covariance=_with_put_in(self.symbols, self.covariance, sigmas, self.common, correlation))
            for sigmas in ends
            for correlation in (self.common.least, self.common.most)
        )


def fewest_returns(symbols: int) -> int:
    """Return how many returns an estimate takes: at least an hour of minutes, and ten per symbol. Ours."""
    return max(_FEWEST, _PER_SYMBOL * symbols)


def estimate(tape: Tape, symbols: Sequence[str]) -> Estimate:
    """Return what ``tape`` says of ``symbols``.

    Raises BadTape where it has none of their coins, for bars of several lengths, for too few returns, and for a price
    that never moves.
    """
    names = standing(symbols, tape.symbols)
    if not names:
        raise _nothing_known(tape, symbols)
    known = {symbol: tape.series[name] for symbol, name in names.items()}
    absent = [symbol for symbol in symbols if symbol not in names]
    step = _one_step(tape, list(known.values()))
    times = _common_times(tape, list(known.values()), step, need=fewest_returns(len(symbols)), symbols=len(symbols))
    rows = [_returns(series, times, step) for series in known.values()]
    minutes = step / _MINUTE
    covariance = _covariance(rows, minutes)
    flat = [symbol for index, symbol in enumerate(known) if covariance[index][index] <= 0]
    if flat:
        raise BadTape("a price that never moves has no volatility", where=tape.name, expected="prices that move",
                      found=", ".join(flat), hint="bring another tape, or leave the position out")  # fmt: skip
    others = {symbol: name for symbol, name in names.items() if name != symbol}
    found = Estimate(tuple(known), covariance, len(times), minutes, tape.name, tape.price_kind, others)
    return _completed(found, tape, symbols, times=times, step=step) if absent else found


def _one_step(tape: Tape, series: Sequence[Series]) -> int:
    steps = {one.step for one in series}
    if len(steps) > 1:
        raise BadTape("bars of several lengths", where=tape.name, expected="one resolution for all symbols",
                      found=", ".join(f"{step // _MINUTE} min" for step in sorted(steps)),
                      hint="bring a tape of one resolution")  # fmt: skip
    return steps.pop()


def _common_times(tape: Tape, series: Sequence[Series], step: int, *, need: int, symbols: int) -> list[int]:
    """Return the ends of the returns that all ``series`` have. Raises BadTape for fewer than ``need``."""
    common = set(series[0].ts).intersection(*(one.ts for one in series[1:]))
    times = [ts for ts in sorted(common) if ts - step in common]
    if len(times) < need:
        raise BadTape(
            "the tape is too short for an estimate", where=tape.name,
            expected=f"at least {need} returns that {symbols} symbols have in common",
            found=f"{len(times)}, of {step / _MINUTE:g} minutes each", hint="bring a longer tape: ringfence tape fetch",
        )  # fmt: skip
    return times


def _returns(series: Series, times: Sequence[int], step: int) -> list[float]:
    prices = dict(zip(series.ts, series.close, strict=True))
    return [prices[ts] / prices[ts - step] - 1 for ts in times]


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


# ── Coins that a tape lacks ──────────────────────────────────────────────────────────────────────────────────────

ALONE = (0.7, 0.4, 1.0)
"""The correlation of a coin with the only symbol of a tape, between what and what. Ours: nothing is known of it."""


def _completed(found: Estimate, tape: Tape, symbols: Sequence[str], *, times: Sequence[int], step: int) -> Estimate:
    """Return an estimate of all ``symbols``, from the tape's symbols that have every one of its returns."""
    wanted = {*times, *(ts - step for ts in times)}
    whole = [series for series in tape.series.values() if series.step == step and wanted.issubset(series.ts)]
    rows = [_returns(series, times, step) for series in whole]
    moving = [row for row in rows if variance(row) > 0]
    middle = [median(returns) for returns in zip(*moving, strict=True)]
    common = _common(found, tape, middle, moving, times=times, step=step)
    daily = [_decimal(sqrt(variance(row) / found.minutes_a_return * _MINUTES_A_DAY)) for row in moving]
    given = tuple(
        put_in(symbol, daily, tape=tape.name, measure="volatility") for symbol in symbols if symbol not in found.symbols
    )
    sigmas = {one.symbol: _a_minute(one.median) for one in given}
    known = {(a, b): found.covariance[i][j] for i, a in enumerate(found.symbols) for j, b in enumerate(found.symbols)}
    blank = tuple(tuple(known.get((a, b), 0.0) for b in symbols) for a in symbols)
    covariance = _with_put_in(tuple(symbols), blank, sigmas, common, common.correlation)
    return found._replace(symbols=tuple(symbols), covariance=covariance, put_in=given, common=common)


def _common(
    found: Estimate, tape: Tape, middle: list[float], moving: list[list[float]], *, times: Sequence[int], step: int
) -> Common:
    scale = sqrt(variance(middle) * found.minutes_a_return) or 1.0
    covariances = {}
    for symbol in found.symbols:
        row = _returns(tape.series[found.stand_ins.get(symbol, symbol)], times, step)
        covariances[symbol] = _covariance([row, middle], 1)[0][1] / scale
    if len(moving) == 1:
        return Common(*ALONE, covariances)
    fits = []
    for index, row in enumerate(moving):
        others = [median(returns) for returns in zip(*(moving[:index] + moving[index + 1 :]), strict=True)]
        (a, b), (_, d) = _covariance([row, others], 1)
        fits.append(b / sqrt(a * d) if d > 0 else 0.0)
    return Common(median(fits), min(fits), max(fits), covariances)


def _with_put_in(
    symbols: tuple[str, ...],
    covariance: tuple[tuple[float, ...], ...],
    sigmas: Mapping[str, float],
    common: Common,
    correlation: float,
) -> tuple[tuple[float, ...], ...]:
    """Return a covariance with the rows of what is put in, of ``sigmas`` a minute and one correlation."""

    def one(a: str, b: str, known: float) -> float:
        if a in sigmas and b in sigmas:
            return sigmas[a] * sigmas[b] * (1.0 if a == b else correlation**2)
        if a in sigmas or b in sigmas:
            symbol, other = (a, b) if a in sigmas else (b, a)
            return sigmas[symbol] * correlation * common.covariances[other]
        return known

    return tuple(
        tuple(one(a, b, value) for b, value in zip(symbols, row, strict=True))
        for a, row in zip(symbols, covariance, strict=True)
    )


def _a_minute(daily: Decimal) -> float:
    return float(daily) / sqrt(_MINUTES_A_DAY)


def _decimal(value: float) -> Decimal:
    return Decimal(f"{value:.6g}")


def _nothing_known(tape: Tape, symbols: Sequence[str]) -> BadTape:
    fitting = [w.name for w in packaged_windows() if len(standing(symbols, w.symbols)) == len(symbols)]
    hint = f"packaged tapes that have all of them: {', '.join(fitting)}" if fitting else (
        "bring a tape that has them: ringfence tape fetch")  # fmt: skip
    return BadTape(
        f"the tape has no prices of {', '.join(symbols)}", where=tape.name,
        expected=f"prices of a coin that is held: {', '.join(symbols)}", found=", ".join(tape.symbols), hint=hint,
    )  # fmt: skip


__all__ = ["ALONE", "Common", "Estimate", "estimate", "fewest_returns"]
