"""Orders held to guard rails: what opens is refused beyond a limit, what reduces never is."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from ringfence.account import Account, MarginMode, OpenOrder, Position, PositionMode, pools
from ringfence.guard_rails import GuardRails
from ringfence.margin.change import Fill
from ringfence.margin.order import check_order
from ringfence.margin.rails import against_rails
from tests.unit.engine.small_venue import rules

RULES = rules()
MARKS = {"X": Decimal(100), "Y": Decimal(100)}
D = Decimal


def _account(wallet: str | None = "1000", *positions: Position, hedge: bool = False) -> Account:
    mode = PositionMode.HEDGE if hedge else PositionMode.ONE_WAY
    return Account(tuple(positions), (), {"USDT": None if wallet is None else D(wallet)}, position_mode=mode)


def _held(quantity: str, margin: str | None = None, leverage: str = "10") -> Position:
    mode = MarginMode.CROSS if margin is None else MarginMode.ISOLATED
    return Position("X", D(quantity), D(100), mode, None if margin is None else D(margin), D(leverage))


def _fill(quantity: str, leverage: str | None = "10", **more: object) -> Fill:
    return Fill("X", D(quantity), D(100), None if leverage is None else D(leverage), **more)  # type: ignore[arg-type]


def _refused(account: Account, fill: Fill, rails: GuardRails) -> str | None:
    found = against_rails(account, fill, rails, marks=MARKS, rulebook=RULES)
    return None if found is None else found.reason


def test_leverage_above_the_ceiling_of_its_symbol_is_refused() -> None:
    rails = GuardRails(leverage_ceiling=D(5), leverage_by_symbol={"Y": D(20)})
    assert _refused(_account(), _fill("1", "10"), rails) == "guard_rail_leverage"
    assert _refused(_account(), _fill("1", "5"), rails) is None
    assert _refused(_account(), _fill("1", "20")._replace(symbol="Y"), rails) is None
    assert _refused(_account("1000", _held("1", leverage="8")), _fill("1", None), rails) == "guard_rail_leverage"


def test_a_position_may_tie_up_no_more_than_its_share_of_the_wallet() -> None:
    rails = GuardRails(largest_share=D("0.2"))
    # 20 contracts of 100 at tenfold leverage: 200 of 1,000
    assert _refused(_account(), _fill("20"), rails) is None
    assert _refused(_account(), _fill("20.01"), rails) == "guard_rail_share"
    # what is held counts: 15 + 6 contracts tie up 210
    assert _refused(_account("1000", _held("15")), _fill("6"), rails) == "guard_rail_share"


def test_the_wallet_of_a_share_includes_what_isolated_positions_were_given() -> None:
    rails = GuardRails(largest_share=D("0.2"))
    isolated = _held("5", margin="150")
    # 850 + 150: adding 5 contracts brings its margin to 150 + 50 = 200 of 1,000
    assert _refused(_account("850", isolated), _fill("5"), rails) is None
    assert _refused(_account("850", isolated), _fill("5.01"), rails) == "guard_rail_share"


def test_a_share_of_a_wallet_that_is_not_known_is_refused() -> None:
    assert _refused(_account(None), _fill("1"), GuardRails(largest_share=D("0.5"))) == "balance_unknown"


def test_health_after_the_fill_may_not_be_below_the_floor() -> None:
    # 30 contracts: maintenance 30 against 1,000: health 33.33; isolated they have 300: health 10
    assert _refused(_account(), _fill("30"), GuardRails(health_floor=D(33))) is None
    assert _refused(_account(), _fill("30"), GuardRails(health_floor=D(34))) == "guard_rail_health"
    isolated = _fill("30", margin_mode=MarginMode.ISOLATED)
    assert _refused(_account(), isolated, GuardRails(health_floor=D(10))) is None
    assert _refused(_account(), isolated, GuardRails(health_floor=D("10.01"))) == "guard_rail_health"


@pytest.mark.parametrize(
    "rails", [GuardRails(leverage_ceiling=D(2)), GuardRails(largest_share=D("0.01")), GuardRails(health_floor=D(500))]
)
def test_what_reduces_always_passes(rails: GuardRails) -> None:
    held = _account("1000", _held("30"))
    assert _refused(held, _fill("-10"), rails) is None
    assert _refused(held, _fill("-30"), rails) is None
    assert _refused(held, _fill("-90"), rails) is not None  # turned around: 60 short are opened
    both = _account("1000", _held("30"), replace(_held("30"), quantity=D(-10)), hedge=True)
    assert _refused(both, _fill("-10", position_side="long"), rails) is None
    assert _refused(both, _fill("-10", position_side="short"), rails) is not None


def test_the_venue_s_own_refusal_comes_first() -> None:
    assert _refused(_account("200"), _fill("30"), GuardRails(health_floor=D(2))) == "insufficient_balance"


def test_check_order_refuses_by_guard_rails_what_the_venue_takes() -> None:
    pool = pools(_account("1000", _held("10")), RULES.contract)[0]
    order = OpenOrder("X", D(20), D(100), D(10))
    rails = GuardRails(largest_share=D("0.2"))
    assert check_order(pool, order, MARKS, RULES).accepted
    checked = check_order(pool, order, MARKS, RULES, rails=rails)
    assert checked.refusal is not None
    assert (checked.refusal.number, checked.refusal.reason) == (602, "guard_rail_share")
    assert "300" in checked.refusal.message  # 30 contracts of 100 at tenfold leverage
    closing = replace(order, quantity=D(-5), reduce_only=True)
    assert check_order(pool, closing, MARKS, RULES, rails=rails).accepted
