"""A basket's assets with the terms that an account file gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.account import DOLLARS, Collateral, Slice
from ringfence.account_file.fields import COLLATERAL, SLICE
from ringfence.account_file.values import list_of, mapping_of, name_of, number_of, object_of, positive_of, word_of
from ringfence.contract import coin
from ringfence.errors import BadAccount
from ringfence.numbers import ONE, ZERO

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.numbers import Price


def read_collateral(given: Any, where: str) -> tuple[dict[str, Collateral], dict[str, Price]]:
    """Return the assets that have terms of their own, and the index prices of those that have the venue's."""
    own: dict[str, Collateral] = {}
    prices: dict[str, Price] = {}
    for asset, raw in mapping_of(given, where).items():
        place = f"{where}.{asset}"
        row = object_of(raw, COLLATERAL, place)
        index = None if row.get("index") is None else positive_of(row["index"], f"{place}.index")
        if index is None and asset not in DOLLARS:
            raise BadAccount(
                f"no collateral price for {asset}", where=f"{place}.index", expected="a positive price",
                found="null", hint="give the asset's index price in the account's currency",
            )  # fmt: skip
        if any(row.get(key) is not None for key in COLLATERAL[1:]):
            own[asset] = _own_terms(asset, row, ONE if index is None else index, place)
        elif index is not None:
            prices[asset] = index
    return own, prices


def _own_terms(asset: str, row: dict[str, Any], index: Price, where: str) -> Collateral:
    ratio, bid, ask = (number_of(row.get(key), f"{where}.{key}", null=True) for key in COLLATERAL[1:4])
    slices = _slices(list_of(row.get("tiers"), f"{where}.tiers"), f"{where}.tiers")
    if ratio is not None and slices:
        raise BadAccount("a ratio and tiers", where=f"{where}.ratio", expected="one of the two", found=str(ratio),
                         hint="each tier has its own ratio; leave ratio out")  # fmt: skip
    if ratio is not None:
        _check_ratio(ratio, f"{where}.ratio")
    if bid is not None and bid > ONE:
        raise BadAccount("a bid buffer above 1", where=f"{where}.bid_buffer", expected="between 0 and 1",
                         found=str(bid), hint="2 % is written 0.02")  # fmt: skip
    unit, moves = row.get("tier_unit"), row.get("moves_with")
    if moves is None:
        follows = Collateral.follows(asset)
    else:
        follows = None if name_of(moves, f"{where}.moves_with") == "none" else coin(moves)
    return Collateral(
        index,
        slices[0].ratio if slices else ONE if ratio is None else ratio,
        bid or ZERO,
        ask or ZERO,
        slices,
        word_of("base" if unit is None else unit, ("base", "usd"), f"{where}.tier_unit"),
        follows,
    )


def _check_ratio(ratio: Decimal, where: str) -> None:
    if ratio > ONE:
        raise BadAccount("a collateral ratio above 1", where=where, expected="between 0 and 1",
                         found=str(ratio), hint="95 % is written 0.95")  # fmt: skip


def _slices(rows: list[Any], where: str) -> tuple[Slice, ...]:
    """Return an asset's discount tiers: ascending from 0 without gaps, ratios that never rise."""
    found: list[Slice] = []
    for index, raw in enumerate(rows):
        place = f"{where}[{index}]"
        row = object_of(raw, SLICE, place)
        floor = number_of(row.get("floor"), f"{place}.floor")
        cap = None if row.get("cap") is None else positive_of(row["cap"], f"{place}.cap")
        ratio = number_of(row.get("ratio"), f"{place}.ratio")
        _check_ratio(ratio, f"{place}.ratio")
        expected = found[-1].cap if found else ZERO
        if expected is None or floor != expected:
            raise BadAccount(
                "tiers that do not follow one another", where=f"{place}.floor",
                expected="the cap of the tier before" if expected is None else str(expected), found=str(floor),
                hint="the first tier starts at 0, and each next one where the one before it ends",
            )  # fmt: skip
        if cap is not None and cap <= floor:
            raise BadAccount("a tier that ends before it starts", where=f"{place}.cap", expected=f"above {floor}",
                             found=str(cap))  # fmt: skip
        if found and ratio > found[-1].ratio:
            raise BadAccount("a collateral ratio that rises", where=f"{place}.ratio",
                             expected=f"at most {found[-1].ratio}", found=str(ratio),
                             hint="more of an asset never counts for more per unit")  # fmt: skip
        found.append(Slice(floor, cap, ratio))
    return tuple(found)


__all__ = ["read_collateral"]
