"""Which fee rate holds: the file's, the account's, the level's, the contract's; discounts; the packaged schedules."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence import rulebooks
from ringfence.account import pools
from ringfence.account_file import parse
from ringfence.contract import Contract, ContractKind
from ringfence.engine import setup_text
from ringfence.engine.setup import Setup
from ringfence.errors import BadAccount, BadRulebook
from ringfence.fees import AccountFees, Discount, FeeLevel, FeeRates, FeeSchedule
from ringfence.margin.assess import assess
from ringfence.margin.price import break_even_price

if TYPE_CHECKING:
    from collections.abc import Mapping

D = Decimal

SCHEDULE = FeeSchedule(
    levels=(
        FeeLevel("base", "", D("0.0002"), D("0.0005")),
        FeeLevel("high", "USDC", D(0), D("0.0003")),
        FeeLevel("high", "", D("-0.0001"), D("0.0004")),
        FeeLevel("top", "", None, D("0.0001")),
    ),
    discounts={
        "token": Discount("token", D("0.1"), D("0.1"), "token"),
        "wood": Discount("wood", D("0.05"), D("0.05"), "staking"),
        "gold": Discount("gold", D("0.2"), D("0.2"), "staking"),
    },
)


def _contract(**terms: object) -> Contract:
    return Contract("AAAUSDT", ContractKind.LINEAR, D(1), str(terms.pop("settle_asset", "USDT")), **terms)  # type: ignore[arg-type]


def test_without_a_rate_of_its_own_a_contract_is_charged_the_base_levels() -> None:
    assert SCHEDULE.rates(_contract()) == FeeRates(D("0.0002"), D("0.0005"))
    assert SCHEDULE.rates(_contract(), "base") == FeeRates(D("0.0002"), D("0.0005"))


def test_a_contracts_own_rate_comes_before_the_base_levels_and_after_a_higher_levels() -> None:
    own = _contract(maker_fee_rate=D(0), taker_fee_rate=D("0.0008"))
    assert SCHEDULE.rates(own) == FeeRates(D(0), D("0.0008"))
    assert SCHEDULE.rates(own, "high") == FeeRates(D("-0.0001"), D("0.0004"))


def test_a_level_has_rates_of_its_own_for_contracts_of_one_settlement_asset() -> None:
    assert SCHEDULE.rates(_contract(settle_asset="USDC"), "high") == FeeRates(D(0), D("0.0003"))


def test_a_rate_that_a_level_does_not_tell_is_the_contracts() -> None:
    assert SCHEDULE.rates(_contract(maker_fee_rate=D("0.0003")), "top") == FeeRates(D("0.0003"), D("0.0001"))
    assert SCHEDULE.rates(_contract(), "top") == FeeRates(None, D("0.0001"))


def test_a_discount_takes_its_share_off_a_fee_and_leaves_a_rebate_as_it_is() -> None:
    rates = SCHEDULE.rates(_contract(), "high", ["token"])
    assert rates == FeeRates(D("-0.0001"), D("0.0004") * (1 - D("0.1")))


def test_two_discounts_each_take_their_share_of_what_the_other_leaves() -> None:
    rates = SCHEDULE.rates(_contract(), "base", ["token", "gold"])
    assert rates.taker == D("0.0005") * (1 - D("0.1")) * (1 - D("0.2"))


def test_two_steps_of_one_programme_do_not_hold_together() -> None:
    with pytest.raises(BadRulebook, match="wood and gold do not hold together"):
        SCHEDULE.check("base", ["wood", "gold"], rulebook="a venue")


def test_an_unknown_level_is_refused_with_the_nearest_there_is() -> None:
    with pytest.raises(BadRulebook) as refused:
        SCHEDULE.check("hgh", (), rulebook="a venue")
    assert "high" in str(refused.value)


def test_where_no_schedule_is_known_nothing_is_charged_that_the_contract_does_not_say() -> None:
    assert FeeSchedule().rates(_contract()) == FeeRates(None, None)
    with pytest.raises(BadRulebook, match="no fee level"):
        rulebooks.load("phemex").with_fees(AccountFees("VIP 1"))


# ── In an account file ───────────────────────────────────────────────────────────────────────────────────────────


def _file(contracts: Mapping[str, object] | None = None, **account: object) -> dict[str, object]:
    held = {"symbol": "BTCUSDT", "side": "long", "quantity": "1", "entry_price": "100000", "mark_price": "100000"}
    body = {"wallet": {"USDT": "50000"}, "positions": [held], **account}
    return {"rulebook": "binance-usdm", "as_of": "2026-03-01", "account": body, "contracts": contracts}


def _taker(data: dict[str, object]) -> Decimal | None:
    return parse(data, where="a").rulebook().contract("BTCUSDT").taker_fee_rate


def test_a_file_that_names_no_fees_leaves_the_contract_as_its_table_has_it() -> None:
    assert _taker(_file()) is None


def test_a_level_gives_the_schedules_rate_and_a_discount_takes_its_share_off() -> None:
    assert _taker(_file(fee_level="Regular")) == D("0.0005")
    assert _taker(_file(fee_level="VIP 1", fee_discounts=["bnb"])) == D("0.0004") * (1 - D("0.1"))


def test_a_discount_without_a_level_is_taken_off_the_base_levels_rate() -> None:
    assert _taker(_file(fee_discounts=["bnb"])) == D("0.0005") * (1 - D("0.1"))


def test_the_accounts_own_rate_comes_before_the_levels_and_a_contracts_in_the_file_before_both() -> None:
    own = {"taker": "0.0003"}
    assert _taker(_file(fee_level="VIP 1", fees=own)) == D("0.0003")
    stated = {"BTCUSDT": {"settle_asset": "USDT", "taker_fee_rate": "0.0001"}}
    assert _taker(_file(stated, fee_level="VIP 1", fees=own)) == D("0.0001")
    unstated = {"BTCUSDT": {"settle_asset": "USDT"}}
    assert _taker(_file(unstated, fee_level="VIP 1")) == D("0.0004")


def test_with_a_level_the_break_even_price_is_known() -> None:
    file = parse(_file(fee_level="Regular"), where="a")
    rules = file.rulebook()
    (pool,) = pools(file.account, rules.contract)
    price = break_even_price(assess(pool, file.marks, rules).lines[0])
    assert price is not None
    paid = D("0.0005") * D(100000) + D("0.0005") * price  # to open and to close
    assert abs(price - D(100000) - paid) < D("0.01")  # a price is rounded to its step


def test_an_unknown_level_of_a_file_is_refused_in_its_name() -> None:
    with pytest.raises(BadRulebook) as refused:
        parse(_file(fee_level="VIP 11"), where="account.json").rulebook()
    assert "account.json" in str(refused.value)
    assert "VIP 1" in str(refused.value)


@pytest.mark.parametrize("fees", [{"taker": "1"}, {"maker": "-2"}, {"broker": "0.1"}, {"taker": 0.5}, "0.0005"])
def test_rates_that_cannot_be_are_refused(fees: object) -> None:
    with pytest.raises(BadAccount):
        parse(_file(fees=fees), where="a")


# ── The packaged schedules ───────────────────────────────────────────────────────────────────────────────────────


def test_binance_charges_half_of_the_standard_rate_where_its_announcement_says_so() -> None:
    # 2026-02-04: taker fees of TradFi contracts by level, in per cent, half of the standard USDT ones.
    promoted = ["0.0250", "0.0200", "0.0175", "0.0160", "0.0150", "0.0135", "0.0125", "0.0110", "0.0100", "0.0085"]
    fees = rulebooks.load("binance-usdm", date(2026, 2, 10)).fees
    rows = [fees.row(name, "USDT") for name in fees.names]
    assert [row.taker for row in rows if row] == [2 * D(rate) / 100 for rate in promoted]


def test_what_binance_charged_for_usdc_contracts_was_dated_and_is_not_known_afterwards() -> None:
    def taker(day: date) -> Decimal | None:
        row = rulebooks.load("binance-usdm", day).fees.row("VIP 3", "USDC")
        return None if row is None else row.taker

    days = (date(2025, 9, 11), date(2025, 12, 9), date(2025, 12, 10), date(2026, 2, 10))
    assert [taker(day) for day in days] == [D("0.000176"), D("0.000176"), D("0.000256"), None]


def test_before_its_first_schedule_a_venue_has_none_and_refuses_a_level() -> None:
    early = rulebooks.load("binance-usdm", date(2025, 9, 10))
    assert early.fees.base is None
    with pytest.raises(BadRulebook, match="no fee level"):
        early.with_fees(AccountFees("VIP 1"))


def test_a_venue_that_reads_anothers_contracts_reads_its_fees() -> None:
    assert rulebooks.load("bybit-uta").fees.row("VIP 5", "USDT") == FeeLevel("VIP 5", "", D("0.0001"), D("0.00032"))


@pytest.mark.parametrize(
    ("rulebook", "volume", "level"),
    [
        ("kraken-futures", "0", "0 USD"),
        ("kraken-futures", "100000", "0 USD"),  # the page: 0 - 100,000
        ("kraken-futures", "100001", "100000 USD"),
        ("hyperliquid", "5000000", "Tier 0"),  # the page: > 5 million
        ("hyperliquid", "5000000.01", "Tier 1"),
        ("hyperliquid", "9999999999", "Tier 6"),
        ("binance-usdm", "1000000000", None),  # what its levels ask for is not known
        ("phemex", "1000000000", None),
    ],
)
def test_a_level_begins_above_its_volume_where_volume_alone_decides(
    rulebook: str, volume: str, level: str | None
) -> None:
    assert rulebooks.load(rulebook).fees.reached(D(volume)) == level


def test_a_level_that_asks_for_a_balance_too_is_not_reached_by_volume_alone() -> None:
    rows = (FeeLevel("base", "", D(0), D(0)), FeeLevel("high", "", D(0), D(0), D(10), "USD", 30, D(25), "BNB"))
    assert FeeSchedule(levels=rows).reached(D(100)) is None


def test_kraken_names_what_a_level_asks_for() -> None:
    row = rulebooks.load("kraken-futures").fees.levels[1]
    assert (row.volume, row.volume_asset, row.volume_days) == (D(100_000), "USD", 30)


def test_a_given_rulebook_with_an_accounts_fees_is_kept_in_a_journal() -> None:
    day = date(2026, 3, 1)
    given = rulebooks.load("binance-usdm", day).with_fees(AccountFees("VIP 2", ("bnb",), taker=D("0.00031")))
    read = setup_text.read(setup_text.write(Setup(as_of="2026-03-01", given=given)))
    assert read.given is not None
    assert read.given.account_fees == given.account_fees
    assert read.given.contract("BTCUSDT") == given.contract("BTCUSDT")
