"""The walk over tiers: where a surplus changes sign, in each direction, and nowhere else."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ringfence.margin.lines import Charge
from ringfence.margin.walk import Equity, Leg, Walk, fraction, root
from ringfence.numbers import ONE, ZERO, exact
from ringfence.rulebook import Tier, TierTable

PROGRESSIVE = TierTable(
    (
        Tier(Decimal(0), Decimal("0.1"), Decimal(0), None),
        Tier(Decimal(100), Decimal("0.2"), Decimal(10), None),
        Tier(Decimal(200), Decimal("0.5"), Decimal(70), None),
    )
)
STEPS = TierTable(
    (Tier(Decimal(0), Decimal("0.1"), Decimal(0), None), Tier(Decimal(100), Decimal("0.3"), Decimal(0), None))
)
NO_RATE = TierTable((Tier(Decimal(0), Decimal("0.1"), ZERO, None), Tier(Decimal(100), None, ZERO, None)))


def _charge(table: TierTable, size: int = 1) -> Charge:
    """A charge of ``size`` contracts at the mark, whose tier is that of its own value."""
    return Charge(Decimal(size), True, None, table, Decimal(size), ZERO, None, ZERO, ZERO, ZERO)  # noqa: FBT003


def _walk(
    table: TierTable, *, slope: str, constant: str, tier: int = 0, size: int = 1, weight: str = "1", more: str = "0"
) -> Walk:
    leg = Leg(_charge(table, size), ZERO, ONE, Decimal(weight), tier)
    return Walk((leg,), (Equity(Decimal(slope), Decimal(constant)),), Decimal(more))


def _at(walk: Walk, begin: int, *, upward: bool) -> Decimal | None:
    point = walk.crossing(Decimal(begin), upward=upward)
    return None if point is None else point[0] / point[1]


@exact
def test_inside_one_tier_it_is_the_root_of_a_line() -> None:
    # surplus 50 · … : v − 45 − 0.1 v = 0 at v = 50
    assert _at(_walk(PROGRESSIVE, slope="1", constant="-45"), 80, upward=False) == 50


@exact
def test_a_root_counts_only_inside_its_own_tier() -> None:
    # a short: 100 − v − requirement; in the first tier 100 = 1.1 v would be 90.9 (inside), so that is it
    short = _walk(PROGRESSIVE, slope="-1", constant="165")
    # first tier: 165 = 1.1 v → 150, beyond 100; second: 165 + 10 = 1.2 v → 145.83…, inside
    point = short.crossing(Decimal(50), upward=True)
    assert point == (Decimal(175), Decimal("1.2"))


@exact
def test_it_walks_down_through_tiers_to_the_root_below() -> None:
    # from v = 250 in the third tier: the surplus is 0.5 v + 50 there, 0.8 v − 10 in the second, 0.9 v − 20 in the first
    walk = _walk(PROGRESSIVE, slope="1", constant="-20", tier=2)
    point = walk.crossing(Decimal(250), upward=False)
    assert point == (Decimal(20), Decimal("0.9"))


@exact
def test_the_jump_of_a_step_tier_is_found_as_the_point_it_is() -> None:
    # surplus 25 − 0.1 v up to 100, 25 − 0.3 v from it: 15 just below, −5 at 100
    walk = _walk(STEPS, slope="0", constant="25")
    assert _at(walk, 50, upward=True) == 100


@exact
def test_nothing_is_found_where_the_surplus_never_changes_sign() -> None:
    walk = _walk(PROGRESSIVE, slope="1", constant="90")
    assert _at(walk, 50, upward=True) is None
    assert _at(walk, 50, upward=False) == -100  # the line goes on below a value of nothing; prices do not


@exact
def test_a_tier_whose_rate_is_not_known_ends_the_walk() -> None:
    assert _at(_walk(NO_RATE, slope="-1", constant="500"), 50, upward=True) is None


@exact
def test_from_below_the_level_the_walk_finds_the_way_back() -> None:
    # long under water at v = 40: v − 45 − 0.1 v < 0; it is whole again at 50
    walk = _walk(PROGRESSIVE, slope="1", constant="-45")
    assert walk.sign(Decimal(40)) == -1
    assert _at(walk, 40, upward=True) == 50
    assert _at(walk, 40, upward=False) is None


@exact
def test_on_the_level_the_point_itself_counts_only_where_the_surplus_falls() -> None:
    walk = _walk(PROGRESSIVE, slope="1", constant="-45")
    assert walk.sign(Decimal(50)) == 0
    assert _at(walk, 50, upward=False) == 50
    assert _at(walk, 50, upward=True) is None


@exact
def test_what_an_asset_owes_weighs_more_than_what_it_is_credited() -> None:
    # equity (v − 100) counts half when positive and double when negative; 30 stands beside it
    bent = Equity(ONE, Decimal(-100), Decimal("0.5"), Decimal(2))
    leg = Leg(_charge(PROGRESSIVE, 0)._replace(flat_rate=ZERO), ZERO, ONE, ONE, 0)
    walk = Walk((leg,), (bent,), Decimal(30))
    assert _at(walk, 150, upward=False) == 85  # 2 · (85 − 100) + 30 = 0


@exact
def test_legs_change_tier_together() -> None:
    # two legs of one contract each, both reach 100 at once; 2 · requirement = 30 above 0.1 each
    legs = tuple(Leg(_charge(STEPS), ZERO, ONE, ONE, 0) for _ in range(2))
    walk = Walk(legs, (Equity(ZERO, Decimal(50)),), ZERO)
    assert _at(walk, 50, upward=True) == 100  # 50 − 2 · 10 > 0 before, 50 − 2 · 30 < 0 from there


@exact
def test_both_crossings_at_once_are_those_asked_for_alone_also_at_a_bend() -> None:
    bent = Equity(ONE, Decimal(-100), Decimal("0.5"), Decimal(2))
    leg = Leg(_charge(PROGRESSIVE, 0)._replace(flat_rate=ZERO), ZERO, ONE, ONE, 0)
    walks = [
        (_walk(PROGRESSIVE, slope="-1", constant="165"), 50),
        (_walk(PROGRESSIVE, slope="1", constant="-20", tier=2), 250),
        (_walk(PROGRESSIVE, slope="1", constant="-45"), 40),
        (_walk(NO_RATE, slope="-1", constant="500"), 50),
        (Walk((leg,), (bent,), Decimal(0)), 100),  # begins where the bend is: −2 a unit below it, 0.5 above
    ]
    for walk, begin in walks:
        alone = [walk.crossing(Decimal(begin), upward=upward) for upward in (False, True)]
        assert list(walk.crossings(Decimal(begin))) == [walk.sign(Decimal(begin)), *alone]
    assert walks[-1][0].crossings(Decimal(100)) == (0, (Decimal(200), Decimal(2)), None)


@pytest.mark.parametrize("denominator", [Decimal(4), Decimal(-4)])
def test_points_have_positive_denominators(denominator: Decimal) -> None:
    point = fraction(Decimal(2), denominator)
    assert point[1] > 0
    assert point[0] * denominator == Decimal(2) * point[1]


def test_a_flat_line_has_no_root() -> None:
    assert root(ZERO, Decimal(5)) is None
    assert root(Decimal(-2), Decimal(6)) == (Decimal(6), Decimal(2))
