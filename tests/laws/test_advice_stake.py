"""Laws of the smaller stake: within its share of the capital, as large as whole lots allow, and paid for."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ringfence import assess_account
from ringfence.account_file import parse
from ringfence.study.advice.holding import book_of
from ringfence.study.advice.stake import CEILING, smaller

LOT = Fraction(1, 1000)
FEE = Decimal("0.0005")
SHARE = Fraction(5, 100)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    held = {
        "symbol": "BTCUSDT", "side": draw(st.sampled_from(["long", "short"])),
        "quantity": str(Decimal(draw(st.integers(1, 400))) / 1000),
        "entry_price": str(draw(st.integers(60_000, 140_000))), "mark_price": str(draw(st.integers(80_000, 120_000))),
        "leverage": str(draw(st.integers(1, 50))),
    }  # fmt: skip
    if draw(st.booleans()):
        held |= {"margin_mode": "isolated", "isolated_margin": str(draw(st.integers(1, 20_000)))}
    contract = {"settle_asset": "USDT", "quantity_step": "0.001", "minimum_notional": "100",
                "tiers": [{"floor": "0", "maintenance_rate": "0.004"}]}  # fmt: skip
    return {"rulebook": "binance-usdm", "as_of": "2025-10-10", "contracts": {"BTCUSDT": contract},
            "account": {"wallet": {"USDT": str(draw(st.integers(1, 60_000)))}, "positions": [held]}}  # fmt: skip


def equity(account: Any, marks: Any, rulebook: Any) -> Fraction:
    return sum((Fraction(a.margin_balance or 0) for a in assess_account(account, marks, rulebook)), Fraction(0))


@given(cases())
@settings(max_examples=150, deadline=None)
def test_what_is_left_is_the_most_that_the_stake_allows_and_costs_its_fee(case: dict[str, Any]) -> None:
    file = parse(case, where="law")
    rulebook = file.rulebook()
    book = book_of(file.account, file.marks, rulebook)
    before = equity(file.account, file.marks, rulebook)
    assume(before > 0)
    found = smaller(file.account, book, (), capital=float(before), prices={"USDT": 1.0}, fee_rate=FEE)
    raw = case["account"]["positions"][0]
    size, mark, entry = (Fraction(raw[name]) for name in ("quantity", "mark_price", "entry_price"))
    sign = 1 if raw["side"] == "long" else -1
    leverage = min(Fraction(CEILING["bitcoin"]), Fraction(raw["leverage"]))
    # a contract's stake: what it is funded with, at entry or at the mark, and what it has gained
    gain = sign * (mark - entry)
    each = max(entry / leverage + gain, mark / leverage, gain)
    left = sum((Fraction(abs(p.quantity)) for p in found.book.positions), Fraction(0))
    assert 0 <= left <= size
    closed = size - left
    assert equity(found.account, file.marks, rulebook) == before - closed * mark * Fraction(FEE)
    assert equity(found.book.account, file.marks, rulebook) == before - closed * mark * Fraction(FEE)
    if not closed:
        assert left * each <= before * SHARE + Fraction(1, 100)
        return
    assert (left / LOT).denominator == 1
    assert left * each <= before * SHARE
    more = left + LOT
    if left or more * mark >= 100:  # else the venue's smallest order is why
        assert more * each > before * SHARE - Fraction(
            2, 100
        )  # a cent for the margin's rounding, one for the capital's
