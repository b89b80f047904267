"""What is not known of a fleet: every reason, how many pools it holds back, the first of them, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from ringfence.fleet import Fleet
from ringfence.fleet.results import screen_json, stress_json, watch_json
from ringfence.fleet.scenarios import Scenario
from ringfence.fleet.screening import screen
from ringfence.fleet.stress import stress
from ringfence.fleet.unknown import Held, Why, said, together, without_mark
from ringfence.fleet.watching import watch
from ringfence.tape import load_tape, walk

D = Decimal
NO_MARK, NO_BALANCE = without_mark("ETHUSDT"), "no balance of USDT"


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """Six accounts: two without a mark for ETHUSDT, one of them also without LINKUSDT's, one without a balance."""
    held = [("a", "BTCUSDT"), ("b", "ETHUSDT"), ("c", "ETHUSDT"), ("c", "LINKUSDT"), ("d", "BTCUSDT"), ("e", "BTCUSDT")]
    wallets = {"a": "9000", "b": "9000", "c": "9000", "d": None, "e": "500"}
    return Fleet.from_arrow(
        positions=pa.table({"account": [name for name, _ in held], "symbol": [symbol for _, symbol in held],
                            "quantity": ["0.1"] * 6, "entry_price": ["117000"] * 6}),
        wallets=pa.table({"account": list(wallets), "asset": ["USDT"] * 5, "balance": list(wallets.values())}),
        rulebook="binance-usdm", marks={"BTCUSDT": D(117000)},
    )  # fmt: skip


def test_a_screen_names_every_reason_with_its_pools_and_accounts(fleet: Fleet) -> None:
    found = screen(fleet)
    assert found.pools[3] == 3
    assert found.reasons == {
        NO_MARK: Held(2, ("b", "c")),
        without_mark("LINKUSDT"): Held(1, ("c",)),
        Why(NO_BALANCE, "give it in the table of wallets, or as isolated_margin"): Held(1, ("d",)),
    }
    assert found.assumptions[1:5] == (
        "3 pools are not known",
        f"not known, 2 pools: no mark for ETHUSDT (b, c); do: {NO_MARK.do}",
        "not known, 1 pool: no balance of USDT (d); do: give it in the table of wallets, or as isolated_margin",
        f"not known, 1 pool: no mark for LINKUSDT (c); do: {NO_MARK.do}",
    )
    told = screen_json(fleet, found)["not_known_because"]
    assert told[0] == {"reason": "no mark for ETHUSDT", "pools": 2, "accounts": ["b", "c"], "do": NO_MARK.do}


def test_a_stress_and_a_watch_say_the_same(fleet: Fleet) -> None:
    screened = screen(fleet)
    stressed = stress(fleet, [Scenario("all −10 %", "all", {}, D("-0.1"))])
    assert stressed.sums.unknown == 3
    assert stressed.sums.reasons == screened.reasons
    assert "3 pools are not known and left out" in stressed.assumptions
    assert len(stress_json(fleet, stressed)["not_known_because"]) == 3
    start = datetime(2025, 10, 10, 21, 0, tzinfo=UTC)
    tape = load_tape("2025-10-10").select(symbols=("BTCUSDT",), start=start, end=start + timedelta(minutes=2))
    watched = watch(fleet, walk(tape, 1))
    assert watched.unknown == 3
    assert {why.what for why in watched.reasons} >= {NO_MARK.what, NO_BALANCE}
    assert "3 pools are not known" in watched.assumptions
    assert watch_json(fleet, watched, 1)["not_known_because"]


def test_reasons_of_units_are_put_together_in_their_order() -> None:
    one, other = Why("x", "do x"), Why("y", "do y")
    found = together([{one: Held(2, ("a", "b"))}, {other: Held(1, ("c",)), one: Held(5, ("d", "e", "f"))}])
    assert found == {one: Held(2 + 5, ("a", "b", "d")), other: Held(1, ("c",))}
    assert said(found, 8)[1] == "not known, 7 pools: x (a, b, d …); do: do x"
    assert said({}, 0) == ()
