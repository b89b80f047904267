"""Chance is arithmetic: the published numbers of the generator, and the same ones on any machine."""

from __future__ import annotations

from decimal import Decimal

from ringfence.sim.chance import Chance


def test_the_numbers_are_those_published_for_splitmix64() -> None:
    chance = Chance(1234567)
    assert [chance.number() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_a_path_from_one_seed_leads_to_its_own_stream() -> None:
    streams = [Chance(1), Chance(1, 0), Chance(1, 1), Chance(1, 1, 0), Chance(2, 1)]
    assert len({chance.number() for chance in streams}) == len(streams)
    assert Chance(5, 3).number() == Chance(5, 3).number()


def test_paths_whose_steps_add_up_to_the_same_are_not_the_same() -> None:
    streams = [Chance(seed, 10 - seed).number() for seed in range(11)]  # so that the next seed's worlds are new ones
    assert len(set(streams)) == len(streams)


def test_what_is_drawn_stays_within_its_bounds() -> None:
    chance = Chance(9)
    assert {chance.below(3) for _ in range(200)} == {0, 1, 2}
    assert {chance.between(-1, 1) for _ in range(200)} == {-1, 0, 1}
    assert {chance.fraction(-1, 1, places=2) for _ in range(200)} == {Decimal("-0.01"), Decimal(0), Decimal("0.01")}
    assert not any(chance.happens(0) for _ in range(100))
    assert all(chance.happens(1000) for _ in range(100))


def test_weights_decide_how_often_something_is_drawn() -> None:
    chance = Chance(3)
    drawn = [chance.weighted(((9, "often"), (1, "seldom"))) for _ in range(2000)]
    assert 1700 < drawn.count("often") < 1900
