"""Reads how assets count as collateral from a venue's dated ``haircuts.csv``."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.account import DOLLARS, Collateral, Slice
from ringfence.errors import BadAccount, BadRulebook
from ringfence.rulebooks.csv_rows import firsts, number, records, rows

if TYPE_CHECKING:
    from datetime import date

    from ringfence.rulebooks.dated_folders import Folder


class Haircuts:
    """Looks assets up in a venue's dated ``haircuts.csv``, latest first: asset by asset, as symbols are."""

    def __init__(self, name: str, dated: tuple[Folder, ...], as_of: date | None) -> None:
        self.name = name
        self.as_of = as_of
        self.all = tuple(folder for folder in dated if (folder.path / "haircuts.csv").is_file())
        self.current = tuple(reversed([folder for folder in self.all if folder.not_after(as_of)]))
        self._found: dict[str, Collateral | None] = {}

    def accepted(self) -> tuple[str, ...]:
        """Return every asset that is on a list of the venue on the day."""
        return tuple(sorted({asset for folder in self.current for asset in firsts(folder.path, "haircuts.csv")}))

    def terms(self, asset: str) -> Collateral | None:
        """Return how an asset counts, at an index of 1, or None. Raises BadAccount on a day before its first list."""
        if asset not in self._found:
            folder = next((each for each in self.current if rows(each.path, "haircuts.csv", asset)), None)
            if folder is None:
                self._refuse_early_day(asset)
                return None
            self._found[asset] = self._read(asset, records(folder.path, "haircuts.csv", asset), folder)
        return self._found[asset]

    def _read(self, asset: str, lines: list[dict[str, str]], folder: Folder) -> Collateral:
        source = f"{folder.path.parent.name} collateral list of {folder.day or 'unknown date'}"
        if any(not row["floor"] for row in lines):
            raise BadAccount(
                f"the discount of {asset} is published in part only: where its tiers end is not", where=source,
                expected="the floor and cap of every tier", found=", ".join(row["collateral_ratio"] for row in lines),
                hint=f'give collateral.{asset}.tiers (floor, cap, ratio) in the account file, or one "ratio"',
            )  # fmt: skip
        try:
            slices = tuple(
                Slice(Decimal(row["floor"]), number(row["cap"]), Decimal(row["collateral_ratio"])) for row in lines
            )
        except ArithmeticError:
            raise BadRulebook(
                f"the collateral terms of {asset} cannot be read", where=str(folder.path / "haircuts.csv"),
                expected="numbers, plain", found=", ".join(row["collateral_ratio"] for row in lines),
                hint=f"run `ringfence rulebooks check {folder.path.parent.name}`",
            ) from None  # fmt: skip
        whole = len(slices) == 1 and slices[0].cap is None
        return Collateral(
            ratio=slices[0].ratio, slices=() if whole else slices, unit=lines[0]["unit"],
            moves_with=Collateral.follows(asset), source=source,
        )  # fmt: skip

    def _refuse_early_day(self, asset: str) -> None:
        later = [folder for folder in self.all if rows(folder.path, "haircuts.csv", asset)]
        if later and asset not in DOLLARS:
            raise BadAccount(
                f"no collateral terms for {asset} in {self.name} on {self.as_of}", where=f"account.collateral.{asset}",
                expected=f"a day on or after a list with it: {', '.join(str(folder.day) for folder in later)}",
                found=str(self.as_of),
                hint=f"give --as-of {later[0].day}, or the ratio in the account file under collateral.{asset}",
            )  # fmt: skip


__all__ = ["Haircuts"]
