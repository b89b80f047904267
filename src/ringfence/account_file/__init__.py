"""Account files: JSON or TOML in, an :class:`~ringfence.account.Account` with its marks and its own tables out.

The form is that of the published answers, without ``expect``::

    {
        "rulebook": "binance-usdm",
        "as_of": "2025-10-10",
        "account": {
            "wallet": {"USDT": "10000"},
            "positions": [
                {
                    "symbol": "BTCUSDT",
                    "side": "long",
                    "quantity": "0.1",
                    "entry_price": "117000",
                    "mark_price": "117500",
                    "margin_mode": "cross",
                    "leverage": "10",
                }
            ],
        },
    }

``rulebook`` and ``account`` are required; everything else falls back to the rulebook, and an absent key means null.
Numbers are decimal strings (whole JSON numbers pass; a float would already have lost digits, and is refused).
``quantity`` is unsigned with a ``side`` here and signed inside. ``account.schema.json`` describes the form to machines.
Every fault is a :class:`~ringfence.errors.BadAccount` that names the file and the field.

Modules: ``text`` the file's text, ``file`` the whole; ``fields`` what each part may have, ``values`` single ones;
``holdings``, ``collateral``, ``contracts`` its parts; ``checks`` held to the rulebook.
"""

from __future__ import annotations

from ringfence.account_file.checks import check_leverage, check_modes, check_risk, check_sizes, check_symbols
from ringfence.account_file.contracts import read_contract
from ringfence.account_file.fields import FIELDS, SCHEMA
from ringfence.account_file.file import AccountFile, parse, parse_text, read, read_price, with_marks
from ringfence.account_file.holdings import risk_inputs
from ringfence.account_file.text import load_text

__all__ = [
    "FIELDS",
    "SCHEMA",
    "AccountFile",
    "check_leverage",
    "check_modes",
    "check_risk",
    "check_sizes",
    "check_symbols",
    "load_text",
    "parse",
    "parse_text",
    "read",
    "read_contract",
    "read_price",
    "risk_inputs",
    "with_marks",
]
