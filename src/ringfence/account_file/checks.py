"""An account file held to its rulebook: symbols, sizes, leverages, modes, and what portfolio margin needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.account import Account, CollateralMode, MarginMode, Position, RiskInputs
from ringfence.errors import BadAccount, BadInput
from ringfence.numbers import ZERO, exact, plain
from ringfence.portfolio_rules import UnifiedTerms

if TYPE_CHECKING:
    from ringfence.account_file.file import AccountFile
    from ringfence.contract import Contract
    from ringfence.numbers import Quantity
    from ringfence.rulebook import Rulebook


def check_symbols(file: AccountFile, rulebook: Rulebook) -> None:
    """Raise BadAccount for the first position or order whose symbol has no table, naming its place in the file."""
    places = [(f"account.positions[{index}]", held.symbol) for index, held in enumerate(file.account.positions)]
    places += [(f"account.orders[{index}]", order.symbol) for index, order in enumerate(file.account.orders)]
    for place, symbol in places:
        try:
            rulebook.entry(symbol)
        except BadInput as error:
            raise BadAccount(
                error.message, where=f"{file.where}: {place}.symbol", expected=error.expected, found=error.found,
                hint=error.hint,
            ) from None  # fmt: skip


@exact
def check_sizes(file: AccountFile, rulebook: Rulebook) -> None:
    """Raise BadAccount for a position beyond the end of its last tier, by the amount that its venue looks up."""
    basket = file.account.collateral_mode is not CollateralMode.SINGLE_ASSET
    for index, position in enumerate(file.account.positions):
        policies = rulebook.policies_for(isolated=position.margin_mode is MarginMode.ISOLATED, basket=basket)
        contract, table = rulebook.entry(position.symbol)
        if table is None or not table.tiers:
            continue
        price = position.entry_price if policies.maintenance_at == "entry" else file.marks[position.symbol]
        size, cap = _size_looked_up(file.account, position, policies.tier_key), table.tiers[-1].cap
        amount = size if table.unit == "contracts" else size * contract.contract_value(price)
        if cap is not None and amount > cap:
            raise BadAccount(
                f"{position.symbol} {position.side} is larger than the venue allows",
                where=f"{file.where}: account.positions[{index}].quantity",
                expected=f"at most {plain(cap)} ({_UNITS[table.unit]}), the end of the last tier",
                found=plain(amount),
                hint="check the quantity and the contract size, or update the tables",
            )


def _size_looked_up(account: Account, position: Position, tier_key: str) -> Quantity:
    """Return the contracts that a venue looks up in its tiers for a position: its own, the net or the larger leg's."""
    legs = [
        p.quantity for p in account.positions if (p.symbol, p.margin_mode) == (position.symbol, position.margin_mode)
    ]
    if tier_key == "net":
        return abs(sum(legs, ZERO))
    return max(abs(quantity) for quantity in legs) if tier_key == "larger_side" else abs(position.quantity)


_UNITS = {"notional": "notional value", "contracts": "contracts"}


def check_modes(file: AccountFile, rulebook: Rulebook) -> None:
    """Raise BadAccount for an isolated position in a basket account of a venue that holds cross only there."""
    said = rulebook.refusals.get("isolated_margin_in_basket")
    if said is None or file.account.collateral_mode is CollateralMode.SINGLE_ASSET:
        return
    for index, position in enumerate(file.account.positions):
        if position.margin_mode is MarginMode.ISOLATED:
            raise BadAccount(
                f"{position.symbol} {position.side} is isolated in a basket account",
                where=f"{file.where}: account.positions[{index}].margin_mode",
                expected=f"cross: {said}",
                found="isolated",
                hint='set margin_mode to cross, or "collateral_mode": "single_asset"',
            )


@exact
def check_leverage(file: AccountFile, rulebook: Rulebook) -> None:
    """Raise BadAccount when a position's leverage is above what the tier of its entry value allows."""
    for index, position in enumerate(file.account.positions):
        contract, table = rulebook.entry(position.symbol)
        if position.leverage is None or table is None or not table.tiers:
            continue
        size = abs(position.quantity)
        amount = size if table.unit == "contracts" else size * contract.contract_value(position.entry_price)
        allowed = table.tiers[table.index_at(amount)].max_leverage
        if allowed is not None and position.leverage > allowed:
            raise BadAccount(
                f"leverage {plain(position.leverage)} is above what the tier allows",
                where=f"{file.where}: account.positions[{index}].leverage",
                expected=f"at most {plain(allowed)} at {plain(amount)} ({_UNITS[table.unit]}) of {position.symbol}",
                found=plain(position.leverage),
                hint=f"lower the leverage of {position.symbol}, or its size",
            )


def check_risk(file: AccountFile, rulebook: Rulebook) -> None:
    """Raise BadAccount for a position that cannot be valued or margined, such as an option past its expiry.

    Options stand in portfolio accounts only. A position's risk unit needs an index price there: under ``index``, or as
    the coin's collateral price; none where the venue goes by risk tiers at the mark.
    """
    risk, portfolio = file.account.risk or RiskInputs(), file.account.collateral_mode is CollateralMode.PORTFOLIO
    for index, held in enumerate(file.account.positions):
        contract, place = rulebook.contract(held.symbol), f"{file.where}: account.positions[{index}]"
        if contract.option and not (portfolio and held.margin_mode is MarginMode.CROSS):
            raise BadAccount(
                f"{held.symbol} is an option outside portfolio margin", where=f"{file.where}: account.collateral_mode",
                expected="portfolio, with options held cross", found=file.account.collateral_mode.value,
                hint='set "collateral_mode": "portfolio"',
            )  # fmt: skip
        if not portfolio:
            continue
        if contract.expiry is not None:
            _check_expiry(contract, risk, file.where)
        if contract.option and held.symbol not in risk.volatility:
            raise BadAccount(
                f"no implied volatility for {held.symbol}", where=f"{place}.implied_volatility",
                expected="a year's volatility as a fraction, such as 0.55", found="nothing",
                hint="give the venue's mark volatility of the option",
            )  # fmt: skip
        if rulebook.portfolio is not None and isinstance(rulebook.portfolio.terms, UnifiedTerms):
            continue  # risk tiers at the mark price: no index price enters
        priced = {*risk.index, *file.account.collateral, *file.account.index_prices}
        if contract.risk_unit not in priced:
            raise BadAccount(
                f"no index price for {contract.risk_unit}, the risk unit of {held.symbol}",
                where=f"{file.where}: account.index", expected=f"the spot price of {contract.risk_unit}",
                found=", ".join(risk.index) or "nothing", hint=f'add "index": {{"{contract.risk_unit}": "…"}}',
            )  # fmt: skip


def _check_expiry(contract: Contract, risk: RiskInputs, where: str) -> None:
    if risk.time is None:
        raise BadAccount(
            f"{contract.symbol} expires, and the account says no time", where=f"{where}: account.time",
            expected="the moment of the marks, such as 2026-02-15T12:00:00Z, or as_of", found="nothing",
            hint="add account.time",
        )  # fmt: skip
    if contract.expiry is not None and contract.expiry <= risk.time:
        raise BadAccount(
            f"{contract.symbol} is past its expiry", where=f"{where}: contracts.{contract.symbol}.expiry",
            expected=f"after {risk.time.isoformat()}, the time of the account", found=contract.expiry.isoformat(),
            hint="take it out of the account, with its settlement in the wallet, or correct time or expiry",
        )  # fmt: skip


__all__ = ["check_leverage", "check_modes", "check_risk", "check_sizes", "check_symbols"]
