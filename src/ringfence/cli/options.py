"""The arguments and options that several commands share, and how the numbers in them are read."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ringfence.numbers import Rate

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account file (JSON or TOML), or - for stdin.")]
MarkOption = Annotated[
    list[str] | None, typer.Option("--mark", metavar="SYMBOL=PRICE", help="Override a mark; may be repeated.")
]
AsOfOption = Annotated[str | None, typer.Option("--as-of", metavar="DAY", help="Use the rules and tables of this day.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
BetaOption = Annotated[
    list[str] | None,
    typer.Option("--beta", metavar="SYMBOL=N", help="Share of a common move a symbol makes; 1 if not given."),
]
ReportOption = Annotated[
    Path | None, typer.Option("--report", metavar="PATH", help="Write one self-contained HTML file.")
]


_LARGEST_EXPONENT = 20


def read_number(given: str, option: str, *, signed: bool = False) -> Decimal:
    """Return the number an option states. Raises BadConfiguration unless it is above 0 (or ``signed``)."""
    from ringfence.errors import BadConfiguration

    try:
        value = Decimal(given)
    except ArithmeticError:
        value = Decimal("NaN")
    expected = "a number" if signed else "a number above 0"
    if not value.is_finite() or abs(value.adjusted()) > _LARGEST_EXPONENT:
        raise BadConfiguration("not a number", where=option, expected=expected, found=given,
                               hint="write it in digits with a decimal point, such as 0.25")  # fmt: skip
    if value <= 0 and not signed:
        raise BadConfiguration("too small", where=option, expected=expected, found=given,
                               hint="give a number above 0")  # fmt: skip
    return value


def read_rate(given: str | None) -> Rate | None:
    """Return the fee rate that ``--fee-rate`` states; maker rates may be below 0. Raises BadConfiguration from 1 on."""
    from ringfence.errors import BadConfiguration

    rate = None if given is None else read_number(given, "--fee-rate", signed=True)
    if rate is not None and abs(rate) >= 1:
        raise BadConfiguration("a fee of all of the value, or more", where="--fee-rate", expected="between -1 and 1",
                               found=str(given), hint="0.05 % is written 0.0005")  # fmt: skip
    return rate


def read_betas(given: Sequence[str], known: Iterable[str]) -> dict[str, Decimal]:
    """Return the betas that ``--beta`` states, by symbol. Raises BadConfiguration for a symbol that is not held."""
    from ringfence.errors import BadConfiguration, nearest

    betas = {}
    names = list(known)
    for text in given:
        symbol, equals, number = text.partition("=")
        if not equals or symbol not in names:
            raise BadConfiguration("not a beta", where="--beta", expected="SYMBOL=N of a symbol of the account",
                                   found=text, hint=nearest(symbol, names) or "such as --beta ETHUSDT=1.2")  # fmt: skip
        betas[symbol] = read_number(number, f"--beta {symbol}", signed=True)
    return betas


__all__ = [
    "AccountArgument",
    "AsOfOption",
    "BetaOption",
    "JsonOption",
    "MarkOption",
    "ReportOption",
    "read_betas",
    "read_number",
    "read_rate",
]
