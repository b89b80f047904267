"""Changes of an account: every refusal, what is conserved, and trades in every direction."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.account import Account, Collateral, CollateralMode, MarginMode, OpenOrder, Position, PositionMode
from ringfence.contract import Contract, ContractKind
from ringfence.margin import change
from ringfence.margin.change import Change, Fill
from ringfence.margin.refusal import REASONS, Refusal, refuse
from ringfence.numbers import exact
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable

if TYPE_CHECKING:
    from collections.abc import Callable

LINEAR = Contract("X", ContractKind.LINEAR, Decimal(1), "USDT")
INVERSE = Contract("I", ContractKind.INVERSE, Decimal(100), "BTC")
TIERS = TierTable(
    (
        Tier(Decimal(0), Decimal("0.01"), Decimal(0), Decimal(50)),
        Tier(Decimal(1000), Decimal("0.02"), Decimal(10), Decimal(20), Decimal(5000)),
    )
)
MARKS = {"X": Decimal(100), "Y": Decimal(100), "I": Decimal(100)}


def _rulebook(refusals: dict[str, str] | None = None, **policies: Any) -> Rulebook:
    chosen = Policies(**policies)
    tables = {"X": (LINEAR, TIERS), "Y": (replace(LINEAR, symbol="Y"), None), "I": (INVERSE, None)}
    return Rulebook(
        "t", "T", None, isolated=chosen, cross=chosen, basket=chosen, tables=tables, refusals=refusals or {}
    )


def _cross(quantity: str, entry: str = "100", symbol: str = "X", leverage: str | None = "10") -> Position:
    chosen = None if leverage is None else Decimal(leverage)
    return Position(symbol, Decimal(quantity), Decimal(entry), MarginMode.CROSS, None, chosen)


def _isolated(
    quantity: str, margin: str, entry: str = "100", symbol: str = "X", leverage: str | None = "10"
) -> Position:
    chosen = None if leverage is None else Decimal(leverage)
    return Position(symbol, Decimal(quantity), Decimal(entry), MarginMode.ISOLATED, Decimal(margin), chosen)


def _account(*positions: Position, wallet: str | None = "1000", asset: str = "USDT", **more: Any) -> Account:
    return Account(positions, wallet={asset: None if wallet is None else Decimal(wallet)}, **more)


def _add(account: Account, amount: str, side: str = "long", **more: Any) -> change.Outcome:
    return change.add_isolated_margin(account, "X", side, Decimal(amount), marks=MARKS, rulebook=_rulebook(**more))


def _remove(account: Account, amount: str, side: str = "long") -> change.Outcome:
    return change.remove_isolated_margin(account, "X", side, Decimal(amount), marks=MARKS, rulebook=_rulebook())


def _leverage(account: Account, leverage: str, **more: Any) -> change.Outcome:
    return change.change_leverage(account, "X", Decimal(leverage), marks=MARKS, rulebook=_rulebook(**more))


def _switch(account: Account, mode: MarginMode, rulebook: Rulebook | None = None, **more: Any) -> change.Outcome:
    return change.switch_margin_mode(account, "X", mode, marks=MARKS, rulebook=rulebook or _rulebook(), **more)


def _trade(account: Account, quantity: str, price: str = "100", symbol: str = "X", **more: Any) -> change.Outcome:
    fill = Fill(symbol, Decimal(quantity), Decimal(price), **more)
    return change.trade(account, fill, marks=MARKS, rulebook=_rulebook())


def _done(outcome: change.Outcome) -> Change:
    assert isinstance(outcome, Change), str(outcome)
    return outcome


def _capital(account: Account) -> Decimal:
    """Everything an account holds in money, without what its positions have gained."""
    wallets = sum((amount or Decimal(0) for amount in account.wallet.values()), Decimal(0))
    return wallets + sum((p.isolated_margin or Decimal(0) for p in account.positions), Decimal(0))


# ── Every refusal ─────────────────────────────────────────────────────────────────────────────────────────────────

BASKET: dict[str, Any] = {
    "collateral_mode": CollateralMode.MULTI_ASSET,
    "collateral": {"USDT": Collateral()},
}
ORDERS = (OpenOrder("X", Decimal(1), Decimal(90), Decimal(10)),)
HEDGE: dict[str, Any] = {"position_mode": PositionMode.HEDGE}

REFUSED: list[tuple[str, Callable[[], change.Outcome]]] = [
    ("no_position", lambda: _add(_account(), "1")),
    ("not_isolated", lambda: _add(_account(_cross("1")), "1")),
    ("balance_unknown", lambda: _add(_account(_isolated("1", "10"), wallet=None), "1")),
    ("insufficient_balance", lambda: _add(_account(_isolated("1", "10")), "1000.01")),
    ("margin_not_removable", lambda: _remove(_account(_isolated("1", "12")), "2.01")),
    ("leverage_unknown", lambda: _remove(_account(_isolated("1", "12", leverage=None)), "1")),
    ("no_position", lambda: _leverage(_account(), "5")),
    ("leverage_above_tier", lambda: _leverage(_account(_cross("15")), "25")),
    (
        "leverage_down_isolated",
        lambda: _leverage(_account(_isolated("1", "10")), "5", refusals={"leverage_down_isolated": "no"}),
    ),
    ("insufficient_balance", lambda: _leverage(_account(_cross("9"), wallet="100"), "5")),
    ("no_position", lambda: _switch(_account(), MarginMode.ISOLATED)),
    ("unchanged", lambda: _switch(_account(_cross("1")), MarginMode.CROSS)),
    ("isolated_margin_in_basket", lambda: _switch(_account(_cross("1"), **BASKET), MarginMode.ISOLATED)),
    ("margin_mode_with_orders", lambda: _switch(_account(_cross("1"), orders=ORDERS), MarginMode.ISOLATED)),
    (
        "margin_mode_with_position",
        lambda: _switch(_account(_cross("1")), MarginMode.ISOLATED, _rulebook({"margin_mode_with_position": "no"})),
    ),
    (
        "cross_to_isolated",
        lambda: _switch(_account(_cross("1")), MarginMode.ISOLATED, _rulebook({"cross_to_isolated": "no"})),
    ),
    ("leverage_unknown", lambda: _switch(_account(_cross("1", leverage=None)), MarginMode.ISOLATED)),
    ("insufficient_balance", lambda: _switch(_account(_cross("9"), wallet="50"), MarginMode.ISOLATED)),
    ("would_be_liquidated", lambda: _switch(_account(_cross("5", "112")), MarginMode.ISOLATED)),
    ("unchanged", lambda: _mode(_account(), PositionMode.ONE_WAY)),
    ("position_mode_with_orders", lambda: _mode(_account(orders=ORDERS), PositionMode.HEDGE)),
    (
        "position_mode_with_position",
        lambda: _mode(_account(_cross("1")), PositionMode.HEDGE, {"position_mode_with_position": "no"}),
    ),
    ("position_mode_with_position", lambda: _mode(_account(_cross("1"), _cross("-1"), **HEDGE), PositionMode.ONE_WAY)),
    ("minimum_quantity", lambda: _trade(_account(), "0")),
    ("no_position", lambda: _trade(_account(**HEDGE), "-1", position_side="long")),
    ("reduce_only", lambda: _trade(_account(_cross("1"), **HEDGE), "-2", position_side="long")),
    ("leverage_unknown", lambda: _trade(_account(), "1", margin_mode=MarginMode.ISOLATED)),
    ("above_last_tier", lambda: _trade(_account(wallet="9999"), "51", leverage=Decimal(10))),
    ("leverage_above_tier", lambda: _trade(_account(wallet="9999"), "15", leverage=Decimal(25))),
    ("insufficient_balance", lambda: _trade(_account(wallet="5"), "1", leverage=Decimal(10))),
    ("no_position", lambda: _close(_account(), "long")),
]


def _mode(account: Account, mode: PositionMode, refusals: dict[str, str] | None = None) -> change.Outcome:
    return change.switch_position_mode(account, mode, marks=MARKS, rulebook=_rulebook(refusals))


def _close(account: Account, side: str, price: str = "100") -> change.Outcome:
    return change.close(account, "X", side, price=Decimal(price), marks=MARKS, rulebook=_rulebook())


@pytest.mark.parametrize(("reason", "ask"), REFUSED, ids=[f"{reason}-{n}" for n, (reason, _) in enumerate(REFUSED)])
def test_a_refusal_has_its_name_its_number_and_a_sentence(reason: str, ask: Callable[[], change.Outcome]) -> None:
    outcome = ask()
    assert isinstance(outcome, Refusal), outcome
    assert (outcome.reason, outcome.number) == (reason, REASONS[reason])
    assert str(outcome) == f"refused ({outcome.number} {reason}): {outcome.message}"


def test_numbers_are_each_used_once_and_a_name_without_one_is_a_bug() -> None:
    assert len(set(REASONS.values())) == len(REASONS)
    with pytest.raises(KeyError):
        refuse("because", "it rains")


# ── Isolated margin ───────────────────────────────────────────────────────────────────────────────────────────────


def test_adding_margin_moves_it_from_the_wallet_and_lowers_the_liquidation_price() -> None:
    changed = _done(_add(_account(_isolated("1", "10")), "40"))
    assert changed.account.wallet["USDT"] == 1000 - 40
    assert changed.account.positions[0].isolated_margin == 10 + 40
    assert changed.before[0].margin_balance == 10
    assert changed.after[0].margin_balance == 50


def test_what_is_free_is_what_cross_positions_leave() -> None:
    account = _account(_isolated("1", "10"), _cross("20", symbol="Y"), wallet="300")  # Y ties up 200
    assert change.free_balance(account, "USDT", marks=MARKS, rulebook=_rulebook()) == 100
    assert isinstance(_add(account, "100"), Change)
    assert isinstance(_add(account, "100.01"), Refusal)


def test_an_asset_that_is_not_held_has_nothing_free() -> None:
    assert change.free_balance(_account(), "BTC", marks=MARKS, rulebook=_rulebook()) == 0


def test_margin_above_the_initial_may_be_removed_but_neither_profit_nor_what_a_loss_needs() -> None:
    gained, lost = _account(_isolated("1", "30", entry="90")), _account(_isolated("1", "30", entry="110"))

    def removable(account: Account) -> Decimal | Refusal:
        return change.removable_margin(account, "X", "long", marks=MARKS, rulebook=_rulebook())

    assert removable(gained) == 30 - 10  # the profit of 10 stays
    assert removable(lost) == 30 - 10 - 10  # the loss of 10 is held back
    assert removable(_account(_isolated("1", "5"))) == 0


def test_removing_margin_brings_it_back_to_the_wallet() -> None:
    changed = _done(_remove(_account(_isolated("1", "12")), "2"))
    assert [changed.account.wallet["USDT"], changed.account.positions[0].isolated_margin] == [1002, 10]


@given(st.integers(1, 500), st.integers(0, 900), st.integers(0, 400))
@exact
def test_capital_is_conserved_by_margin_in_and_out_and_by_a_change_of_mode(margin: int, add: int, remove: int) -> None:
    account = _account(_isolated("1", str(margin)))
    for outcome in (
        _add(account, str(add)) if add else account,
        _remove(account, str(remove)) if remove else account,
        _switch(account, MarginMode.CROSS),
    ):
        if isinstance(outcome, Change):
            assert _capital(outcome.account) == _capital(account)
    crossed = _done(_switch(account, MarginMode.CROSS)).account
    back = _switch(crossed, MarginMode.ISOLATED)
    if isinstance(back, Change):
        assert _capital(back.account) == _capital(account)


# ── Leverage and modes ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_higher_leverage_frees_margin_of_a_cross_position_and_keeps_that_of_an_isolated_one() -> None:
    cross = _done(_leverage(_account(_cross("5")), "20"))
    assert [cross.before[0].initial_margin, cross.after[0].initial_margin] == [50, 25]
    isolated = _done(_leverage(_account(_isolated("5", "50")), "20"))
    assert isolated.account.positions[0].isolated_margin == 50


def test_both_legs_of_a_symbol_take_the_leverage() -> None:
    changed = _done(_leverage(_account(_cross("5"), _cross("-2"), **HEDGE), "20"))
    assert [position.leverage for position in changed.account.positions] == [20, 20]


def test_switching_to_isolated_funds_the_position_at_entry_and_back_returns_its_margin() -> None:
    isolated = _done(_switch(_account(_cross("5", "101")), MarginMode.ISOLATED)).account
    assert isolated.positions[0].isolated_margin == Decimal(505) / 10
    assert isolated.wallet["USDT"] == 1000 - Decimal("50.5")
    back = _done(_switch(isolated, MarginMode.CROSS)).account
    assert back.wallet["USDT"] == 1000
    assert back.positions[0].isolated_margin is None


def test_as_if_free_asks_past_a_venues_precondition_but_not_past_the_money() -> None:
    strict = _rulebook({"margin_mode_with_position": "no"})
    assert isinstance(_switch(_account(_cross("1")), MarginMode.ISOLATED, strict, as_if="free"), Change)
    poor = _switch(_account(_cross("9"), wallet="50"), MarginMode.ISOLATED, strict, as_if="free")
    assert isinstance(poor, Refusal)


def test_only_the_leg_that_is_not_there_yet_is_switched() -> None:
    account = _account(_cross("1"), _isolated("-1", "10"), **HEDGE)
    changed = _done(_switch(account, MarginMode.CROSS)).account
    assert [position.margin_mode for position in changed.positions] == [MarginMode.CROSS] * 2
    assert changed.wallet["USDT"] == 1010


def test_the_position_mode_changes_where_nothing_stands_against_it() -> None:
    assert _done(_mode(_account(), PositionMode.HEDGE)).account.position_mode is PositionMode.HEDGE
    assert isinstance(_mode(_account(_cross("1")), PositionMode.HEDGE), Change)  # a venue that does not mind


# ── Trades ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_opening_takes_the_fee_and_leaves_the_margin_in_the_pool() -> None:
    changed = _done(_trade(_account(), "2", leverage=Decimal(10), fee_rate=Decimal("0.001")))
    (held,) = changed.account.positions
    assert [held.quantity, held.entry_price, held.leverage] == [2, 100, 10]
    assert changed.account.wallet["USDT"] == 1000 - Decimal("0.2")


def test_adding_averages_by_value() -> None:
    linear = _done(_trade(_account(_cross("1", "100")), "3", "120")).account.positions[0]
    assert [linear.quantity, linear.entry_price] == [4, (100 + 3 * 120) / Decimal(4)]
    # inverse: 1 contract at 100 and 3 at 120 are worth 1 + 2.5 BTC: 4 · 100 ÷ 3.5
    coin = _account(_cross("1", "100", "I"), wallet="1000", asset="BTC")
    inverse = _done(_trade(coin, "3", "120", "I")).account.positions[0]
    assert abs(inverse.entry_price * Decimal("3.5") - 400) < Decimal("1e-20")


def test_reducing_realises_its_share_and_keeps_the_entry() -> None:
    changed = _done(_trade(_account(_cross("4", "90")), "-1", "100"))
    assert changed.account.wallet["USDT"] == 1000 + 10
    assert [changed.account.positions[0].quantity, changed.account.positions[0].entry_price] == [3, 90]


def test_reducing_an_isolated_position_releases_its_margin_pro_rata() -> None:
    changed = _done(_trade(_account(_isolated("4", "48", "90")), "-1", "80"))
    assert changed.account.positions[0].isolated_margin == 48 - 12
    assert changed.account.wallet["USDT"] == 1000 + 12 - 10  # a quarter of the margin, a loss of 10


def test_turning_around_closes_and_opens_at_the_price() -> None:
    changed = _done(_trade(_account(_cross("1", "90")), "-3", "100"))
    (held,) = changed.account.positions
    assert [held.quantity, held.entry_price] == [-2, 100]
    assert changed.account.wallet["USDT"] == 1000 + 10


def test_turning_an_isolated_position_around_funds_the_new_side() -> None:
    changed = _done(_trade(_account(_isolated("1", "10", "90")), "-3", "100"))
    (held,) = changed.account.positions
    assert [held.quantity, held.isolated_margin] == [-2, 2 * 100 / Decimal(10)]
    assert changed.account.wallet["USDT"] == 1000 + 10 + 10 - 20


def test_a_short_gains_by_closing_lower_and_an_inverse_one_in_coin() -> None:
    assert _done(_close(_account(_cross("-2")), "short", "90")).account.wallet["USDT"] == 1000 + 20
    coin = _account(_cross("-2", "100", "I"), wallet="10", asset="BTC")
    closed = change.close(coin, "I", "short", price=Decimal(80), marks=MARKS, rulebook=_rulebook())
    # −2 contracts of 100 USD: worth 2 BTC at 100, 2.5 at 80
    assert _done(closed).account.wallet["BTC"] == 10 + Decimal("0.5")
    assert _done(closed).account.positions == ()


def test_hedge_legs_are_traded_each_by_its_side() -> None:
    account = _account(_cross("2", "90"), _cross("-1", "110"), **HEDGE)
    closed = _done(_trade(account, "-2", position_side="long")).account
    assert [position.quantity for position in closed.positions] == [-1]
    assert closed.wallet["USDT"] == 1000 + 20
    bought = _done(_trade(account, "1")).account  # without a side a buy is of the long leg
    assert [position.quantity for position in bought.positions] == [3, -1]
    sold = _done(_trade(account, "-1")).account
    assert [position.quantity for position in sold.positions] == [2, -2]


def test_a_close_is_allowed_whatever_it_leaves_behind() -> None:
    account = _account(_cross("5"), _cross("30", symbol="Y"), wallet="20")  # far below its initial margin
    assert isinstance(_trade(account, "-5", "99"), Change)


@given(st.integers(-40, 40), st.integers(-40, 40), st.integers(60, 140), st.integers(60, 140))
@exact
def test_money_and_marks_add_up_over_any_two_trades(first: int, second: int, buy: int, sell: int) -> None:
    """Equity at the mark moves by exactly what each fill was better or worse than the mark."""
    account = _account(wallet="100000")
    expected = Decimal(100_000)
    for quantity, price in ((first, buy), (second, sell)):
        if not quantity:
            continue
        outcome = _trade(account, str(quantity), str(price), "Y", leverage=Decimal(10))
        if isinstance(outcome, Refusal):
            return
        account = outcome.account
        expected += quantity * (100 - Decimal(price))
        equity = outcome.after[0].margin_balance
        assert equity is not None
        assert abs(equity - expected) < Decimal("1e-18")
