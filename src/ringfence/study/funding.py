"""One capital, held two ways: the same positions funded one by one, or all standing behind one another.

Isolated: every position gets its entry notional ÷ leverage as a margin of its own, and what is left of the capital
stays idle in the wallet. Cross: the whole capital is one pool per settlement asset. The capital of an asset is the
file's wallet balance and every isolated margin in it, however the file itself divides the two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ringfence.account import Account, CollateralMode, MarginMode
from ringfence.errors import BadAccount
from ringfence.numbers import ROUND_CEILING, VALUE_PLACES, ZERO, divide, exact, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.account import Position
    from ringfence.account_file import AccountFile
    from ringfence.numbers import Value
    from ringfence.rulebook import Rulebook


@dataclass(frozen=True, slots=True)
class Funding:
    """The two accounts. ``capital``: what each starts with; ``idle``: what isolated leaves in the wallet. By asset."""

    capital: Mapping[str, Value]
    idle: Mapping[str, Value]
    isolated: Account
    cross: Account


@exact
def fund(file: AccountFile, rulebook: Rulebook) -> Funding:
    """Return the account of ``file`` held all isolated and all cross, with the same capital.

    Open orders are left out. Margins are rounded up to 24 places. Raises BadAccount for an account without positions,
    in another collateral mode, with a position without leverage, or with too little capital to fund every position.
    """
    account = file.account
    _refuse_what_has_no_two_ways(account, file.where)
    capital = _capital(account, rulebook, file.where)
    margins = [_margin(position, rulebook, f"{file.where}: account.positions[{i}]")
               for i, position in enumerate(account.positions)]  # fmt: skip
    idle = dict(capital)
    for position, margin in zip(account.positions, margins, strict=True):
        idle[rulebook.contract(position.symbol).settle_asset] -= margin
    for asset, left in idle.items():
        if left < 0:
            raise BadAccount(
                f"the wallet cannot fund every position on its own: {plain(-left)} {asset} are missing",
                where=f"{file.where}: account.wallet.{asset}",
                expected=f"at least {plain(capital[asset] - left)} {asset}, the sum of entry notional ÷ leverage",
                found=f"{plain(capital[asset])} {asset}",
                hint="raise the wallet balance or the leverage, or make positions smaller",
            )
    isolated = tuple(
        replace(position, margin_mode=MarginMode.ISOLATED, isolated_margin=margin)
        for position, margin in zip(account.positions, margins, strict=True)
    )
    shared = tuple(
        replace(position, margin_mode=MarginMode.CROSS, isolated_margin=None) for position in account.positions
    )
    plainly = replace(account, orders=(), collateral={})
    return Funding(
        capital,
        idle,
        replace(plainly, positions=isolated, wallet=idle),
        replace(plainly, positions=shared, wallet=capital),
    )


def _refuse_what_has_no_two_ways(account: Account, where: str) -> None:
    if not account.positions:
        raise BadAccount(
            "no positions to replay", where=f"{where}: account.positions",
            expected="at least one position", found="none",
            hint="give positions, or start from an example: ringfence replay --example crash-book",
        )  # fmt: skip
    if account.collateral_mode is not CollateralMode.SINGLE_ASSET:
        raise BadAccount(
            f"collateral mode {account.collateral_mode.value} has no isolated side to compare with",
            where=f"{where}: account.collateral_mode", expected="single_asset", found=account.collateral_mode.value,
            hint="leave collateral_mode out: a replay holds each settlement asset as a pool of its own",
        )  # fmt: skip


def _capital(account: Account, rulebook: Rulebook, where: str) -> dict[str, Value]:
    capital: dict[str, Value] = {}
    for asset, balance in account.wallet.items():
        if balance is None:
            raise BadAccount(
                f"the balance of {asset} is not known", where=f"{where}: account.wallet.{asset}",
                expected="a decimal string", found="null", hint="a replay needs to know what each side starts with",
            )  # fmt: skip
        capital[asset] = balance
    for position in account.positions:
        asset = rulebook.contract(position.symbol).settle_asset
        capital[asset] = capital.get(asset, ZERO) + (position.isolated_margin or ZERO)
    return capital


def _margin(position: Position, rulebook: Rulebook, where: str) -> Value:
    if position.leverage is None:
        raise BadAccount(
            f"{position.symbol} {position.side} has no leverage", where=f"{where}.leverage",
            expected="the leverage chosen for the position: isolated margin is entry notional ÷ leverage", found="null",
            hint='add "leverage", for example "5"',
        )  # fmt: skip
    contract, table = rulebook.entry(position.symbol)
    if table is None or not table.tiers:
        raise BadAccount(
            f"no risk tiers are known for {position.symbol}", where=where, found="a contract without tiers",
            expected="tiers, without which nobody can say when it is liquidated",
            hint=f"give contracts.{position.symbol}.tiers in the file",
        )  # fmt: skip
    notional = abs(position.quantity) * contract.contract_value(position.entry_price)
    return divide(notional, position.leverage, places=VALUE_PLACES, rounding=ROUND_CEILING)


__all__ = ["Funding", "fund"]
