"""Account files: what is read from them, what is refused, and that the JSON Schema says the same."""

from __future__ import annotations

import copy
import json
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from ringfence import account_file
from ringfence.account import CollateralMode, MarginMode, PositionMode
from ringfence.account_file import parse, parse_text, read, with_marks
from ringfence.contract import ContractKind
from ringfence.errors import BadAccount, BadRulebook
from ringfence.study.examples import example_names, example_text
from tests.unit.json_schema import errors

Json = dict[str, Any]
D = Decimal

SCHEMA: Json = json.loads((files("ringfence") / "account.schema.json").read_text(encoding="utf-8"))
CASES = [
    case
    for path in sorted((Path(__file__).parents[1] / "answers" / "cases").glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
    if "account" in case
]

LONG: Json = {"symbol": "BTCUSDT", "side": "long", "quantity": "0.1", "entry_price": "117000"}
ORDER: Json = {"symbol": "BTCUSDT", "side": "sell", "quantity": "0.2", "price": "120000"}
TERMS: Json = {"settle_asset": "USDT", "tiers": [{"floor": "0", "maintenance_rate": "0.01"}]}


def _file(account: Json | None = None, **more: Any) -> Json:
    return {"rulebook": "binance-usdm", "account": {} if account is None else account, **more}


def _held(**changes: Any) -> Json:
    return _file({"positions": [{**LONG, **changes}]})


# ── What is read ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_absent_takes_its_default() -> None:
    file = parse(_file({"positions": [LONG]}), where="a")
    position = file.account.positions[0]
    assert (file.rulebook_name, file.as_of, file.where) == ("binance-usdm", None, "a")
    assert file.account.position_mode is PositionMode.ONE_WAY
    assert file.account.collateral_mode is CollateralMode.SINGLE_ASSET
    assert (position.margin_mode, position.isolated_margin, position.leverage) == (MarginMode.CROSS, None, None)
    assert file.account.wallet == {}


def test_null_is_as_good_as_absent() -> None:
    nothing = dict.fromkeys(("position_mode", "collateral_mode", "wallet", "collateral", "positions", "orders"))
    given = parse(_file(nothing, as_of=None, contracts=None, policy=None), where="a")
    assert given == parse(_file({}), where="a")


def test_a_side_becomes_a_sign() -> None:
    file = parse(_file({"positions": [{**LONG, "side": "short"}], "orders": [ORDER]}), where="a")
    assert file.account.positions[0].quantity == D("-0.1")
    assert file.account.orders[0].quantity == D("-0.2")


def test_a_balance_that_is_not_known_stays_so_and_a_debt_is_negative() -> None:
    file = parse(_file({"wallet": {"USDT": None, "BTC": "-0.5", "ETH": 3}}), where="a")
    assert file.account.wallet == {"USDT": None, "BTC": D("-0.5"), "ETH": D(3)}


def test_without_a_mark_the_entry_price_stands_in_and_that_is_remembered() -> None:
    file = parse(_held(), where="a")
    assert (file.marks, file.marks_assumed) == ({"BTCUSDT": D(117000)}, ("BTCUSDT",))
    given = parse(_held(mark_price="118000"), where="a")
    assert (given.marks, given.marks_assumed) == ({"BTCUSDT": D(118000)}, ())


@pytest.mark.parametrize("first", [None, "118000"])
def test_both_legs_of_a_symbol_have_the_mark_that_one_of_them_gives(first: str | None) -> None:
    legs = [{**LONG, "mark_price": first}, {**LONG, "side": "short", "mark_price": "118000" if first is None else None}]
    file = parse(_file({"position_mode": "hedge", "positions": legs}), where="a")
    assert (file.marks, file.marks_assumed) == ({"BTCUSDT": D(118000)}, ())


def test_a_mark_of_an_order_serves_a_symbol_that_is_not_held() -> None:
    file = parse(_file({"orders": [{**ORDER, "mark_price": "118000"}]}), where="a")
    assert file.marks == {"BTCUSDT": D(118000)}


def test_marks_can_be_overridden() -> None:
    file = with_marks(parse(_held(), where="a"), {"BTCUSDT": D(100000)})
    assert (file.marks, file.marks_assumed) == ({"BTCUSDT": D(100000)}, ())
    with pytest.raises(BadAccount, match="not in the account"):
        with_marks(file, {"ETHUSDT": D(1)})


def test_collateral_of_its_own_counts_fully_unless_it_says_otherwise() -> None:
    terms = {"index": "60000", "ratio": "0.95", "bid_buffer": "0.05", "ask_buffer": "0.02"}
    given = {"USDT": {"ratio": "1"}, "BTC": terms}
    file = parse(_file({"collateral_mode": "multi_asset", "collateral": given}), where="a")
    assert (file.account.collateral["USDT"].bid, file.account.collateral["USDT"].ask) == (D(1), D(1))
    assert file.account.collateral["BTC"].bid == D(60000) * D("0.95") * (1 - D("0.05"))
    assert file.account.collateral["BTC"].ask == D(60000) * (1 + D("0.02"))


def test_the_file_s_tables_and_policies_come_before_the_rulebook_s() -> None:
    document = _file(
        {"positions": [LONG]},
        as_of="2025-10-10",
        contracts={"BTCUSDT": {**TERMS, "kind": "inverse", "contract_size": "100", "price_step": "0.5"}},
        policy={"trigger": "below"},
    )
    rulebook = parse(document, where="a").rulebook()
    contract, tiers = rulebook.entry("BTCUSDT")
    assert (contract.kind, contract.contract_size, contract.price_step) == (ContractKind.INVERSE, D(100), D("0.5"))
    assert tiers is not None
    assert [tier.maintenance_rate for tier in tiers.tiers] == [D("0.01")]
    assert rulebook.cross.trigger == "below"
    assert rulebook.contract("ETHUSDT").kind is ContractKind.LINEAR


def test_deductions_that_are_not_given_follow_from_continuity_on_a_progressive_venue_only() -> None:
    tiers = [
        {"floor": "0", "maintenance_rate": "0.01"},
        {"floor": "1000", "maintenance_rate": "0.02"},
        {"floor": "5000", "maintenance_rate": "0.05"},
    ]
    document = _file({"positions": [LONG]}, contracts={"BTCUSDT": {**TERMS, "tiers": tiers}})

    def deductions(rulebook: str) -> list[Decimal]:
        table = parse({**document, "rulebook": rulebook}, where="a").rulebook().tiers("BTCUSDT")
        assert table is not None
        return [tier.deduction for tier in table.tiers]

    first = 1000 * (D("0.02") - D("0.01"))
    assert deductions("binance-usdm") == [0, first, first + 5000 * (D("0.05") - D("0.02"))]
    assert deductions("okx-swap") == [0, 0, 0]


def test_a_day_given_goes_before_the_file_s() -> None:
    file = parse(_file({}, as_of="2025-10-10"), where="a")
    assert file.rulebook().as_of == date(2025, 10, 10)
    assert file.rulebook(date(2024, 8, 5)).as_of == date(2024, 8, 5)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    path.write_text(json.dumps(_held()), encoding="utf-8-sig")
    assert read(path).account.positions[0].symbol == "BTCUSDT"


def test_toml_has_the_same_form(tmp_path: Path) -> None:
    path = tmp_path / "account.toml"
    path.write_text('rulebook = "binance-usdm"\nas_of = 2025-10-10\n[account.wallet]\nUSDT = "1"\n', encoding="utf-8")
    assert (read(path).as_of, read(path).account.wallet) == (date(2025, 10, 10), {"USDT": D(1)})


@pytest.mark.parametrize(
    ("text", "message"), [("rulebook =", "not valid TOML"), ("[account.wallet]\nUSDT = 1.5", "a float")]
)
def test_toml_has_the_same_faults(text: str, message: str) -> None:
    with pytest.raises(BadAccount, match=message):
        parse_text('rulebook = "binance-usdm"\n' * ("=" in text) * (text[0] == "[") + text, where="a", toml=True)


# ── What is refused ──────────────────────────────────────────────────────────────────────────────────────────────

REFUSED: dict[str, tuple[Json, str]] = {
    "not an object": ([], "a"),  # type: ignore[dict-item]
    "no rulebook": ({"account": {}}, "a"),
    "no account": ({"rulebook": "binance-usdm"}, "a"),
    "rulebook no text": (_file(rulebook=5), "a: rulebook"),
    "another schema": (_file(schema="ringfence.account/2"), "a: schema"),
    "unknown top field": (_file(rules={}), "a"),
    "unknown account field": (_file({"walet": {}}), "a: account"),
    "unknown position field": (_held(size="1"), "a: account.positions[0]"),
    "unknown order field": (_file({"orders": [{**ORDER, "size": "1"}]}), "a: account.orders[0]"),
    "positions no list": (_file({"positions": {}}), "a: account.positions"),
    "wallet no object": (_file({"wallet": []}), "a: account.wallet"),
    "day no day": (_file(as_of="2025-02-30"), "a: as_of"),
    "day in another form": (_file(as_of="20251010"), "a: as_of"),
    "side": (_held(side="buy"), "a: account.positions[0].side"),
    "no side": (_held(side=None), "a: account.positions[0].side"),
    "no symbol": (_held(symbol=""), "a: account.positions[0].symbol"),
    "no quantity": (_held(quantity=None), "a: account.positions[0].quantity"),
    "zero quantity": (_held(quantity="0"), "a: account.positions[0].quantity"),
    "negative quantity": (_held(quantity="-1"), "a: account.positions[0].quantity"),
    "float quantity": (_held(quantity=1.5), "a: account.positions[0].quantity"),
    "quantity true": (_held(quantity=True), "a: account.positions[0].quantity"),
    "quantity in words": (_held(quantity="one"), "a: account.positions[0].quantity"),
    "separators": (_held(quantity="1_000"), "a: account.positions[0].quantity"),
    "spaces": (_held(quantity=" 1"), "a: account.positions[0].quantity"),
    "infinite": (_held(quantity="inf"), "a: account.positions[0].quantity"),
    "mark zero": (_held(mark_price="0"), "a: account.positions[0].mark_price"),
    "leverage zero": (_held(leverage="0"), "a: account.positions[0].leverage"),
    "margin mode": (_held(margin_mode="crossed"), "a: account.positions[0].margin_mode"),
    "isolated without margin": (_held(margin_mode="isolated"), "a: account.positions[0].isolated_margin"),
    "cross with margin": (_held(isolated_margin="1"), "a: account.positions[0].isolated_margin"),
    "order side": (_file({"orders": [{**ORDER, "side": "long"}]}), "a: account.orders[0].side"),
    "order price": (_file({"orders": [{**ORDER, "price": "0"}]}), "a: account.orders[0].price"),
    "reduce only": (_file({"orders": [{**ORDER, "reduce_only": "yes"}]}), "a: account.orders[0].reduce_only"),
    "order leg": (_file({"orders": [{**ORDER, "position_side": "both"}]}), "a: account.orders[0].position_side"),
    "position mode": (_file({"position_mode": "hedged"}), "a: account.position_mode"),
    "collateral mode": (_file({"collateral_mode": "cross"}), "a: account.collateral_mode"),
    "collateral index": (_file({"collateral": {"BTC": {"index": "0"}}}), "a: account.collateral.BTC.index"),
    "collateral negative": (
        _file({"collateral": {"BTC": {"index": "1", "ratio": "-1"}}}),
        "a: account.collateral.BTC.ratio",
    ),
    "policy float": (_file(policy={"adjustment_factor": 0.1}), "a: policy.adjustment_factor"),
    "policy list": (_file(policy={"trigger": []}), "a: policy.trigger"),
}


@pytest.mark.parametrize(("document", "where"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused_at_its_place_and_by_the_schema_too(document: Json, where: str) -> None:
    with pytest.raises(BadAccount) as raised:
        parse_text(json.dumps(document), where="a")
    assert raised.value.where == where
    assert raised.value.expected
    by_schema = errors(document, SCHEMA)
    assert by_schema or document is REFUSED["day no day"][0]  # a pattern cannot know that February has no 30th


TERMS_REFUSED: dict[str, tuple[Json, str]] = {
    "unknown field": ({**TERMS, "size": "1"}, ""),
    "no settlement asset": ({"tiers": []}, ".settle_asset"),
    "kind": ({**TERMS, "kind": "swap"}, ".kind"),
    "contract size": ({**TERMS, "contract_size": "0"}, ".contract_size"),
    "step": ({**TERMS, "price_step": "0"}, ".price_step"),
    "fee": ({**TERMS, "taker_fee_rate": "-0.1"}, ".taker_fee_rate"),
    "unit": ({**TERMS, "tier_unit": "coins"}, ".tier_unit"),
    "underlying": ({**TERMS, "underlying": 5}, ".underlying"),
    "tiers no list": ({**TERMS, "tiers": {"floor": "0"}}, ".tiers"),
    "tier without floor": ({**TERMS, "tiers": [{"maintenance_rate": "0.1"}]}, ".tiers[0].floor"),
    "unknown field of a tier": ({**TERMS, "tiers": [{"floor": "0", "rate": "0.1"}]}, ".tiers[0]"),
    "rate float": ({**TERMS, "tiers": [{"floor": "0", "maintenance_rate": 0.1}]}, ".tiers[0].maintenance_rate"),
}


@pytest.mark.parametrize(("terms", "where"), TERMS_REFUSED.values(), ids=TERMS_REFUSED.keys())
def test_terms_that_cannot_be_are_refused_at_their_place_and_by_the_schema_too(terms: Json, where: str) -> None:
    document = _file({"positions": [LONG]}, contracts={"BTCUSDT": terms})
    with pytest.raises(BadAccount) as raised:
        parse_text(json.dumps(document), where="a").rulebook()
    assert raised.value.where == f"a: contracts.BTCUSDT{where}"
    assert errors(document, SCHEMA)


@pytest.mark.parametrize(
    ("tiers", "message", "place"),
    [
        ([("5", None, "0.1")], "the first tier does not start at 0", "tiers[0].floor"),
        ([("0", "10", "0.1"), ("20", None, "0.2")], "a gap between tiers", "tiers[1].floor"),
        ([("0", "10", "0.1"), ("5", None, "0.2")], "tiers overlap", "tiers[1].floor"),
        ([("0", None, "0.1"), ("0", None, "0.2")], "tiers overlap", "tiers[1].floor"),
        ([("0", "0", "0.1")], "a tier that ends before it starts", "tiers[0].cap"),
        ([("0", "10", "0.2"), ("10", None, "0.1")], "the maintenance rate falls", "tiers[1].maintenance_rate"),
        ([("0", None, "1.1")], "a maintenance rate above 1", "tiers[0].maintenance_rate"),
    ],
)
def test_tiers_that_do_not_follow_each_other_are_refused(
    tiers: list[tuple[str, str | None, str]], message: str, place: str
) -> None:
    rows = [{"floor": floor, "cap": cap, "maintenance_rate": rate} for floor, cap, rate in tiers]
    document = _file({"positions": [LONG]}, contracts={"BTCUSDT": {**TERMS, "tiers": rows}})
    with pytest.raises(BadAccount, match=message) as raised:
        parse(document, where="a").rulebook()
    assert raised.value.where == f"a: contracts.BTCUSDT.{place}"


def test_a_leg_twice_and_both_legs_in_one_way_mode_are_refused() -> None:
    short = {**LONG, "side": "short"}
    with pytest.raises(BadAccount, match="is there twice"):
        parse(_file({"position_mode": "hedge", "positions": [LONG, short, LONG]}), where="a")
    with pytest.raises(BadAccount, match="in one-way mode"):
        parse(_file({"positions": [LONG, short]}), where="a")
    assert len(parse(_file({"position_mode": "hedge", "positions": [LONG, short]}), where="a").account.positions) == 2


def test_two_marks_of_one_symbol_are_refused() -> None:
    legs = [{**LONG, "mark_price": "118000"}, {**LONG, "side": "short", "mark_price": "118001"}]
    with pytest.raises(BadAccount, match="two marks for BTCUSDT") as raised:
        parse(_file({"position_mode": "hedge", "positions": legs}), where="a")
    assert raised.value.where == "a: account.positions[1].mark_price"


@pytest.mark.parametrize(
    "changes", [{"policy": {"trigger": "bellow"}}, {"policy": {"triger": "below"}}, {"rulebook": "binance-usd"}]
)
def test_faults_of_the_rulebook_name_the_file(changes: Json) -> None:
    with pytest.raises(BadRulebook) as raised:
        parse(_file({}, **changes), where="a").rulebook()
    assert (raised.value.where or "").startswith("a: ")
    assert (raised.value.hint or "").startswith("did you mean ")


# ── Held to the tables ───────────────────────────────────────────────────────────────────────────────────────────

# Tiers of BTCUSDT on 2025-10-10: up to 300,000 at 150x, up to 800,000 at 100x, …, the last ends at 1,800,000,000.


def _on_the_day(**changes: Any) -> account_file.AccountFile:
    return parse({**_held(**changes), "as_of": "2025-10-10"}, where="a")


@pytest.mark.parametrize(
    ("quantity", "leverage", "fits"), [("2", "150", True), ("2", "151", False), ("3", "101", False)]
)
def test_leverage_is_held_to_the_tier_of_the_entry_value(quantity: str, leverage: str, fits: bool) -> None:  # noqa: FBT001
    file = _on_the_day(quantity=quantity, leverage=leverage)
    if fits:
        account_file.check_leverage(file, file.rulebook())
        return
    with pytest.raises(BadAccount) as raised:
        account_file.check_leverage(file, file.rulebook())
    assert raised.value.where == "a: account.positions[0].leverage"


@pytest.mark.parametrize(("mark", "fits"), [("180000", True), ("180000.1", False)])
def test_a_size_is_held_to_the_end_of_the_last_tier_at_the_mark(mark: str, fits: bool) -> None:  # noqa: FBT001
    file = _on_the_day(quantity="10000", mark_price=mark)
    if fits:
        account_file.check_sizes(file, file.rulebook())
        return
    with pytest.raises(BadAccount) as raised:
        account_file.check_sizes(file, file.rulebook())
    assert raised.value.where == "a: account.positions[0].quantity"
    assert raised.value.found == "1800001000"


def test_symbols_of_positions_and_orders_need_a_table() -> None:
    file = parse(_file({"positions": [LONG], "orders": [{**ORDER, "symbol": "BTCUSD"}]}), where="a")
    with pytest.raises(BadAccount) as raised:
        account_file.check_symbols(file, file.rulebook())
    assert raised.value.where == "a: account.orders[0].symbol"


# ── The schema ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_every_published_case_is_valid_by_the_schema_and_by_the_parser(case: Json) -> None:
    document = {key: value for key, value in case.items() if key != "expect"}
    assert errors(document, SCHEMA) == []
    assert parse(copy.deepcopy(document), where=case["id"]).rulebook_name == case["rulebook"]


@pytest.mark.parametrize("name", example_names())
def test_every_example_is_valid_by_the_schema(name: str) -> None:
    assert errors(json.loads(example_text(name)), SCHEMA) == []


def test_the_schema_names_the_fields_that_the_parser_knows() -> None:
    parts = {"file": SCHEMA, **{name: part for name, part in SCHEMA["$defs"].items() if "properties" in part}}
    assert {name: set(part["properties"]) for name, part in parts.items()} == {
        name: set(fields) for name, fields in account_file.FIELDS.items()
    }
    assert SCHEMA["properties"]["schema"]["const"] == account_file.SCHEMA
