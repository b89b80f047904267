"""``size``, ``rescue``, ``stress`` and ``distance`` on the command line: what they print, write and refuse."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.unit.cli.command import ACCOUNT, Command, changed, written

if TYPE_CHECKING:
    from pathlib import Path

TRADE = ("binance-usdm", "BTCUSDT", "--quantity", "0.1", "--entry", "100000", "--fee-rate", "0")


@pytest.fixture
def account(tmp_path: Path) -> Path:
    return written(tmp_path, ACCOUNT)


@pytest.fixture
def called(tmp_path: Path) -> Path:
    # 0.1 BTC long from 117,000, now 111,000: 650 − 600 = 50 against 11,100 · 0.004 = 44.4
    return written(tmp_path, changed("account.positions.0.mark_price", "111000",
                                     of=changed("account.wallet.USDT", "650")))  # fmt: skip


def test_size_pnl_prints_figures_with_their_formula(ringfence: Command) -> None:
    printed = ringfence("size", "pnl", *TRADE, "--exit", "110000", "--leverage", "10")
    assert printed.code == 0
    assert "1,000.00 USDT" in printed.out
    assert "0.1 × (110000 − 100000)" in printed.out
    assert "+100.00 %" in printed.out


def test_size_takes_the_fees_of_a_level_and_its_discounts(ringfence: Command) -> None:
    asked = ("size", "pnl", *TRADE[:-2], "--exit", "110000", "--as-of", "2026-03-01", "--fee-level")
    traded = Decimal("0.1") * (100_000 + 110_000)

    def fees(*more: str) -> Decimal:
        return Decimal(ringfence(*asked, *more, "--json").json["figures"]["fees"])

    assert fees("VIP 1") == Decimal("0.0004") * traded
    assert fees("VIP 1", "--fee-discount", "bnb") == Decimal("0.0004") * (1 - Decimal("0.1")) * traded
    assert fees("VIP 1", "--fee-rate", "0.001") == Decimal("0.001") * traded
    refused = ringfence(*asked, "VIP 10")
    assert refused.code == 3
    assert "no fee level 'VIP 10'" in refused.err


def test_size_answers_as_json_with_decimals_as_text(ringfence: Command) -> None:
    answer = ringfence("size", "target", *TRADE, "--roe", "50", "--leverage", "10", "--json").json
    assert answer["schema"] == "ringfence.size/1"
    assert answer["figures"]["target_price"] in {"105000", "105000.0"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pnl", *TRADE, "--exit", "x"), "a number above 0"),
        (("pnl", *TRADE, "--exit", "1", "--side", "up"), "long or short"),
        (("target", *TRADE), "one of --pnl and --roe"),
        (("liquidation", *TRADE[:-2]), "--leverage or --margin"),
        (("max", "binance-usdm", "BTCUSD", "--balance", "1", "--leverage", "1", "--price", "1"), "BTCUSDT"),
        (("average", "binance-usdm", "BTCUSDT", "--fill", "0.1"), "--fill 0.1"),
    ],
)
def test_size_refuses_what_cannot_be_computed(ringfence: Command, arguments: tuple[str, ...], said: str) -> None:
    refused = ringfence("size", *arguments)
    assert refused.code == 3
    assert said in refused.err
    assert refused.out == ""


def test_size_change_shows_before_and_after(ringfence: Command, account: Path) -> None:
    printed = ringfence("size", "change", account, "--close", "BTCUSDT=1/2", "--fee-rate", "0")
    assert printed.code == 0
    assert "before" in printed.out
    assert "0.05" in printed.out
    after = ringfence("size", "change", account, "--close", "BTCUSDT=50%", "--fee-rate", "0", "--json").json["after"]
    assert after["positions"][0]["quantity"] in {"0.05", "0.050"}


@pytest.mark.parametrize(
    ("arguments", "drawn"),
    [
        (("pnl", *TRADE, "--exit", "110000", "--leverage", "10"), "exit 110,000"),
        (("target", *TRADE, "--pnl", "500"), "target 105,000"),
        (("liquidation", *TRADE[:-2], "--wallet", "1000"), "bankruptcy 90,000"),
        (("max", *TRADE[:2], "--balance", "1000", "--leverage", "50", "--price", "100000", "--fee-rate", "0"),
         "0.5 at 50×"),
        (("average", *TRADE[:2], "--fill", "1@100", "--fill", "1@200"), "average 150"),
    ],
)  # fmt: skip
def test_size_writes_a_page_and_prints_what_it_prints_without(
    ringfence: Command, tmp_path: Path, arguments: tuple[str, ...], drawn: str
) -> None:
    page = tmp_path / "new" / "size.html"
    printed = ringfence("size", *arguments, "--report", page)
    assert printed.code == 0
    assert printed.out == ringfence("size", *arguments).out
    assert f">{drawn}</text>" in page.read_text(encoding="utf-8")
    assert ringfence("size", *arguments, "--report", tmp_path).code == 3


def test_size_change_writes_a_page(ringfence: Command, account: Path, tmp_path: Path) -> None:
    page = tmp_path / "size.html"
    asked = ("size", "change", account, "--close", "BTCUSDT=1/2", "--json", "--report", page)
    after = ringfence(*asked).json["after"]["positions"][0]
    assert f"<title>{after['liquidation_price'] or 'none'}</title>" in page.read_text(encoding="utf-8")


def test_size_change_without_a_change_or_with_one_that_cannot_be_read_is_refused(
    ringfence: Command, account: Path
) -> None:
    assert "no change is given" in ringfence("size", "change", account).err
    assert "SYMBOL=AMOUNT" in ringfence("size", "change", account, "--close", "BTCUSDT").err


def test_size_change_holds_what_opens_to_guard_rails(ringfence: Command, account: Path, tmp_path: Path) -> None:
    rails = tmp_path / "guardrails.toml"
    rails.write_text('schema = "ringfence.guardrails/1"\n[leverage]\nceiling = "3"\n', encoding="utf-8")
    opening = ("size", "change", account, "--leverage", "ETHUSDT=4", "--add", "ETHUSDT:long=0.01@4000")
    refused = ringfence(*opening, "--rails", rails)
    assert "601 guard_rail_leverage" in refused.out
    assert refused.code == 21
    allowed = ringfence(*opening)
    assert "601" not in allowed.out
    assert allowed.code == 0
    told = ringfence(*opening, "--rails", rails, "--json")
    assert (told.code, told.json["refusal"]["number"], told.json["after"]) == (21, 601, None)
    rails.write_text("nothing", encoding="utf-8")
    assert ringfence(*opening, "--rails", rails).code == 3


def test_size_change_takes_a_third_for_a_third(ringfence: Command, account: Path) -> None:
    after = ringfence("size", "change", account, "--close", "BTCUSDT=1/3", "--fee-rate", "0", "--json").json["after"]
    before = ringfence("size", "change", account, "--close", "BTCUSDT=1/2", "--json").json["before"]
    # to the last digit that is kept: 0.1 less a third of it
    left = Decimal(before["positions"][0]["quantity"]) - Decimal(after["positions"][0]["quantity"])
    assert abs(3 * left - Decimal(before["positions"][0]["quantity"])) <= Decimal("3E-18")


def test_a_change_that_the_venue_refuses_is_an_answer_with_a_code_of_its_own(ringfence: Command, account: Path) -> None:
    printed = ringfence("size", "change", account, "--leverage", "BTCUSDT=500")
    assert printed.code == 20
    assert "201 leverage_above_tier" in printed.out
    assert not printed.err


def test_rescue_ranks_the_ways_out_and_says_why_others_are_none(ringfence: Command, called: Path) -> None:
    printed = ringfence("rescue", called, "--fee-rate", "0.0005")
    assert printed.code == 0
    # 1.25 · 44.4 − 50 = 5.5, and a step more
    assert "deposit 5.50000001 USDT" in printed.out
    assert "No way out" in printed.out
    ways = ringfence("rescue", called, "--json").json["pools"][0]["ways"]
    assert [way["refusal"] is not None for way in ways] == sorted(way["refusal"] is not None for way in ways)


def test_rescue_of_a_healthy_account_has_nothing_to_do(ringfence: Command, account: Path) -> None:
    assert "Nothing to rescue" in ringfence("rescue", account).out
    assert ringfence("rescue", account, "--health", "0").code == 3


def test_stress_draws_a_map_and_writes_a_page(ringfence: Command, account: Path, tmp_path: Path) -> None:
    page = tmp_path / "reports" / "stress.html"
    printed = ringfence("stress", account, "--steps", "5", "--report", page)
    assert printed.code == 0
    assert "◆◆" in printed.out
    assert "2025-10-10 low" in printed.out
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("study", ["stress", "distance", "rescue"])
def test_every_study_writes_one_file_that_needs_nothing_else(
    ringfence: Command, called: Path, tmp_path: Path, study: str
) -> None:
    page = tmp_path / f"{study}.html"
    assert ringfence(study, called, "--report", page).code == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "http" not in text
    assert "<script" not in text
    assert ringfence(study, called, "--report", tmp_path).code == 3


def test_stress_refuses_a_symbol_that_is_not_held(ringfence: Command, account: Path) -> None:
    refused = ringfence("stress", account, "--symbol", "BTCUSD")
    assert refused.code == 3
    assert "did you mean BTCUSDT?" in refused.err
    assert ringfence("stress", account, "--beta", "ETHUSDT=2").code == 3


def test_distance_is_exact_without_a_tape_and_likely_with_one(ringfence: Command, account: Path) -> None:
    printed = ringfence("distance", account)
    assert printed.code == 0
    assert "Along past crashes" in printed.out
    assert "Nearest" not in printed.out
    assert "likeliest way to die" in ringfence("distance", account, "--tape", "2025-10-10", "--paths", "0").out


def test_distance_refuses_a_tape_without_its_symbols(ringfence: Command, account: Path) -> None:
    refused = ringfence("distance", account, "--tape", "2025-09-17")
    assert refused.code == 3
    assert "the tape has no prices of BTCUSDT" in refused.err


NO_RATES = {
    "rulebook": "bingx-usdtm",
    "account": {
        "position_mode": "hedge",
        "collateral_mode": "multi_asset",
        "wallet": {"USDT": "2000", "BTC": "0.1"},
        "collateral": {"BTC": {"index": "100000"}, "USDT": {"index": "1"}},
        "positions": [
            {"symbol": "BTCUSDT", "side": "long", "quantity": "0.2", "entry_price": "101000", "mark_price": "100000",
             "margin_mode": "cross", "leverage": "10"}
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "command", [("compare",), ("assess",), ("size", "change", "--close", "BTCUSDT=1/2")], ids=lambda c: c[0]
)
def test_a_price_that_is_not_known_is_never_printed_as_none(
    command: tuple[str, ...], ringfence: Command, tmp_path: Path
) -> None:
    verb = command[:2] if command[0] == "size" else command[:1]
    printed = ringfence(*verb, written(tmp_path, NO_RATES), *command[len(verb) :])
    assert printed.code == 0
    assert "not known" in printed.out
    assert "none" not in printed.out.replace("none in bingx-usdtm", "")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("rescue", "--health", "0"), "--health: too small"),
        (("rescue", "--health", "NaN"), "--health: not a number"),
        (("rescue", "--fee-rate", "5"), "a fee of all of the value, or more"),
        (("stress", "--steps", "100000"), "2 to 401 steps"),
        (("distance", "--tape", "2024-08-05", "--paths", "999999999"), "cannot be simulated"),
        (("distance", "--tape", "2024-08-05", "--tail", "nan"), "cannot be simulated"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_a_number_out_of_range_is_refused_with_code_3(
    command: tuple[str, ...], said: str, ringfence: Command, account: Path
) -> None:
    refused = ringfence(command[0], account, *command[1:])
    assert refused.code == 3
    assert said in refused.err
