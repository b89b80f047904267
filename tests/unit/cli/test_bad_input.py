"""Whatever is wrong with what a user gives: file, field, what was expected, what to do; no traceback; code 3."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ringfence import MarginMode, Position, assess_account, load_rulebook
from ringfence.account import Account
from ringfence.errors import BadAccount
from ringfence.numbers import ONE
from tests.unit.cli.command import ACCOUNT, LONG, changed, written

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.command import Command, Json, Outcome

FIRST = "account.positions[0]"


class Bad(NamedTuple):
    """An account with one fault, and what the error has to say of it."""

    document: object
    field: str
    message: str
    expected: str
    hint: str


def _tiers(*tiers: Json) -> Json:
    return changed(
        "contracts", {"BTCUSDT": {"settle_asset": "USDT", "tiers": list(tiers)}}, of={**ACCOUNT, "contracts": None}
    )


def _tier(floor: str, rate: str, cap: str | None = None) -> Json:
    return {"floor": floor, "cap": cap, "maintenance_rate": rate}


def _with(*positions: Json, mode: str = "one_way") -> Json:
    document = changed("account.positions", [LONG, *positions])
    document["account"]["position_mode"] = mode
    return document


SHORT = {**LONG, "side": "short"}

FAULTS = {
    "unknown symbol": Bad(
        changed("account.positions.0.symbol", "BTCUSD"),
        f"{FIRST}.symbol",
        "no table for BTCUSD",
        "a symbol of",
        "did you mean BTCUSDT",
    ),
    "unknown venue": Bad(
        changed("rulebook", "binance-usd"),
        "rulebook",
        "no rulebook 'binance-usd'",
        "one of ",
        "did you mean binance-usdm",
    ),
    "unknown field of the file": Bad(
        {**ACCOUNT, "rulebok": "x"}, "", "unknown field 'rulebok'", "one of schema, rulebook", "did you mean rulebook"
    ),
    "unknown field of the account": Bad(
        changed("account.walet", {}), "account", "unknown field 'walet'", "one of position_mode", "did you mean wallet"
    ),
    "unknown field of a position": Bad(
        changed("account.positions.0.quantiy", "1"),
        FIRST,
        "unknown field 'quantiy'",
        "symbol, side, quantity",
        "did you mean quantity",
    ),
    "unknown side": Bad(
        changed("account.positions.0.side", "lng"),
        f"{FIRST}.side",
        "unknown or missing",
        "long or short",
        "did you mean long",
    ),
    "unknown policy": Bad(
        {**ACCOUNT, "policy": {"maintenance_on": "mark"}},
        "policy",
        "unknown policy maintenance_on",
        "maintenance_at",
        "did you mean maintenance_at",
    ),
    "unknown choice of a policy": Bad(
        {**ACCOUNT, "policy": {"trigger": "bellow"}},
        "policy.trigger",
        "trigger cannot be 'bellow'",
        "'at_or_below'",
        "did you mean below",
    ),
    "zero price": Bad(
        changed("account.positions.0.mark_price", "0"),
        f"{FIRST}.mark_price",
        "zero",
        "a positive number",
        "give the real",
    ),
    "negative price": Bad(
        changed("account.positions.0.entry_price", "-1"),
        f"{FIRST}.entry_price",
        "negative",
        "0 or more",
        "remove the sign",
    ),
    "NaN": Bad(
        changed("account.positions.0.mark_price", "NaN"),
        f"{FIRST}.mark_price",
        "not a finite number",
        "a finite decimal",
        "leave the field out",
    ),
    "infinity": Bad(
        changed("account.positions.0.mark_price", "Infinity"),
        f"{FIRST}.mark_price",
        "not a finite number",
        "a finite decimal",
        "leave the field out",
    ),
    "a bare NaN of JSON": Bad(
        '{"rulebook": "binance-usdm", "account": {"wallet": {"USDT": NaN}}}',
        "account.wallet.USDT",
        "a float",
        '"NaN"',
        "write numbers as strings",
    ),
    "a float": Bad(
        changed("account.positions.0.quantity", 0.1),
        f"{FIRST}.quantity",
        "a float where a decimal string is due",
        '"0.1"',
        "a float has already lost digits",
    ),
    "a float among the policies": Bad(
        {**ACCOUNT, "policy": {"funding_reserve_rate": 0.01}},
        "policy.funding_reserve_rate",
        "not a choice or a number",
        "a decimal string",
        'write it as text: "0.01"',
    ),
    "negative quantity": Bad(
        changed("account.positions.0.quantity", "-0.1"),
        f"{FIRST}.quantity",
        "negative",
        "0 or more",
        "a short is written",
    ),
    "a gap between tiers": Bad(
        _tiers(_tier("0", "0.01", "1000"), _tier("2000", "0.02")),
        "contracts.BTCUSDT.tiers[1].floor",
        "a gap between tiers",
        "1000",
        "starts where the one before it ends",
    ),
    "tiers that overlap": Bad(
        _tiers(_tier("0", "0.01", "1000"), _tier("500", "0.02")),
        "contracts.BTCUSDT.tiers[1].floor",
        "tiers overlap",
        "1000",
        "tiers ascend",
    ),
    "a position above the last tier": Bad(
        changed("account.positions.0.quantity", "1000000"),
        f"{FIRST}.quantity",
        "larger than the venue allows",
        "at most 1800000000 (notional value)",
        "check the quantity",
    ),
    "an isolated position in a basket": Bad(
        {
            **ACCOUNT,
            "account": {
                **ACCOUNT["account"],
                "collateral_mode": "multi_asset",
                "positions": [
                    {**ACCOUNT["account"]["positions"][0], "margin_mode": "isolated", "isolated_margin": "1000"}
                ],
            },
        },
        f"{FIRST}.margin_mode",
        "isolated in a basket account",
        "cross: Multi-Assets mode holds cross margin only",
        "set margin_mode to cross",
    ),
    "leverage above the tier's": Bad(
        changed("account.positions.0.leverage", "151"),
        f"{FIRST}.leverage",
        "leverage 151 is above",
        "at most 150 at 11700",
        "lower the leverage of BTCUSDT",
    ),
    "a position twice": Bad(
        _with(LONG),
        "account.positions[1]",
        "BTCUSDT long is there twice",
        "one entry per symbol and side",
        "add the quant",
    ),
    "hedge legs in one-way mode": Bad(
        _with(SHORT),
        "account.positions[1]",
        "a long and a short of BTCUSDT in one-way mode",
        "one net position",
        '"position_mode": "hedge"',
    ),
    "isolated without margin": Bad(
        changed("account.positions.0.margin_mode", "isolated"),
        f"{FIRST}.isolated_margin",
        "an isolated position without margin",
        "the position's own wallet",
        "give isolated_margin",
    ),
    "cross with a margin of its own": Bad(
        changed("account.positions.0.isolated_margin", "5"),
        f"{FIRST}.isolated_margin",
        "a margin of its own",
        "null",
        "leave it out",
    ),
    "a key twice": Bad(
        '{"rulebook": "binance-usdm", "account": {"wallet": {"USDT": "1", "USDT": "2"}}}',
        "",
        "'USDT' is there twice",
        "each key once",
        "remove one",
    ),
    "a truncated file": Bad(
        '{"rulebook": "binance-usdm", "account": {"wallet":',
        ", line 1 column",
        "the file looks truncated",
        "one JSON object",
        "mend the file",
    ),
    "an empty file": Bad("  \n", "", "the file is empty", "an account as JSON or TOML", "ringfence account example"),
    "a list of something": Bad("[1, 2]", "", "not an object", "an object with", ""),
    "another kind of file": Bad(
        {**ACCOUNT, "schema": "ringfence.compare/1"},
        "schema",
        "another kind of file",
        "ringfence.account/1",
        "ringfence account example",
    ),
    "brackets without end": Bad("[" * 100_000, "", "beyond any real account", "an account as JSON", "the right file"),
    "a number of 5,000 digits": Bad(
        '{"rulebook": ' + "9" * 5000 + "}", "", "beyond any real account", "an account as JSON", "the right file"
    ),
    "a day that is none": Bad(
        changed("as_of", "2025-13-10"), "as_of", "not a day", "YYYY-MM-DD", "write a day such as 2025-10-10"
    ),
    "a day before the first table": Bad(
        changed("as_of", "2021-01-01"),
        f"{FIRST}.symbol",
        "no table for BTCUSDT in binance-usdm on 2021-01-01",
        "a day on or after a table of it: 2021-03-18",
        "give --as-of 2021-03-18",
    ),
}


@pytest.mark.parametrize("verb", ["assess", "check", "compare"])
@pytest.mark.parametrize("bad", FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_of_an_account_file_is_told_with_file_field_expectation_and_remedy(
    bad: Bad, verb: str, ringfence: Command, tmp_path: Path
) -> None:
    path = written(tmp_path, bad.document)
    outcome = ringfence(verb, path)
    assert outcome.code == 3
    assert outcome.out == ""
    place = f"{path}: {bad.field}" if bad.field and not bad.field.startswith(",") else f"{path}{bad.field}"
    assert outcome.err.startswith(f"error: {place}")
    _says(outcome, bad.message, bad.expected, bad.hint)


def _says(outcome: Outcome, message: str, expected: str, hint: str) -> None:
    first, *rest = outcome.err.splitlines()
    assert message in first
    assert any(line.startswith("  expected: ") and expected in line for line in rest)
    assert any(line.startswith("  do: ") and hint in line for line in rest) or not hint
    assert "Traceback" not in outcome.err


def test_a_file_that_is_not_there_suggests_the_nearest_one(ringfence: Command, tmp_path: Path) -> None:
    written(tmp_path, ACCOUNT)
    outcome = ringfence("assess", tmp_path / "acount.json")
    assert outcome.code == 3
    _says(outcome, f"{tmp_path / 'acount.json'}: no such file", "an account file", "did you mean account.json?")


def test_a_directory_is_no_account_file(ringfence: Command, tmp_path: Path) -> None:
    outcome = ringfence("assess", tmp_path)
    assert outcome.code == 3
    _says(outcome, f"{tmp_path}: cannot be read", "an account file, JSON or TOML", "name the account file itself")


def test_a_binary_file_is_no_account_file(ringfence: Command, tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    path.write_bytes(bytes(range(256)))
    outcome = ringfence("assess", path)
    assert outcome.code == 3
    _says(outcome, f"{path}: cannot be read", "UTF-8", "name the account file itself")
    assert "found: bytes that are no UTF-8 text" in outcome.err


@pytest.mark.parametrize(
    ("given", "message", "expected", "hint"),
    [
        ("BTCUSDT=0", "--mark BTCUSDT: zero", "a positive number", "real number"),
        ("BTCUSDT=-1", "--mark BTCUSDT: negative", "0 or more", "remove the sign"),
        ("BTCUSDT=nan", "--mark BTCUSDT: not a finite number", "a finite decimal", ""),
        ("BTCUSDT=61,000", "--mark BTCUSDT: not a number", "a decimal string", "without separators"),
        ("BTCUSDT", "--mark: not a mark", "SYMBOL=PRICE", "an equals sign"),
        ("BTCUSD=61000", "--mark BTCUSD: not in the account", "one of BTCUSDT", "did you mean BTCUSDT"),
    ],
)
def test_a_mark_that_cannot_be_is_refused(
    given: str, message: str, expected: str, hint: str, ringfence: Command, tmp_path: Path
) -> None:
    outcome = ringfence("assess", written(tmp_path, ACCOUNT), "--mark", given)
    assert outcome.code == 3
    _says(outcome, message, expected, hint)


def test_an_option_for_a_day_that_is_none_is_refused(ringfence: Command, tmp_path: Path) -> None:
    outcome = ringfence("assess", written(tmp_path, ACCOUNT), "--as-of", "yesterday")
    assert outcome.code == 3
    _says(outcome, "--as-of: not a day", "YYYY-MM-DD", "2025-10-10")


def test_a_position_without_a_mark_cannot_be_assessed() -> None:
    position = Position("BTCUSDT", ONE, ONE, MarginMode.CROSS)
    with pytest.raises(BadAccount) as raised:
        assess_account(Account(positions=(position,), wallet={"USDT": ONE}), {}, load_rulebook("binance-usdm"))
    assert raised.value.message == "no mark price for BTCUSDT"
    assert raised.value.expected == "a mark for every position held"
    assert raised.value.hint == "give mark_price, or --mark BTCUSDT=PRICE"


def test_faults_of_standard_input_name_it(ringfence: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _standard_input(monkeypatch, b'{"rulebook": "binance-usdm"}')
    outcome = ringfence("assess", "-")
    assert outcome.code == 3
    _says(outcome, "standard input: account is missing", "at least rulebook and account", 'add "account"')


def test_standard_input_that_is_no_text_is_refused(ringfence: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _standard_input(monkeypatch, b"\xff\xfe\x00")
    outcome = ringfence("check", "-")
    assert outcome.code == 3
    _says(outcome, "standard input: cannot be read", "JSON in UTF-8", "pipe the account file itself in")


def _standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_a_file_of_faults_is_refused_at_its_first_and_mended_one_by_one_it_passes(
    ringfence: Command, tmp_path: Path
) -> None:
    document: Any = copy.deepcopy(ACCOUNT)
    document["account"]["positions"][0] |= {"side": "lng", "quantity": "0"}
    assert "side" in ringfence("assess", written(tmp_path, document)).err
    document["account"]["positions"][0]["side"] = "long"
    assert "quantity" in ringfence("assess", written(tmp_path, document)).err
    document["account"]["positions"][0]["quantity"] = "0.1"
    assert ringfence("assess", written(tmp_path, document)).code == 0
