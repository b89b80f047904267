"""Find what is wrong with a venue's fee schedule: levels that ascend, rates that do not, discounts and vouchers."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from ringfence.errors import nearest
from ringfence.fees import LIMITS, ORDERS, USES
from ringfence.numbers import ONE, ZERO
from ringfence.rulebooks.faults import Fault, Row, TomlFile, decimal_of, number_faults, open_toml
from ringfence.rulebooks.fee_tables import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal
    from pathlib import Path

_NUMBERS: dict[str, tuple[Callable[[Decimal], bool], str]] = {
    "maker_fee_rate": (lambda rate: abs(rate) < ONE, "a fraction between -1 and 1"),
    "taker_fee_rate": (lambda rate: abs(rate) < ONE, "a fraction between -1 and 1"),
    "volume": (lambda number: number >= 0, "0 or more"),
    "volume_days": (lambda number: number > 0 and number == number.to_integral_value(), "a whole number above 0"),
    "balance": (lambda number: number >= 0, "0 or more"),
}
_TOP = ("schema", "discounts", "vouchers")
_DISCOUNT = ("maker", "taker", "group", "asks")
_VOUCHER = ("pays", "order", "limit", "counts_as_margin", "before_bonus")


def level_faults(path: Path, rows: list[Row]) -> Iterator[Fault]:
    """Yield what is wrong with the levels of a ``fees.csv``."""
    if not rows:
        yield Fault(path, None, "no level: leave the file out where the venue's are not known")
    seen: set[tuple[str, str]] = set()
    names: list[str] = []
    for row in rows:
        level, asset = row.cells["level"], row.cells["settle_asset"]
        name = f"{level} {asset}".strip()
        if not level:
            yield Fault(path, row.line, "level: empty")
        if (level, asset) in seen:
            yield Fault(path, row.line, f"{name} is there twice")
        if level in names and names[-1] != level:
            yield Fault(path, row.line, f"{level}: its lines do not stand together")
        seen.add((level, asset))
        names.append(level)
        yield from number_faults(path, row, _NUMBERS, name)
        if not row.cells["maker_fee_rate"] and not row.cells["taker_fee_rate"]:
            yield Fault(path, row.line, f"{name}: neither rate is known; leave the line out")
        for number, unit in (("volume", "volume_asset"), ("balance", "balance_asset")):
            if bool(row.cells[number]) != bool(row.cells[unit]):
                yield Fault(path, row.line, f"{name}: {number} and {unit} stand together or not at all")
    yield from _ascent(path, rows)


def _ascent(path: Path, rows: list[Row]) -> Iterator[Fault]:
    """Yield levels that ask for less, or charge more, than the one before them in the same asset."""
    by_asset = sorted(rows, key=lambda row: row.cells["settle_asset"])
    for _, group in groupby(by_asset, key=lambda row: row.cells["settle_asset"]):
        for below, above in pairwise(group):
            for column, falls in (("maker_fee_rate", True), ("taker_fee_rate", True), ("volume", False),
                                  ("balance", False)):  # fmt: skip
                low, high = decimal_of(below.cells[column]), decimal_of(above.cells[column])
                if low is None or high is None or (high <= low if falls else high >= low):
                    continue
                verb = "rises above" if falls else "falls below"
                yield Fault(path, above.line, f"{above.cells['level']} {column}: {above.cells[column]} {verb} "
                                              f"{below.cells[column]} of {below.cells['level']}")  # fmt: skip


def term_faults(path: Path) -> Iterator[Fault]:
    """Yield what is wrong with the discounts and vouchers of a ``fees.toml``."""
    file = open_toml(path)
    if isinstance(file, Fault):
        yield file
        return
    yield from file.unknown("", _TOP)
    if file.data.get("schema") != SCHEMA:
        yield file.fault("", "schema", f"expected {SCHEMA}, found {file.data.get('schema')!r}")
    for name, discount in file.table("discounts").items():
        yield from _discount(file, f"discounts.{name}", discount)
    for name, voucher in file.table("vouchers").items():
        yield from _voucher(file, f"vouchers.{name}", voucher)


def _discount(file: TomlFile, section: str, discount: object) -> Iterator[Fault]:
    if not isinstance(discount, dict):
        yield file.fault(section, "", f"expected a table, found {discount!r}")
        return
    yield from _keys(file, section, discount, _DISCOUNT)
    for key in ("maker", "taker"):
        share = decimal_of(discount.get(key))
        if share is None or not ZERO <= share <= ONE:
            expected = "expected the share taken off, a decimal string from 0 to 1"
            yield file.fault(section, key, f"{expected}, found {discount.get(key)!r}")
    for key in ("group", "asks"):
        if key in discount and (not isinstance(discount[key], str) or not discount[key]):
            yield file.fault(section, key, f"expected text, found {discount[key]!r}")


def _voucher(file: TomlFile, section: str, voucher: object) -> Iterator[Fault]:
    if not isinstance(voucher, dict):
        yield file.fault(section, "", f"expected a table, found {voucher!r}")
        return
    yield from _keys(file, section, voucher, _VOUCHER)
    pays = voucher.get("pays")
    if not isinstance(pays, list) or not pays or any(use not in USES for use in pays):
        yield file.fault(section, "pays", f"expected a list of {', '.join(USES)}, found {pays!r}")
    for key, choices in (("order", ORDERS), ("limit", LIMITS)):
        if key in voucher and voucher[key] not in choices:
            yield file.fault(section, key, f"cannot be {voucher[key]!r}; expected one of {', '.join(choices)}")
    for key in ("counts_as_margin", "before_bonus"):
        if not isinstance(voucher.get(key, False), bool):
            yield file.fault(section, key, f"expected true or false, found {voucher[key]!r}")


def _keys(file: TomlFile, section: str, table: dict[str, object], known: tuple[str, ...]) -> Iterator[Fault]:
    for key in table:
        if key not in known:
            hint = nearest(key, known) or f"expected one of {', '.join(known)}"
            yield file.fault(section, key, f"unknown key {key}; {hint}")


__all__ = ["level_faults", "term_faults"]
