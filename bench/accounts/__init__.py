"""The accounts that are timed: made from the packaged tables and a fixed seed, so the same everywhere.

Notionals are spread over the tiers, leverage is what the tier allows, two of three positions are long, marks are
within 2 % of the entries, and there are eight sets of marks so that nothing can be remembered from call to call.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import Account, Collateral, CollateralMode, MarginMode, Pool, Position, pools

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ringfence.rulebook import Rulebook

SEED = 20251010
TAKER_FEE = Decimal("0.00055")  # Bybit's for a regular user; its tables do not hold it
FIRST = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "AVAXUSDT", "LINKUSDT", "NEARUSDT", "FILUSDT", "ALGOUSDT", "XRPUSDT")
MARK_SETS = 8
CENT = Decimal("0.01")


class Book(NamedTuple):
    """An account, the marks it is assessed at in turn, and its rulebook."""

    account: Account
    marks: tuple[dict[str, Decimal], ...]
    rulebook: Rulebook

    @property
    def pool(self) -> Pool:
        """The last pool of the account: the shared one."""
        return pools(self.account, self.rulebook.contract)[-1]

    def turning_marks(self) -> Iterator[dict[str, Decimal]]:
        """Yield the sets of marks, over and over."""
        return cycle(self.marks)


def binance_books(rulebook: Rulebook, sizes: Sequence[int], mode: MarginMode) -> list[Book]:
    """Return USDT-margined accounts of ``sizes`` positions, all isolated or all in one cross pool."""
    positions = _linear_positions(rulebook, max(sizes), mode)
    return [_book(rulebook, positions[:size], "USDT") for size in sizes]


def bybit_books(rulebook: Rulebook, sizes: Sequence[int]) -> list[Book]:
    """Return unified accounts: one basket of USDT, BTC and ETH behind linear positions."""
    positions = _linear_positions(rulebook, max(sizes), MarginMode.CROSS)
    fees = {p.symbol: rulebook.entry(p.symbol) for p in positions}
    with_fees = rulebook.with_tables(
        {symbol: (replace(contract, taker_fee_rate=TAKER_FEE), tiers) for symbol, (contract, tiers) in fees.items()}
    )
    collateral = {
        "USDT": Collateral(),
        "BTC": Collateral(index=Decimal("117500.5"), ratio=Decimal("0.95")),
        "ETH": Collateral(index=Decimal("4310.25"), ratio=Decimal("0.9")),
    }
    books = []
    for size in sizes:
        book = _book(with_fees, positions[:size], "USDT")
        cash = book.account.wallet["USDT"] or Decimal(0)
        wallet = {"USDT": cash, "BTC": (cash / 400_000).quantize(CENT**4), "ETH": (cash / 40_000).quantize(CENT**4)}
        account = replace(
            book.account, wallet=wallet, collateral=collateral, collateral_mode=CollateralMode.MULTI_ASSET
        )
        books.append(book._replace(account=account))
    return books


def inverse_books(rulebook: Rulebook, sizes: Sequence[int]) -> list[Book]:
    """Return coin-margined accounts: BTCUSD_PERP and made-up expiries with its terms, in one cross pool of BTC."""
    terms = rulebook.entry("BTCUSD_PERP")
    symbols = ["BTCUSD_PERP", *(f"BTCUSD_{number:06}" for number in range(1, max(sizes)))]
    filled = rulebook.with_tables({s: (replace(terms[0], symbol=s), terms[1]) for s in symbols})
    chance = Random(SEED)  # noqa: S311 - not for secrets
    positions = [
        Position(
            symbol,
            Decimal(chance.randint(50, 5_000)) * (-1 if number % 3 == 2 else 1),
            Decimal(chance.randint(1_150_000, 1_190_000)).scaleb(-1),
            MarginMode.CROSS,
            leverage=Decimal(10),
        )
        for number, symbol in enumerate(symbols)
    ]
    return [_book(filled, positions[:size], "BTC") for size in sizes]


def _linear_positions(rulebook: Rulebook, count: int, mode: MarginMode) -> list[Position]:
    known = [s for s in rulebook.symbols() if s.endswith("USDT") and rulebook.tiers(s) is not None]
    symbols = [*(s for s in FIRST if s in known), *(s for s in known if s not in FIRST)]
    chance = Random(SEED)  # noqa: S311 - not for secrets
    positions = []
    for number, symbol in enumerate(symbols[:count]):
        price = Decimal(chance.randint(10_000, 99_999)).scaleb(chance.randint(-5, 0))
        tiers = rulebook.tiers(symbol)
        assert tiers is not None
        notional = min(Decimal(int(chance.lognormvariate(9.5, 1.6))), (tiers.tiers[-1].cap or Decimal("1e9")) / 2)
        quantity = (notional / price).quantize(Decimal("0.001"), ROUND_HALF_EVEN) or Decimal("0.001")
        allowed = tiers.tiers[tiers.index_at(quantity * price)].max_leverage or Decimal(10)
        leverage = min(allowed, Decimal(chance.choice((5, 10, 20))))
        margin = (quantity * price / leverage).quantize(CENT) if mode is MarginMode.ISOLATED else None
        positions.append(Position(symbol, -quantity if number % 3 == 2 else quantity, price, mode, margin, leverage))
    return positions


def _book(rulebook: Rulebook, positions: list[Position], asset: str) -> Book:
    """Return the book of ``positions`` with a wallet of a fifth of their entry value."""
    chance = Random(SEED)  # noqa: S311 - not for secrets
    marks = tuple(
        {p.symbol: _near(p.entry_price, Decimal(chance.randint(-2_000, 2_000)).scaleb(-5)) for p in positions}
        for _ in range(MARK_SETS)
    )
    value = sum(abs(p.quantity) * rulebook.contract(p.symbol).contract_value(p.entry_price) for p in positions)
    wallet = (Decimal(value) / 5).quantize(Decimal("0.00000001"))
    return Book(Account(tuple(positions), wallet={asset: wallet}), marks, rulebook)


def _near(price: Decimal, move: Decimal) -> Decimal:
    return (price * (1 + move)).quantize(Decimal(1).scaleb(price.as_tuple().exponent - 1))  # type: ignore[operator]


def peer_trades(book: Book) -> dict[str, Any]:
    """Return a linear account in the words of freqtrade, in float."""
    return {
        "wallet": float(book.account.wallet["USDT"] or 0),
        "trades": [
            {
                "pair": f"{p.symbol.removesuffix('USDT')}/USDT:USDT",
                "open_rate": float(p.entry_price),
                "is_short": p.quantity < 0,
                "amount": float(abs(p.quantity)),
                "stake_amount": float(p.isolated_margin or abs(p.quantity) * p.entry_price / (p.leverage or 1)),
                "leverage": float(p.leverage or 1),
            }
            for p in book.account.positions
        ],
    }
