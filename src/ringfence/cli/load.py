"""From what stands on the command line to an account, its marks and its rulebook."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ringfence import account_file
from ringfence.errors import BadAccount, BadConfiguration, BadInput
from ringfence.margin.assess import assess_account

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from decimal import Decimal

    from ringfence.account_file import AccountFile
    from ringfence.margin.assessment import Assessment
    from ringfence.rulebook import Rulebook

STANDARD_INPUT = "standard input"


def load_account(account: str, *, marks: Iterable[str], as_of: str | None) -> tuple[AccountFile, Rulebook]:
    """Return the account of a file (``-``: JSON on standard input) and the rulebook it stands under.

    ``marks``: overrides as SYMBOL=PRICE. ``as_of``: the day whose rules hold, before that of the file. Raises BadInput
    for everything that is wrong with the file, its symbols, sizes and leverage included.
    """
    file = _from_standard_input() if account == "-" else account_file.read(account)
    overrides = dict(_mark(given) for given in marks)
    if overrides:
        file = account_file.with_marks(file, overrides)
    rulebook = file.rulebook(day(as_of) if as_of else None)
    account_file.check_symbols(file, rulebook)
    account_file.check_modes(file, rulebook)
    account_file.check_risk(file, rulebook)
    account_file.check_sizes(file, rulebook)
    account_file.check_leverage(file, rulebook)
    return file, rulebook


def assess_file(file: AccountFile, rulebook: Rulebook) -> tuple[Assessment, ...]:
    """Return the assessment of every pool of the file's account; errors name the file."""
    try:
        return assess_account(file.account, file.marks, rulebook)
    except BadInput as error:
        raise error.located(file.where) from None


def _from_standard_input() -> AccountFile:
    try:
        content = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadAccount(
            "cannot be read", where=STANDARD_INPUT, expected="an account as JSON in UTF-8",
            found="bytes that are no UTF-8 text", hint="pipe the account file itself in",
        ) from None  # fmt: skip
    return account_file.parse_text(content, where=STANDARD_INPUT)


def _mark(given: str) -> tuple[str, Decimal]:
    symbol, equals, price = given.partition("=")
    if not equals or not symbol or not price:
        raise BadConfiguration(
            "not a mark", where="--mark", expected="SYMBOL=PRICE, such as BTCUSDT=61000", found=given,
            hint="write the symbol, an equals sign and the price, without spaces",
        )  # fmt: skip
    return symbol, account_file.read_price(price, f"--mark {symbol}")


def day(given: str, *, option: str = "--as-of") -> date:
    """Return the day of an option. Raises BadConfiguration."""
    from datetime import date

    try:
        found = date.fromisoformat(given)
    except ValueError:
        found = None
    if found is None or found.isoformat() != given:
        raise BadConfiguration(
            "not a day", where=option, expected="YYYY-MM-DD", found=given, hint="write a day such as 2025-10-10"
        )
    return found


__all__ = ["STANDARD_INPUT", "assess_file", "day", "load_account"]
