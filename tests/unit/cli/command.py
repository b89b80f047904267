"""The command line as tests run it, and the account files they give it."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

Json = dict[str, Any]

# 0.1 BTC long from 117,000 at ten times, mark 118,000: notional 11,800 in the first tier (0.4 %) of 2025-10-10.
LONG: Json = {
    "symbol": "BTCUSDT",
    "side": "long",
    "quantity": "0.1",
    "entry_price": "117000",
    "mark_price": "118000",
    "margin_mode": "cross",
    "leverage": "10",
}
ACCOUNT: Json = {
    "rulebook": "binance-usdm",
    "as_of": "2025-10-10",
    "account": {"position_mode": "one_way", "wallet": {"USDT": "10000"}, "positions": [LONG]},
}


class Outcome(NamedTuple):
    """What one run ended with and printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Json:
        """What was printed, read as JSON."""
        read: Json = json.loads(self.out)
        return read


class Command:
    """Runs the command line and catches what it prints."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Outcome:
        """Run ``ringfence arguments…``."""
        self._capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = self._capsys.readouterr()
        return Outcome(code, out, err)


def changed(path: str, value: object, *, of: Json | None = None) -> Json:
    """The account with the value at a dotted path replaced: ``account.positions.0.side``."""
    document = copy.deepcopy(ACCOUNT if of is None else of)
    *parents, last = path.split(".")
    target: Any = document
    for step in parents:
        target = target[int(step) if isinstance(target, list) else step]
    target[int(last) if isinstance(target, list) else last] = value
    return document


def written(folder: Path, document: object, name: str = "account.json") -> Path:
    """The path of a file that holds the document as JSON (a text: as it is)."""
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path
