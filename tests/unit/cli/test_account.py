"""``ringfence account import | example | schema``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.study.examples import example_names
from ringfence.watch import accounts
from ringfence.watch.keys import Keys
from tests.unit.cli.command import ACCOUNT, written

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.command import Command

# What Binance answers to GET /fapi/v3/account, without positions.
REPLY = {
    "assets": [{"asset": "USDT", "walletBalance": "1000", "crossWalletBalance": "1000", "crossUnPnl": "0"}],
    "positions": [],
}


@pytest.mark.parametrize("name", example_names())
def test_every_example_is_printed_and_can_be_assessed(name: str, ringfence: Command, tmp_path: Path) -> None:
    printed = ringfence("account", "example", name)
    assert printed.code == 0
    assert ringfence("assess", written(tmp_path, printed.out), "--json").code == 0


def test_without_a_name_the_first_example_is_printed_and_the_names_can_be_listed(ringfence: Command) -> None:
    assert ringfence("account", "example").out == ringfence("account", "example", example_names()[0]).out
    assert ringfence("account", "example", "--list").out.split() == list(example_names())


def test_an_unknown_example_suggests_the_nearest(ringfence: Command) -> None:
    outcome = ringfence("account", "example", "crash-bok")
    assert outcome.code == 3
    assert "did you mean crash-book" in outcome.err


def test_the_schema_is_printed(ringfence: Command) -> None:
    assert ringfence("account", "schema").json["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_a_saved_reply_becomes_an_account_file(ringfence: Command, tmp_path: Path) -> None:
    reply, out = written(tmp_path, REPLY, "reply.json"), tmp_path / "account.json"
    outcome = ringfence("account", "import", "binance-usdm", "--reply", reply, "--out", out)
    assert outcome.code == 0, outcome.err
    assert outcome.out == ""
    assert f"{out}: 0 positions, 0 orders" in outcome.err
    document = json.loads(out.read_text(encoding="utf-8"))
    assert (document["rulebook"], document["account"]["wallet"]) == ("binance-usdm", {"USDT": "1000"})
    assert ringfence("assess", out, "--json").json["account"]["margin_balance"] == "1000"
    printed = ringfence("account", "import", "binance-usdm", "--reply", reply)
    assert printed.json == document


def test_an_existing_file_is_replaced_only_when_that_is_asked_for(ringfence: Command, tmp_path: Path) -> None:
    reply, out = written(tmp_path, REPLY, "reply.json"), written(tmp_path, "mine")
    outcome = ringfence("account", "import", "binance-usdm", "--reply", reply, "--out", out)
    assert outcome.code == 3
    assert "the file is there already" in outcome.err
    assert out.read_text(encoding="utf-8") == "mine"
    assert ringfence("account", "import", "binance-usdm", "--reply", reply, "--out", out, "--force").code == 0
    assert out.read_text(encoding="utf-8") != "mine"


def test_a_file_that_cannot_be_written_leaves_nothing_behind(ringfence: Command, tmp_path: Path) -> None:
    reply = written(tmp_path, REPLY, "reply.json")
    outcome = ringfence(
        "account", "import", "binance-usdm", "--reply", reply, "--out", tmp_path / "reply.json" / "account.json"
    )
    assert outcome.code == 3
    assert "cannot be written" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["reply.json"]


def test_the_live_account_is_read_with_a_key_given_whole_or_in_two_parts(
    ringfence: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def live(venue: str, *, keys: Keys | str | None, as_of: object) -> dict[str, Any]:
        given.append((venue, keys, as_of is not None))
        return {**ACCOUNT, "notes": ["made up"]}

    monkeypatch.setattr(accounts, "import_account", live)
    monkeypatch.setenv("OUR_KEY", "the-key")
    monkeypatch.setenv("OUR_SECRET", "the-secret")
    outcome = ringfence("account", "import", "binance-usdm", "--key", "env:OUR_KEY")
    assert outcome.json["account"] == ACCOUNT["account"]
    assert "note: made up" in outcome.err
    ringfence("account", "import", "binance-usdm", "--key", "env:OUR_KEY", "--secret", "env:OUR_SECRET")
    assert given[0] == ("binance-usdm", "env:OUR_KEY", True)
    assert given[1] == ("binance-usdm", Keys("the-key", "the-secret"), True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--reply", "reply.json", "--key", "env:K"), "a saved reply and a key"),
        (("--secret", "env:S"), "a secret without its key"),
        (("--key", "abcdef", "--secret", "env:S"), "a key is given by reference, not by itself"),
        (("--key", "env:NOT_SET_ANYWHERE", "--secret", "env:S"), "the environment variable of the key is not set"),
    ],
)
def test_keys_that_cannot_be_are_refused_and_never_shown(
    options: tuple[str, ...], message: str, ringfence: Command
) -> None:
    outcome = ringfence("account", "import", "binance-usdm", *options)
    assert outcome.code == 3
    assert message in outcome.err
    assert "abcdef" not in outcome.err


def test_a_reply_of_no_known_form_is_refused(ringfence: Command, tmp_path: Path) -> None:
    outcome = ringfence("account", "import", "binance-usdm", "--reply", written(tmp_path, {"a": 1}))
    assert outcome.code == 3
    assert "the saved reply has no form that is known" in outcome.err
