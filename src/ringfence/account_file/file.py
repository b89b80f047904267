"""An account file as a whole: its parts, the rulebook it is assessed under, and marks given beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence import rulebooks
from ringfence.account import Account, CollateralMode, PositionMode
from ringfence.account_file.collateral import read_collateral
from ringfence.account_file.contracts import read_contract
from ringfence.account_file.fields import ACCOUNT, CIRCUMSTANCES, FEES, SCHEMA, TOP
from ringfence.account_file.holdings import check_legs, read_orders, read_positions, risk_inputs
from ringfence.account_file.text import load_text
from ringfence.account_file.values import (
    Float,
    choice_of,
    day_of,
    list_of,
    mapping_of,
    name_of,
    number_of,
    object_of,
    positive_of,
    shape_of,
)
from ringfence.errors import BadAccount, BadRulebook, nearest
from ringfence.fees import AccountFees
from ringfence.numbers import ONE, plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from ringfence.numbers import Price
    from ringfence.rulebook import Rulebook


@dataclass(frozen=True, slots=True)
class AccountFile:
    """An account as a file states it. ``marks_assumed``: symbols without a mark (their entry price stands in).

    ``fees``: the account's fee level, discounts and own rates; None where the file names none of them.
    """

    rulebook_name: str
    as_of: date | None
    account: Account
    marks: Mapping[str, Price]
    marks_assumed: tuple[str, ...] = ()
    contracts: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    where: str = "account"
    fees: AccountFees | None = None
    circumstances: Mapping[str, Any] = field(default_factory=dict)

    def rulebook(self, as_of: date | None = None) -> Rulebook:
        """Return the rulebook the file is assessed under: ``as_of`` > the file's day > the latest; its tables first.

        Raises BadRulebook for an unknown rulebook, policy, day, fee level or discount, and BadAccount for faulty
        ``contracts``.
        """
        try:
            base = rulebooks.load(self.rulebook_name, as_of or self.as_of)
            changed = base.with_policies(self.policy).with_fees(self.fees)
        except BadRulebook as error:
            raise error.located(self.where) from None
        progressive = changed.cross.tier_type == "progressive"
        tables = {
            symbol: read_contract(symbol, terms, f"{self.where}: contracts.{symbol}", progressive=progressive)
            for symbol, terms in self.contracts.items()
        }
        return changed.with_tables(tables)


def read(path: str | Path) -> AccountFile:
    """Read an account file. The suffix ``.toml`` means TOML, anything else JSON. Raises BadAccount."""
    target = Path(path)
    try:
        text = target.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        close = nearest(target.name, [p.name for p in target.parent.glob("*")] if target.parent.is_dir() else [])
        raise BadAccount(
            "no such file", where=str(path), expected="an account file (JSON or TOML)",
            hint=close or "check the path; `ringfence account example` prints one to start from",
        ) from None  # fmt: skip
    except (OSError, UnicodeDecodeError) as error:
        found = (error.strerror or str(error)) if isinstance(error, OSError) else "bytes that are no UTF-8 text"
        raise BadAccount(
            "cannot be read", where=str(path), expected="an account file, JSON or TOML in UTF-8", found=found,
            hint="name the account file itself; `ringfence account example` prints one to start from",
        ) from None  # fmt: skip
    return parse_text(text, where=str(path), toml=target.suffix == ".toml")


def parse_text(text: str, *, where: str, toml: bool = False) -> AccountFile:
    """Parse the text of an account file; ``where`` names it in errors. Raises BadAccount."""
    return parse(load_text(text, where=where, toml=toml), where=where)


def parse(data: Any, *, where: str) -> AccountFile:
    """Turn the data of an account file into an :class:`AccountFile`. Raises BadAccount."""
    top = object_of(data, TOP, where)
    for key in ("rulebook", "account"):
        if top.get(key) is None:
            raise BadAccount(
                f"{key} is missing", where=where, expected="an object with at least rulebook and account",
                found=", ".join(top) or "nothing", hint=f'add "{key}"',
            )  # fmt: skip
    if top.get("schema") not in (None, SCHEMA):
        raise BadAccount(
            "another kind of file", where=f"{where}: schema", expected=SCHEMA, found=str(top["schema"]),
            hint="give an account file; `ringfence account example` prints one",
        )  # fmt: skip
    body = object_of(top["account"], ACCOUNT, f"{where}: account")
    marks: dict[str, Price] = {}
    assumed: list[str] = []
    positions = read_positions(body.get("positions"), f"{where}: account.positions", marks, assumed)
    orders = read_orders(body.get("orders"), f"{where}: account.orders", marks)
    mode = choice_of(body.get("position_mode"), PositionMode, f"{where}: account.position_mode", PositionMode.ONE_WAY)
    check_legs(positions, mode, f"{where}: account.positions")
    wallet = mapping_of(body.get("wallet"), f"{where}: account.wallet")
    collateral, index_prices = read_collateral(body.get("collateral"), f"{where}: account.collateral")
    account = Account(
        positions=positions,
        orders=orders,
        wallet={a: number_of(v, f"{where}: account.wallet.{a}", signed=True, null=True) for a, v in wallet.items()},
        collateral=collateral,
        index_prices=index_prices,
        position_mode=mode,
        collateral_mode=choice_of(
            body.get("collateral_mode"),
            CollateralMode,
            f"{where}: account.collateral_mode",
            CollateralMode.SINGLE_ASSET,
        ),
        risk=risk_inputs(body, marks, where=f"{where}: account", as_of=day_of(top.get("as_of"), f"{where}: as_of")),
    )
    return AccountFile(
        rulebook_name=name_of(top["rulebook"], f"{where}: rulebook"),
        as_of=day_of(top.get("as_of"), f"{where}: as_of"),
        account=account,
        marks=marks,
        marks_assumed=tuple(assumed),
        contracts=mapping_of(top.get("contracts"), f"{where}: contracts"),
        policy=_policy(top.get("policy"), f"{where}: policy"),
        circumstances=_circumstances(top.get("circumstances"), f"{where}: circumstances"),
        where=where,
        fees=_fees(body, f"{where}: account"),
    )


def _fees(body: Mapping[str, Any], where: str) -> AccountFees | None:
    """Return what the account pays for trades, or None where the file leaves all of it to the rulebook."""
    level, own = body.get("fee_level"), body.get("fees")
    discounts = [
        name_of(name, f"{where}.fee_discounts[{index}]")
        for index, name in enumerate(list_of(body.get("fee_discounts"), f"{where}.fee_discounts"))
    ]
    if level is None and own is None and not discounts:
        return None
    row = {} if own is None else object_of(own, FEES, f"{where}.fees")
    rates = {key: number_of(row.get(key), f"{where}.fees.{key}", signed=True, null=True) for key in FEES}
    for key, rate in rates.items():
        if rate is not None and abs(rate) >= ONE:
            raise BadAccount(
                "a fee of all of the value, or more", where=f"{where}.fees.{key}", expected="between -1 and 1",
                found=plain(rate), hint="0.05 % is written 0.0005",
            )  # fmt: skip
    name = None if level is None else name_of(level, f"{where}.fee_level")
    return AccountFees(name, tuple(discounts), rates["maker"], rates["taker"])


def _circumstances(raw: Any, where: str) -> dict[str, Any]:
    """Return who asks for advice and what for, as text; which words are known is for the advice to say."""
    if raw is None:
        return {}
    told = dict(object_of(raw, CIRCUMSTANCES, where))
    for key in ("experience", "purpose"):
        if told.get(key) is not None:
            name_of(told[key], f"{where}.{key}")
    for symbol, word in mapping_of(told.get("purposes"), f"{where}.purposes").items():
        name_of(word, f"{where}.purposes.{symbol}")
    return told


def with_marks(file: AccountFile, marks: Mapping[str, Price]) -> AccountFile:
    """Return the file with single marks overridden. Raises BadAccount for a symbol that is not held or ordered."""
    from dataclasses import replace

    held = {*(position.symbol for position in file.account.positions), *(order.symbol for order in file.account.orders)}
    for symbol in marks:
        if symbol not in held:
            raise BadAccount(
                f"--mark {symbol}: not in the account", where=file.where,
                expected="one of " + (", ".join(sorted(held)) or "nothing: it holds no positions"),
                found=symbol, hint=nearest(symbol, held) or "name a symbol that the account holds or has orders in",
            )  # fmt: skip
    return replace(
        file,
        marks={**file.marks, **marks},
        marks_assumed=tuple(symbol for symbol in file.marks_assumed if symbol not in marks),
    )


def read_price(raw: str, where: str) -> Price:
    """Return a price as text states it; ``where`` names it in errors. Raises BadAccount unless it is above 0."""
    return positive_of(raw, where)


def _policy(raw: Any, where: str) -> dict[str, Any]:
    """Return single policies as they stand: names of choices, yes or no, and numbers as decimal strings."""
    policy = mapping_of(raw, where)
    for name, value in policy.items():
        if isinstance(value, Float) or not isinstance(value, (str, int)):
            raise BadAccount(
                "not a choice or a number", where=f"{where}.{name}", found=shape_of(value),
                expected="the name of a choice, true or false, or a decimal string",
                hint=f'write it as text: "{value}"' if isinstance(value, Float) else "see `ringfence rulebooks show`",
            )  # fmt: skip
    return policy


__all__ = ["AccountFile", "parse", "parse_text", "read", "read_price", "with_marks"]
