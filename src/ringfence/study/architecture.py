"""One book under another margin architecture: the same positions and the same capital, held isolated or cross.

Capital is what the account holds in cash: its wallets and the margins of its isolated positions. Held **isolated**,
each position is funded with its entry notional ÷ leverage and the rest stays idle in the wallet; held **cross**,
everything is in the wallet behind all positions of the settlement asset. Unrealised PnL belongs to the positions either
way, so both start from the same equity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ringfence.account import DOLLARS, Account, CollateralMode, MarginMode
from ringfence.contract import coin
from ringfence.errors import BadAccount
from ringfence.margin.change import entry_margin
from ringfence.numbers import ZERO, exact, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.account import Marks
    from ringfence.account_file import AccountFile
    from ringfence.numbers import Price, Value
    from ringfence.rulebook import Rulebook


@exact
def all_cross(account: Account, rulebook: Rulebook) -> Account:
    """Return ``account`` with every position cross and every isolated margin back in its settlement asset's wallet."""
    wallet: dict[str, Value | None] = dict(account.wallet)
    positions = []
    for position in account.positions:
        if position.margin_mode is MarginMode.ISOLATED:
            asset = rulebook.contract(position.symbol).settle_asset
            held = wallet.get(asset, ZERO)
            wallet[asset] = None if held is None else held + (position.isolated_margin or ZERO)
        positions.append(replace(position, margin_mode=MarginMode.CROSS, isolated_margin=None))
    return replace(account, positions=tuple(positions), wallet=wallet)


@exact
def all_isolated(account: Account, rulebook: Rulebook, *, where: str = "") -> Account:
    """Return ``account`` with every position isolated, funded with entry notional ÷ leverage from the same capital.

    ``where`` is put before the place that errors name. Raises BadAccount for a position without a leverage, for a
    wallet that cannot fund the positions (by how much), and for a basket account, in which nothing can be isolated.
    """
    inside = f"{where}: account" if where else "account"
    if account.collateral_mode is not CollateralMode.SINGLE_ASSET:
        raise BadAccount(
            f"a basket ({account.collateral_mode.value}) holds no isolated positions",
            where=f"{inside}.collateral_mode",
            expected="single_asset",
            found=account.collateral_mode.value,
            hint="leave collateral_mode out: each settlement asset is then a pool of its own",
        )
    pooled = all_cross(account, rulebook)
    wallet: dict[str, Value | None] = dict(pooled.wallet)
    positions = []
    for index, position in enumerate(pooled.positions):
        margin = entry_margin(position, rulebook)
        if margin is None:
            raise BadAccount(
                f"{position.symbol} {position.side} has no leverage",
                where=f"{inside}.positions[{index}].leverage",
                expected="leverage, from which an isolated position's margin follows: entry notional ÷ leverage",
                found="null",
                hint="give the leverage the position was opened with",
            )
        asset = rulebook.contract(position.symbol).settle_asset
        held = wallet.get(asset, ZERO)
        wallet[asset] = None if held is None else held - margin
        positions.append(replace(position, margin_mode=MarginMode.ISOLATED, isolated_margin=margin))
    for asset, held in wallet.items():
        if held is not None and held < 0:
            capital = pooled.wallet.get(asset) or ZERO
            raise BadAccount(
                f"the wallet cannot fund every position on its own: {plain(-held)} {asset} short",
                where=f"{inside}.wallet.{asset}",
                expected=f"at least {plain(capital - held)} {asset}, the sum of entry notional ÷ leverage",
                found=f"{plain(capital)} {asset}",
                hint="raise the wallet balance or the leverage, or make positions smaller",
            )
    return replace(pooled, positions=tuple(positions), wallet=wallet)


WORDS = {"isolated": "isolated", "cross": "cross", "multi_asset": "multi-asset", "portfolio": "portfolio"}
"""How architectures are called where people read them, by :attr:`ringfence.rulebook.Offer.name`."""


@exact
def held_as(account: Account, architecture: str, rulebook: Rulebook) -> Account:
    """Return ``account`` held ``isolated``, ``cross``, ``multi_asset`` or ``portfolio``, with the same capital.

    A basket held isolated or cross is taken apart: each settlement asset is then backed by its own balance alone, and
    what is held in other assets backs nothing. Raises BadAccount for what cannot be held so.
    """
    if architecture in {"isolated", "cross"}:
        single = replace(account, collateral_mode=CollateralMode.SINGLE_ASSET)
        return all_isolated(single, rulebook) if architecture == "isolated" else all_cross(single, rulebook)
    basket = CollateralMode(architecture)
    unknown = [asset for asset, balance in account.wallet.items() if balance is None]
    if unknown:
        raise BadAccount(
            f"the balance of {', '.join(unknown)} is not known", where="account.wallet",
            expected="every balance of a basket", found="null", hint="give the balances",
        )  # fmt: skip
    return replace(all_cross(account, rulebook), collateral_mode=basket)


@exact
def with_indices(account: Account, marks: Marks, rulebook: Rulebook) -> tuple[Account, tuple[str, ...]]:
    """Return a basket account with an index price for each asset held that has none, and which assets these are.

    The mark of a contract on the asset's coin stands in: the first one held, a perpetual before what expires. A coin
    without a contract stays without a price. (The risk units of portfolio margin find theirs in the same way:
    :mod:`ringfence.margin.portfolio.marks`.)
    """
    known = {*account.collateral, *account.index_prices, *DOLLARS}
    found: dict[str, Price] = {}
    held = [rulebook.contract(position.symbol) for position in account.positions]
    for contract in sorted(held, key=lambda one: one.expiry is not None):
        for asset in account.wallet:
            fits = asset not in known and coin(asset) == contract.risk_unit
            if fits and not contract.option and contract.symbol in marks:
                found.setdefault(asset, marks[contract.symbol])
    if not found:
        return account, ()
    return replace(account, index_prices={**found, **account.index_prices}), tuple(found)


def isolated_not_held(architecture: str, rulebook: Rulebook) -> str:
    """Return why nothing isolated can be held multi-asset or in portfolio margin, in the venue's words where known."""
    if architecture == "portfolio":
        return "portfolio margin holds cross positions only"
    return rulebook.refusals.get("isolated_margin_in_basket", "a basket holds cross positions only")


@dataclass(frozen=True, slots=True)
class Funding:
    """A replay's two accounts. ``capital``: what each starts with; ``idle``: what isolated leaves in the wallet."""

    capital: Mapping[str, Value]
    idle: Mapping[str, Value]
    isolated: Account
    cross: Account


def refuse_without_stakes(file: AccountFile) -> None:
    """Raise BadAccount for an account that no replay can start with: no positions, or a balance that is not known."""
    account, where = file.account, f"{file.where}: account"
    if not account.positions:
        raise BadAccount(
            "no positions to replay", where=f"{where}.positions", expected="at least one position", found="none",
            hint="give positions, or start from an example: ringfence replay --example crash-book",
        )  # fmt: skip
    for asset, balance in account.wallet.items():
        if balance is None:
            raise BadAccount(
                f"the balance of {asset} is not known", where=f"{where}.wallet.{asset}", expected="a decimal string",
                found="null", hint="a replay needs to know what it starts with",
            )  # fmt: skip


@exact
def fund(file: AccountFile, rulebook: Rulebook) -> Funding:
    """Return the account of ``file`` held all isolated and all cross, with the same capital, for a replay.

    Open orders are left out. Raises BadAccount as :func:`all_isolated` does, and for an account without positions, with
    a balance that is not known, or with a symbol whose tiers are not known: nobody can say when that is liquidated.
    """
    account, where = file.account, f"{file.where}: account"
    if account.collateral_mode is CollateralMode.PORTFOLIO:
        raise BadAccount(
            "portfolio margin is held neither isolated nor cross", where=f"{where}.collateral_mode",
            expected="single_asset", found="portfolio", hint="ringfence replay --architectures all",
        )  # fmt: skip
    refuse_without_stakes(file)
    for index, position in enumerate(account.positions):
        table = rulebook.tiers(position.symbol)
        if table is None or not table.tiers:
            raise BadAccount(
                f"no risk tiers are known for {position.symbol}", where=f"{where}.positions[{index}]",
                expected="tiers, without which nobody can say when it is liquidated", found="a contract without tiers",
                hint=f"give contracts.{position.symbol}.tiers in the file",
            )  # fmt: skip
    book = replace(account, orders=(), collateral={})
    isolated, cross = all_isolated(book, rulebook, where=file.where), all_cross(book, rulebook)
    return Funding(_known(cross), _known(isolated), isolated, cross)


def _known(account: Account) -> dict[str, Value]:
    return {asset: balance for asset, balance in account.wallet.items() if balance is not None}


__all__ = [
    "WORDS",
    "Funding",
    "all_cross",
    "all_isolated",
    "fund",
    "held_as",
    "isolated_not_held",
    "refuse_without_stakes",
    "with_indices",
]
