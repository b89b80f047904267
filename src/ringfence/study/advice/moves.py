"""How a book's prices are taken to move: estimated from a tape, or assumed by class of coin, with single overrides.

Where no tape is given the volatilities and correlations are declared ones (``advise_moves.toml``), ours, and every
result says so. Overrides are checked as a whole: correlations that no prices can have together (a matrix that is not
positive semidefinite) are refused, with the combination of moves whose variance would be negative.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.errors import BadConfiguration, nearest
from ringfence.study.volatility import Estimate, estimate
from ringfence.tape.coins import coin_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringfence.tape.bars import Tape

MINUTES_A_DAY = 1440
_ROUNDING = 1e-9  # of the largest variance: what a singular matrix may seem to be below 0 in floats


class Moves(NamedTuple):
    """The covariance that paths are drawn from. ``assumed``: nothing of it was measured; ``notes``: where it is from.

    ``estimate.returns`` is 0 where everything is assumed: then nothing is known of its error.
    """

    estimate: Estimate
    assumed: bool
    notes: tuple[str, ...]

    def daily(self, symbol: str) -> float:
        """Return the standard deviation of a symbol's return over a day."""
        return self.estimate.volatility(symbol) * sqrt(MINUTES_A_DAY)

    def part(self, symbols: Sequence[str]) -> Moves:
        """Return the same for some of the symbols."""
        at = [self.estimate.symbols.index(symbol) for symbol in symbols]
        rows = tuple(tuple(self.estimate.covariance[i][j] for j in at) for i in at)
        return self._replace(estimate=self.estimate._replace(symbols=tuple(symbols), covariance=rows))


def class_of(symbol: str) -> str:
    """Return the class of a symbol's coin: bitcoin, ether, major, dollar, or small for all others. Ours."""
    coin = coin_of(symbol)
    return next((name for name, coins in _defaults()["coins"].items() if coin in coins), "small")


def moves_of(
    symbols: Sequence[str],
    *,
    tape: Tape | None = None,
    volatilities: Mapping[str, float] | None = None,
    correlations: Mapping[tuple[str, str], float] | None = None,
) -> Moves:
    """Return how ``symbols`` move. ``volatilities``: of a day, by symbol; ``correlations``: by pair; both override.

    Raises BadTape for a tape that has no coin of them or is too short (it says by how much), BadConfiguration for an
    override of a symbol that is not held, out of range, or not possible together with the rest.
    """
    found = _assumed(symbols) if tape is None else estimate(tape, symbols)
    notes = _notes(found, symbols, assumed=tape is None)
    if not volatilities and not correlations:
        return Moves(found, tape is None, notes)
    covariance = _overridden(found, volatilities or {}, correlations or {})
    _refuse_impossible(symbols, covariance)
    given = [f"the volatility of {symbol} ({sigma:.2%} a day) is as given" for symbol, sigma in
             (volatilities or {}).items()]  # fmt: skip
    given += [f"the correlation of {a} and {b} ({rho:g}) is as given" for (a, b), rho in (correlations or {}).items()]
    return Moves(found._replace(covariance=covariance), tape is None, (*notes, *given))


@cache
def _defaults() -> dict[str, Any]:
    return tomllib.loads((files("ringfence.study.advice") / "moves.toml").read_text(encoding="utf-8"))


def _assumed(symbols: Sequence[str]) -> Estimate:
    sigmas = [float(_defaults()["daily"][class_of(symbol)]) / sqrt(MINUTES_A_DAY) for symbol in symbols]
    rows = tuple(
        tuple(_assumed_correlation(one, other) * a * b for other, b in zip(symbols, sigmas, strict=True))
        for one, a in zip(symbols, sigmas, strict=True)
    )
    return Estimate(tuple(symbols), rows, 0, 0.0, "", "assumed")


def _assumed_correlation(one: str, other: str) -> float:
    if one == other:
        return 1.0
    if coin_of(one) == coin_of(other):
        return float(_defaults()["same_coin"])
    classes = (class_of(one), class_of(other))
    table = _defaults()["correlation"]
    found = table.get(" ".join(classes), table.get(" ".join(reversed(classes)), "0"))
    return float(found)


def _notes(found: Estimate, symbols: Sequence[str], *, assumed: bool) -> tuple[str, ...]:
    if assumed:
        daily = _defaults()["daily"]
        by_class = {class_of(symbol): daily[class_of(symbol)] for symbol in symbols}
        listed = ", ".join(f"{name} {float(sigma):.1%}" for name, sigma in by_class.items())
        text = f"volatilities are assumed by class of coin (ours), a day: {listed}; so are correlations"
        return (f"{text}; --tape estimates both from prices",)
    error = 1 / sqrt(2 * found.returns)
    measured = f"{found.returns} returns of {found.minutes_a_return:g} min on the tape {found.tape}"
    prices = f"({found.price_kind} prices), standard error of a volatility {error:.1%}; they may not last"
    said = [f"volatilities and correlations: {measured} {prices}"]
    return (*said, *found.notes())


def _overridden(
    found: Estimate, volatilities: Mapping[str, float], correlations: Mapping[tuple[str, str], float]
) -> tuple[tuple[float, ...], ...]:
    symbols = found.symbols
    for symbol in (*volatilities, *(name for pair in correlations for name in pair)):
        if symbol not in symbols:
            raise BadConfiguration(
                f"{symbol} is not held", where="--volatility, --correlation", expected=f"one of {', '.join(symbols)}",
                found=symbol, hint=nearest(symbol, symbols) or "name a symbol of the account",
            )  # fmt: skip
    for symbol, sigma in volatilities.items():
        if not 0 < sigma < 1:
            raise BadConfiguration(
                f"{symbol} cannot move like that", where="--volatility", expected="a share above 0 and below 1 per day",
                found=f"{sigma:g}", hint="4 % a day is written 0.04",
            )  # fmt: skip
    for (one, other), rho in correlations.items():
        if not -1 <= rho <= 1 or one == other:
            raise BadConfiguration(
                "not a correlation", where=f"--correlation {one}:{other}", found=f"{rho:g}",
                expected="two different symbols and a number from −1 to 1", hint="such as BTCUSDT:ETHUSDT=0.8",
            )  # fmt: skip
    sigmas = {s: volatilities[s] / sqrt(MINUTES_A_DAY) if s in volatilities else found.volatility(s) for s in symbols}
    both = {**correlations, **{(b, a): rho for (a, b), rho in correlations.items()}}
    return tuple(
        tuple(
            sigmas[a] * sigmas[b] * (1.0 if a == b else both.get((a, b), found.correlation(a, b))) for b in symbols
        )
        for a in symbols
    )  # fmt: skip


def _refuse_impossible(symbols: Sequence[str], covariance: tuple[tuple[float, ...], ...]) -> None:
    """Raise BadConfiguration where some book of these symbols would have a negative variance."""
    from ringfence.study.likelihood import numpy

    np = numpy("advise", otherwise="")
    sigma = np.sqrt(np.diag(np.array(covariance)))
    values, vectors = np.linalg.eigh(np.array(covariance) / np.outer(sigma, sigma))
    if values[0] >= -_ROUNDING * max(1.0, float(values[-1])):
        return
    parts = sorted(zip(symbols, vectors[:, 0], strict=True), key=lambda part: -abs(part[1]))[:4]
    book = " ".join(f"{weight:+.2f} {symbol}" for symbol, weight in parts)
    raise BadConfiguration(
        "these correlations cannot hold together", where="--correlation",
        expected="a matrix that is positive semidefinite: no book with a negative variance",
        found=f"{book} (in standard deviations) would have the variance {values[0]:.3f}",
        hint="bring the correlations of these symbols closer together, or give all of their pairs",
    )  # fmt: skip


__all__ = ["MINUTES_A_DAY", "Moves", "class_of", "moves_of"]
