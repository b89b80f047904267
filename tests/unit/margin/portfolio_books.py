"""Small portfolio accounts for the tests of portfolio margin, built in a line or two."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence import rulebooks
from ringfence.account import (
    Account,
    Collateral,
    CollateralMode,
    MarginMode,
    Position,
    RiskInputs,
)
from ringfence.contract import Contract, ContractKind, OptionType
from ringfence.margin.assess import assess_account

if TYPE_CHECKING:
    from ringfence.margin.assessment import Assessment
    from ringfence.rulebook import Rulebook

D = Decimal
NOW = datetime(2026, 2, 15, 12, tzinfo=UTC)
BTC = D(60000)


def perpetual(symbol: str = "BTC-PERP", *, settle: str = "USDT", coin: str = "BTC") -> Contract:
    """A linear perpetual of one coin a contract."""
    return Contract(symbol, ContractKind.LINEAR, D(1), settle, D("0.1"), underlying=coin)


def inverse(symbol: str = "BTC-PERPETUAL", *, coin: str = "BTC") -> Contract:
    """An inverse perpetual of one dollar a contract."""
    return Contract(symbol, ContractKind.INVERSE, D(1), coin, D("0.1"), underlying=coin)


def future(days: int, symbol: str = "BTC-DATED", *, settle: str = "USDT") -> Contract:
    """A linear future of one coin that expires ``days`` days from now."""
    return replace(perpetual(symbol, settle=settle), expiry=datetime.fromtimestamp(NOW.timestamp() + days * 86400, UTC))


def option(strike: str, kind: str = "call", *, days: int = 30, settle: str = "USDT", name: str = "") -> Contract:
    """An option on one BTC that expires ``days`` days from now."""
    symbol = name or f"BTC-{days}-{strike}-{kind}"
    expiry = datetime.fromtimestamp(NOW.timestamp() + days * 86400, UTC)
    return Contract(
        symbol, ContractKind.OPTION, D(1), settle, D("0.1"), underlying="BTC", expiry=expiry, strike=D(strike),
        option_type=OptionType(kind),
    )  # fmt: skip


def held(contract: Contract, quantity: str, *, entry: str | None = None) -> tuple[Contract, Position]:
    """A cross position of signed contracts; without an entry, at the mark that :func:`assessed` takes."""
    price = D(entry) if entry is not None else mark_of(contract)
    return contract, Position(contract.symbol, D(quantity), price, MarginMode.CROSS)


def mark_of(contract: Contract) -> Decimal:
    """The mark of a contract in these tests: the index, and a tenth of a coin's price for an option's premium."""
    if contract.option:
        return D("0.05") if contract.settle_asset == "BTC" else D(3000)
    return BTC


def book(
    *positions: tuple[Contract, Position], wallet: dict[str, str] | None = None, volatility: str = "0.6",
    loans: dict[str, str] | None = None, spot_hedging: bool | None = None,
) -> Account:  # fmt: skip
    """A portfolio account that holds ``positions``, with 100,000 USDT unless a wallet is given."""
    symbols = [contract for contract, _ in positions]
    return Account(
        positions=tuple(position for _, position in positions),
        wallet={asset: D(amount) for asset, amount in (wallet or {"USDT": "100000"}).items()},
        collateral={
            "BTC": Collateral(index=BTC),
            "USDT": Collateral(),
            "USDC": Collateral(),
            "ETH": Collateral(D(2000)),
        },
        collateral_mode=CollateralMode.PORTFOLIO,
        risk=RiskInputs(
            time=NOW,
            index={"BTC": BTC},
            volatility={c.symbol: D(volatility) for c in symbols if c.option},
            loans={asset: D(amount) for asset, amount in (loans or {}).items()},
            spot_hedging=spot_hedging,
            reference={c.symbol: mark_of(c) for c in symbols},
        ),
    )


def rules(name: str, *positions: tuple[Contract, Position], day: str = "2026-02-15") -> Rulebook:
    """A packaged rulebook that knows the positions' contracts."""
    return rulebooks.load(name, date.fromisoformat(day)).with_tables({c.symbol: (c, None) for c, _ in positions})


def assessed(name: str, *positions: tuple[Contract, Position], day: str = "2026-02-15", **more: object) -> Assessment:
    """The assessment of a book of ``positions`` under a rulebook."""
    account = book(*positions, **more)  # type: ignore[arg-type]
    marks = {contract.symbol: mark_of(contract) for contract, _ in positions}
    return assess_account(account, marks, rules(name, *positions, day=day))[-1]
