"""Random books and tapes to replay, and a small book whose every figure can be worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ringfence.account_file import parse
from ringfence.tape.csv_file import read_csv_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringfence.account_file import AccountFile
    from ringfence.tape import Tape

START = datetime(2025, 10, 10, 18, tzinfo=UTC)

PROGRESSIVE = [
    {"floor": "0", "maintenance_rate": "0.01"},
    {"floor": "900", "maintenance_rate": "0.05"},
    {"floor": "1300", "maintenance_rate": "0.10"},
    {"floor": "2500", "maintenance_rate": "0.15"},
]


def contract(**terms: Any) -> dict[str, Any]:
    """Terms of a linear contract settled in USDT with one tier of 1 %, unless told otherwise."""
    return {"settle_asset": "USDT", "tiers": PROGRESSIVE[:1], **terms}


def account_file(
    positions: Sequence[Mapping[str, Any]],
    *,
    wallet: Mapping[str, str],
    contracts: Mapping[str, Any],
    policy: Mapping[str, Any] | None = None,
    hedge: bool = False,
    rulebook: str = "binance-usdm",
    **more: Any,
) -> AccountFile:
    """An account file made in memory; a position needs symbol, side, quantity, entry_price."""
    return parse(
        {
            "rulebook": rulebook,
            "policy": dict(policy or {}),
            "contracts": dict(contracts),
            "account": {
                "wallet": dict(wallet),
                "positions": [dict(position) for position in positions],
                "position_mode": "hedge" if hedge else "one_way",
                **more,
            },
        },
        where="book.json",
    )


def tape_of(prices: Mapping[str, Sequence[str | None]], *, price_kind: str = "mark") -> Tape:
    """A tape whose bars stand still at the given prices, one per minute; None leaves the bar out."""
    lines = [f"# price_kind: {price_kind}", "ts,symbol,open,high,low,close"]
    for symbol, path in prices.items():
        for minute, price in enumerate(path):
            if price is not None:
                ts = (START + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")
                lines.append(f"{ts},{symbol},{price},{price},{price},{price}")
    return read_csv_text("\n".join(lines), name="steps", file="steps.csv")


_ENTRIES = {"LIN": 100, "STEP": 100, "INV": 100}
# Each bends the requirement in a way of its own; what is not linear inside a tier has to go without bands.
_POLICIES: list[dict[str, Any]] = [
    {},
    {"tier_type": "step", "trigger": "below"},
    {"maintenance_at": "entry", "closing_fee": "entry"},
    {"maintenance_at": "frozen_mark"},
    {"maintenance_at": "frozen_mark", "closing_fee": "frozen_mark"},
    {"closing_fee": "mark", "funding_reserve_rate": "0.02"},
    {"closing_fee": "entry_and_margin", "closing_fee_in_maintenance": True},
    {"closing_fee": "leverage_bankruptcy_price"},
    {"closing_fee": "bankruptcy_price"},
    {"tier_key": "net", "hedge_charge": "larger_side"},
    {"tier_key": "larger_side", "hedge_charge": "larger_side", "closing_fee": "mark"},
    {"maintenance_from_initial": True, "initial_margin_rounding": "up", "initial_margin_step": "10"},
    {"maintenance_rate_base": "0.02", "rate_per_unit_of_base": "0.004"},
]


def _with_leverage(tiers: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{**tier, "max_leverage": "5"} for tier in tiers]


@st.composite
def books(draw: st.DrawFn) -> AccountFile:
    """A linear, a step-tier and an inverse symbol, long or short or both, at 2 to 5 times leverage."""
    positions = []
    policy = draw(st.sampled_from(_POLICIES))
    hedge = "tier_key" in policy or draw(st.booleans())
    symbols = draw(st.lists(st.sampled_from(list(_ENTRIES)), min_size=1, max_size=3, unique=True))
    for symbol in symbols:
        sides = draw(st.sampled_from([["long"], ["short"]] + ([["long", "short"]] if hedge else [])))
        for side in sides:
            size = draw(st.integers(1, 30))
            positions.append(
                {
                    "symbol": symbol,
                    "side": side,
                    "quantity": str(size),
                    "entry_price": str(draw(st.integers(90, 110))),
                    "leverage": str(draw(st.sampled_from([2, 3, 5]))),
                }
            )
    wallet = draw(st.integers(1_800, 6_000))
    return account_file(
        positions,
        wallet={"USDT": str(wallet), "COIN": str(draw(st.integers(20, 60)))},
        hedge=hedge,
        policy=policy,
        contracts={
            "LIN": contract(tiers=_with_leverage(PROGRESSIVE), taker_fee_rate="0.05"),
            "STEP": contract(
                tiers=[{**tier, "deduction": "0"} for tier in _with_leverage(PROGRESSIVE)], taker_fee_rate="0.08"
            ),
            "INV": {
                "kind": "inverse", "settle_asset": "COIN", "contract_size": "10", "taker_fee_rate": "0.06",
                "tiers": [{"floor": "0", "maintenance_rate": "0.01"}, {"floor": "1", "maintenance_rate": "0.05"},
                          {"floor": "2.5", "maintenance_rate": "0.1"}],
            },
        },
    )  # fmt: skip


@st.composite
def wild_tapes(draw: st.DrawFn) -> Tape:
    """Twelve minutes of each symbol, with moves of up to a fifth per minute and now and then a gap."""
    lines = ["# price_kind: mark", "ts,symbol,open,high,low,close"]
    for symbol, entry in _ENTRIES.items():
        price = entry * 1000
        for minute in range(12):
            opened = price
            price = max(price * draw(st.integers(80, 122)) // 100, 1_000)
            wick = draw(st.integers(0, 6))
            high, low = max(opened, price) * (100 + wick) // 100, min(opened, price) * (100 - wick) // 100
            if minute and draw(st.integers(0, 15)) == 0:
                continue
            ts = (START + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")
            lines.append(f"{ts},{symbol}," + ",".join(f"{p / 1000:.3f}" for p in (opened, high, low, price)))
    return read_csv_text("\n".join(lines), name="wild", file="wild.csv")
