"""Reads a venue's dated fee schedule: levels from ``fees.csv``, discounts and kinds of vouchers from ``fees.toml``.

Each of the two comes from the latest folder on the day that has it: whole, not level by level. A venue that reads
another's contracts (``tables_from``) reads its fees too where it has none of its own.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence.errors import BadRulebook
from ringfence.fees import Discount, FeeLevel, FeeSchedule, VoucherKind
from ringfence.rulebooks.csv_rows import number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ringfence.rulebooks.dated_folders import Folder

LEVELS = "fees.csv"
TERMS = "fees.toml"
SCHEMA = "ringfence.fees/1"


def read(current: Sequence[Folder], *, own: str) -> FeeSchedule:
    """Return the schedule of the dated folders ``current``, latest first; ``own``: the venue's name.

    Raises BadRulebook for a file that cannot be read.
    """
    ours = [folder for folder in current if folder.path.parent.name == own]
    others = [folder for folder in current if folder not in ours]
    levels = next((folder for folder in (*ours, *others) if (folder.path / LEVELS).is_file()), None)
    terms = next((folder for folder in (*ours, *others) if (folder.path / TERMS).is_file()), None)
    try:
        data: dict[str, Any] = {} if terms is None else _toml(terms.path / TERMS)
        return FeeSchedule(
            levels=() if levels is None else _levels(levels.path / LEVELS),
            discounts={name: _discount(name, text) for name, text in data.get("discounts", {}).items()},
            vouchers={name: _voucher(name, text) for name, text in data.get("vouchers", {}).items()},
            source=None if levels is None else f"{levels.path.parent.name} fees of {levels.day or 'unknown date'}",
        )
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadRulebook(
            f"the fees of {own} cannot be read", where=str((levels or terms or current[0]).path),
            expected="fees.csv with all its columns and fees.toml, numbers plain",
            found=f"{type(error).__name__}: {error}",
            hint=f"run `ringfence rulebooks check {own}`, which names every fault with its line",
        ) from None  # fmt: skip


def _toml(path: Path) -> dict[str, Any]:
    import tomllib

    with path.open("rb") as file:
        return tomllib.load(file)


def _levels(path: Path) -> tuple[FeeLevel, ...]:
    import csv

    with path.open(encoding="utf-8", newline="") as stream:
        return tuple(
            FeeLevel(
                row["level"],
                row["settle_asset"],
                number(row["maker_fee_rate"]),
                number(row["taker_fee_rate"]),
                number(row["volume"]),
                row["volume_asset"],
                int(row["volume_days"]) if row["volume_days"] else None,
                number(row["balance"]),
                row["balance_asset"],
            )
            for row in csv.DictReader(stream)
        )


def _discount(name: str, text: dict[str, Any]) -> Discount:
    return Discount(name, Decimal(text["maker"]), Decimal(text["taker"]), text.get("group", name), text.get("asks", ""))


def _voucher(name: str, text: dict[str, Any]) -> VoucherKind:
    default = VoucherKind(name, ())
    return VoucherKind(
        name,
        tuple(text["pays"]),
        text.get("order", default.order),
        text.get("limit", default.limit),
        text.get("counts_as_margin", default.counts_as_margin),
        text.get("before_bonus", default.before_bonus),
    )


__all__ = ["LEVELS", "SCHEMA", "TERMS", "read"]
