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
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence import rulebooks
from ringfence.account import (
    DOLLARS,
    Account,
    Collateral,
    CollateralMode,
    MarginMode,
    OpenOrder,
    Position,
    PositionMode,
    RiskInputs,
    Slice,
)
from ringfence.contract import Contract, ContractKind, OptionType, coin
from ringfence.errors import BadAccount, BadInput, BadRulebook, nearest
from ringfence.fees import AccountFees
from ringfence.numbers import ONE, ZERO, exact, plain
from ringfence.portfolio_rules import UnifiedTerms
from ringfence.rulebook import Tier, TierTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ringfence.numbers import Price, Quantity
    from ringfence.rulebook import Rulebook

SCHEMA = "ringfence.account/1"

_TOP = (
    "schema", "rulebook", "account", "as_of", "contracts", "policy", "notes", "id", "source", "authority", "title",
    "circumstances",
)  # fmt: skip
_CIRCUMSTANCES = ("experience", "purpose", "purposes")
_ACCOUNT = (
    "position_mode", "collateral_mode", "wallet", "collateral", "positions", "orders", "fee_level", "fee_discounts",
    "fees", "time", "index", "rates", "loans", "spot_hedging",
)  # fmt: skip
_POSITION = (
    "symbol", "side", "quantity", "entry_price", "mark_price", "margin_mode", "isolated_margin", "leverage",
    "implied_volatility",
)  # fmt: skip
_ORDER = ("symbol", "side", "quantity", "price", "leverage", "mark_price", "reduce_only", "position_side")
_FEES = ("maker", "taker")
_COLLATERAL = ("index", "ratio", "bid_buffer", "ask_buffer", "tiers", "tier_unit", "moves_with")
_SLICE = ("floor", "cap", "ratio")
_CONTRACT = (
    "kind", "contract_size", "settle_asset", "price_step", "quantity_step", "minimum_quantity", "minimum_notional",
    "maker_fee_rate", "taker_fee_rate", "liquidation_fee_rate", "tiers", "tier_unit", "underlying", "expiry", "strike",
    "option_type",
)  # fmt: skip
_TIER = ("floor", "cap", "maintenance_rate", "deduction", "max_leverage")

FIELDS = {
    "file": _TOP,
    "account": _ACCOUNT,
    "position": _POSITION,
    "order": _ORDER,
    "collateral": _COLLATERAL,
    "collateral_tier": _SLICE,
    "fees": _FEES,
    "contract": _CONTRACT,
    "tier": _TIER,
    "circumstances": _CIRCUMSTANCES,
}
"""The fields that each part of a file may have."""


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


def load_text(text: str, *, where: str, toml: bool = False) -> Any:
    """Return the data of a JSON or TOML text. JSON floats are kept apart as the Decimal they were written as."""
    if not text.strip():
        raise BadAccount(
            "the file is empty", where=where, expected="an account as JSON or TOML", found="nothing",
            hint="`ringfence account example` prints one to start from",
        )  # fmt: skip
    if toml:
        import tomllib

        try:
            return tomllib.loads(text, parse_float=_Float)
        except tomllib.TOMLDecodeError as error:
            raise BadAccount(
                f"not valid TOML: {error}", where=where, expected="an account as TOML",
                hint="mend the file at that place",
            ) from None  # fmt: skip
    import json

    try:
        return json.loads(text, parse_float=_Float, parse_constant=_Float, object_pairs_hook=_unique_keys(where))
    except json.JSONDecodeError as error:
        place = f"{where}, line {error.lineno} column {error.colno}"
        cut = error.pos >= len(text.rstrip()) - 1
        raise BadAccount(
            "the JSON ends too early; the file looks truncated" if cut else f"not valid JSON: {error.msg}",
            where=place, expected="one JSON object", hint="mend the file at that place",
        ) from None  # fmt: skip
    except (ValueError, RecursionError):  # a whole number of thousands of digits; brackets in brackets without end
        raise BadAccount(
            "a number or a nesting beyond any real account", where=where, expected="an account as JSON",
            hint="check that this is the right file",
        ) from None  # fmt: skip


def _unique_keys(where: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """Return a hook that refuses an object in which one key stands twice: which of the two is meant cannot be known."""

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise BadAccount(
                f"{twice!r} is there twice in one object", where=where, expected="each key once", found=twice,
                hint=f"remove one {twice!r}",
            )  # fmt: skip
        return built

    return build


class _Float(str):
    """A JSON or TOML float, kept as the text it was written as, to be refused with that text."""

    __slots__ = ()


def parse(data: Any, *, where: str) -> AccountFile:
    """Turn the data of an account file into an :class:`AccountFile`. Raises BadAccount."""
    top = _table(data, _TOP, where)
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
    body = _table(top["account"], _ACCOUNT, f"{where}: account")
    marks: dict[str, Price] = {}
    assumed: list[str] = []
    positions = _positions(body.get("positions"), f"{where}: account.positions", marks, assumed)
    orders = _orders(body.get("orders"), f"{where}: account.orders", marks)
    mode = _choice(body.get("position_mode"), PositionMode, f"{where}: account.position_mode", PositionMode.ONE_WAY)
    _check_legs(positions, mode, f"{where}: account.positions")
    wallet = _mapping(body.get("wallet"), f"{where}: account.wallet")
    collateral, index_prices = _collateral(body.get("collateral"), f"{where}: account.collateral")
    account = Account(
        positions=positions,
        orders=orders,
        wallet={a: _number(v, f"{where}: account.wallet.{a}", signed=True, null=True) for a, v in wallet.items()},
        collateral=collateral,
        index_prices=index_prices,
        position_mode=mode,
        collateral_mode=_choice(
            body.get("collateral_mode"),
            CollateralMode,
            f"{where}: account.collateral_mode",
            CollateralMode.SINGLE_ASSET,
        ),
        risk=risk_inputs(body, marks, where=f"{where}: account", as_of=_day(top.get("as_of"), f"{where}: as_of")),
    )
    return AccountFile(
        rulebook_name=_text(top["rulebook"], f"{where}: rulebook"),
        as_of=_day(top.get("as_of"), f"{where}: as_of"),
        account=account,
        marks=marks,
        marks_assumed=tuple(assumed),
        contracts=_mapping(top.get("contracts"), f"{where}: contracts"),
        policy=_policy(top.get("policy"), f"{where}: policy"),
        circumstances=_circumstances(top.get("circumstances"), f"{where}: circumstances"),
        where=where,
        fees=_fees(body, f"{where}: account"),
    )


def _fees(body: Mapping[str, Any], where: str) -> AccountFees | None:
    """Return what the account pays for trades, or None where the file leaves all of it to the rulebook."""
    level, own = body.get("fee_level"), body.get("fees")
    discounts = [
        _text(name, f"{where}.fee_discounts[{index}]")
        for index, name in enumerate(_list(body.get("fee_discounts"), f"{where}.fee_discounts"))
    ]
    if level is None and own is None and not discounts:
        return None
    row = {} if own is None else _table(own, _FEES, f"{where}.fees")
    rates = {key: _number(row.get(key), f"{where}.fees.{key}", signed=True, null=True) for key in _FEES}
    for key, rate in rates.items():
        if rate is not None and abs(rate) >= ONE:
            raise BadAccount(
                "a fee of all of the value, or more", where=f"{where}.fees.{key}", expected="between -1 and 1",
                found=plain(rate), hint="0.05 % is written 0.0005",
            )  # fmt: skip
    name = None if level is None else _text(level, f"{where}.fee_level")
    return AccountFees(name, tuple(discounts), rates["maker"], rates["taker"])


def _circumstances(raw: Any, where: str) -> dict[str, Any]:
    """Return who asks for advice and what for, as text; which words are known is for the advice to say."""
    if raw is None:
        return {}
    told = dict(_table(raw, _CIRCUMSTANCES, where))
    for key in ("experience", "purpose"):
        if told.get(key) is not None:
            _text(told[key], f"{where}.{key}")
    for symbol, word in _mapping(told.get("purposes"), f"{where}.purposes").items():
        _text(word, f"{where}.purposes.{symbol}")
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
    return _positive(raw, where)


def check_symbols(file: AccountFile, rulebook: Rulebook) -> None:
    """Raise BadAccount for the first position or order whose symbol has no table, naming its place in the file."""
    places = [(f"account.positions[{index}]", held.symbol) for index, held in enumerate(file.account.positions)]
    places += [(f"account.orders[{index}]", order.symbol) for index, order in enumerate(file.account.orders)]
    for place, symbol in places:
        try:
            rulebook.entry(symbol)
        except BadInput as error:
            raise BadAccount(
                error.message, where=f"{file.where}: {place}.symbol", expected=error.expected, found=error.found,
                hint=error.hint,
            ) from None  # fmt: skip


@exact
def check_sizes(file: AccountFile, rulebook: Rulebook) -> None:
    """Raise BadAccount for a position beyond the end of its last tier, by the amount that its venue looks up."""
    basket = file.account.collateral_mode is not CollateralMode.SINGLE_ASSET
    for index, position in enumerate(file.account.positions):
        policies = rulebook.policies_for(isolated=position.margin_mode is MarginMode.ISOLATED, basket=basket)
        contract, table = rulebook.entry(position.symbol)
        if table is None or not table.tiers:
            continue
        price = position.entry_price if policies.maintenance_at == "entry" else file.marks[position.symbol]
        size, cap = _size_looked_up(file.account, position, policies.tier_key), table.tiers[-1].cap
        amount = size if table.unit == "contracts" else size * contract.contract_value(price)
        if cap is not None and amount > cap:
            raise BadAccount(
                f"{position.symbol} {position.side} is larger than the venue allows",
                where=f"{file.where}: account.positions[{index}].quantity",
                expected=f"at most {plain(cap)} ({_UNITS[table.unit]}), the end of the last tier",
                found=plain(amount),
                hint="check the quantity and the contract size, or update the tables",
            )


def _size_looked_up(account: Account, position: Position, tier_key: str) -> Quantity:
    """Return the contracts that a venue looks up in its tiers for a position: its own, the net or the larger leg's."""
    legs = [
        p.quantity for p in account.positions if (p.symbol, p.margin_mode) == (position.symbol, position.margin_mode)
    ]
    if tier_key == "net":
        return abs(sum(legs, ZERO))
    return max(abs(quantity) for quantity in legs) if tier_key == "larger_side" else abs(position.quantity)


_UNITS = {"notional": "notional value", "contracts": "contracts"}


def check_modes(file: AccountFile, rulebook: Rulebook) -> None:
    """Raise BadAccount for an isolated position in a basket account of a venue that holds cross only there."""
    said = rulebook.refusals.get("isolated_margin_in_basket")
    if said is None or file.account.collateral_mode is CollateralMode.SINGLE_ASSET:
        return
    for index, position in enumerate(file.account.positions):
        if position.margin_mode is MarginMode.ISOLATED:
            raise BadAccount(
                f"{position.symbol} {position.side} is isolated in a basket account",
                where=f"{file.where}: account.positions[{index}].margin_mode",
                expected=f"cross: {said}",
                found="isolated",
                hint='set margin_mode to cross, or "collateral_mode": "single_asset"',
            )


@exact
def check_leverage(file: AccountFile, rulebook: Rulebook) -> None:
    """Raise BadAccount when a position's leverage is above what the tier of its entry value allows."""
    for index, position in enumerate(file.account.positions):
        contract, table = rulebook.entry(position.symbol)
        if position.leverage is None or table is None or not table.tiers:
            continue
        size = abs(position.quantity)
        amount = size if table.unit == "contracts" else size * contract.contract_value(position.entry_price)
        allowed = table.tiers[table.index_at(amount)].max_leverage
        if allowed is not None and position.leverage > allowed:
            raise BadAccount(
                f"leverage {plain(position.leverage)} is above what the tier allows",
                where=f"{file.where}: account.positions[{index}].leverage",
                expected=f"at most {plain(allowed)} at {plain(amount)} ({_UNITS[table.unit]}) of {position.symbol}",
                found=plain(position.leverage),
                hint=f"lower the leverage of {position.symbol}, or its size",
            )


def _positions(
    given: Any,
    where: str,
    marks: dict[str, Price],
    assumed: list[str],
) -> tuple[Position, ...]:
    positions = []
    for index, raw in enumerate(_list(given, where)):
        place = f"{where}[{index}]"
        row = _table(raw, _POSITION, place)
        symbol = _text(row.get("symbol"), f"{place}.symbol")
        side = _word(row.get("side"), ("long", "short"), f"{place}.side")
        quantity = _positive(row.get("quantity"), f"{place}.quantity")
        entry = _positive(row.get("entry_price"), f"{place}.entry_price")
        mode = _choice(row.get("margin_mode"), MarginMode, f"{place}.margin_mode", MarginMode.CROSS)
        margin = _number(row.get("isolated_margin"), f"{place}.isolated_margin", signed=True, null=True)
        if mode is MarginMode.ISOLATED and margin is None:
            raise BadAccount(
                "an isolated position without margin", where=f"{place}.isolated_margin", found="null",
                expected="the position's own wallet, without unrealised PnL",
                hint="give isolated_margin, or set margin_mode to cross",
            )  # fmt: skip
        if mode is MarginMode.CROSS and margin is not None:
            raise BadAccount(
                "a cross position with a margin of its own", where=f"{place}.isolated_margin", expected="null",
                found=plain(margin), hint='leave it out, or set "margin_mode": "isolated"',
            )  # fmt: skip
        mark = row.get("mark_price")
        price = entry if mark is None else _positive(mark, f"{place}.mark_price")
        if mark is None and symbol not in marks:
            assumed.append(symbol)
        elif mark is not None and symbol in assumed:
            assumed.remove(symbol)
            marks.pop(symbol)
        if mark is not None and marks.setdefault(symbol, price) != price:
            raise BadAccount(
                f"two marks for {symbol}", where=f"{place}.mark_price", expected=str(marks[symbol]), found=str(price),
                hint="both legs of a symbol have one mark",
            )  # fmt: skip
        marks.setdefault(symbol, price)
        leverage = row.get("leverage")
        positions.append(
            Position(
                symbol,
                quantity if side == "long" else -quantity,
                entry,
                mode,
                margin,
                None if leverage is None else _positive(leverage, f"{place}.leverage"),
            )
        )
    return tuple(positions)


def _orders(given: Any, where: str, marks: dict[str, Price]) -> tuple[OpenOrder, ...]:
    orders = []
    for index, raw in enumerate(_list(given, where)):
        place = f"{where}[{index}]"
        row = _table(raw, _ORDER, place)
        symbol = _text(row.get("symbol"), f"{place}.symbol")
        side = _word(row.get("side"), ("buy", "sell"), f"{place}.side")
        quantity = _positive(row.get("quantity"), f"{place}.quantity")
        mark, leverage = row.get("mark_price"), row.get("leverage")
        reference = None if mark is None else _positive(mark, f"{place}.mark_price")
        if reference is not None:
            marks.setdefault(symbol, reference)
        reduce_only = row.get("reduce_only", False)
        if reduce_only not in (True, False, None):
            raise BadAccount("not a yes or no", where=f"{place}.reduce_only", expected="true or false",
                             found=repr(reduce_only))  # fmt: skip
        leg = row.get("position_side")
        orders.append(
            OpenOrder(
                symbol,
                quantity if side == "buy" else -quantity,
                _positive(row.get("price"), f"{place}.price"),
                None if leverage is None else _positive(leverage, f"{place}.leverage"),
                reference,
                bool(reduce_only),
                None if leg is None else _word(leg, ("long", "short"), f"{place}.position_side"),
            )
        )
    return tuple(orders)


def risk_inputs(body: Mapping[str, Any], marks: Mapping[str, Price], *, where: str, as_of: date | None) -> RiskInputs:
    """Return what an account states for portfolio margin: time, index prices, volatilities, rates and loans.

    Without a ``time`` the start of the day ``as_of`` stands in. Raises BadAccount.
    """
    volatility = {}
    for index, row in enumerate(_list(body.get("positions"), f"{where}.positions")):
        if isinstance(row, dict) and row.get("implied_volatility") is not None:
            volatility[row["symbol"]] = _positive(
                row["implied_volatility"], f"{where}.positions[{index}].implied_volatility"
            )
    time = body.get("time")
    hedging = body.get("spot_hedging")
    if hedging not in (True, False, None):
        raise BadAccount("not a yes or no", where=f"{where}.spot_hedging", expected="true or false",
                         found=repr(hedging))  # fmt: skip
    if time is None:
        moment = None if as_of is None else datetime.combine(as_of, datetime.min.time(), tzinfo=UTC)
    else:
        moment = _moment(time, f"{where}.time", hour=0)
    amounts = {
        key: {name: _number(value, f"{where}.{key}.{name}", signed=key == "rates")
              for name, value in _mapping(body.get(key), f"{where}.{key}").items()}
        for key in ("rates", "loans")
    }  # fmt: skip
    index_prices = _mapping(body.get("index"), f"{where}.index")
    return RiskInputs(
        time=moment,
        index={coin: _positive(price, f"{where}.index.{coin}") for coin, price in index_prices.items()},
        volatility=volatility,
        rates=amounts["rates"],
        loans=amounts["loans"],
        spot_hedging=hedging,
        reference=dict(marks),
    )


_EXPIRY_HOUR = 8  # of the day in UTC at which Deribit, OKX, Bybit and Binance settle what expires


def _moment(raw: Any, where: str, *, hour: int) -> datetime:
    """Return a moment with its time zone; a day alone is that day at ``hour`` UTC. Raises BadAccount."""
    if isinstance(raw, datetime):
        found: datetime | None = raw
    elif isinstance(raw, date):
        return datetime(raw.year, raw.month, raw.day, hour, tzinfo=UTC)
    else:
        try:
            found = datetime.fromisoformat(raw)
        except (TypeError, ValueError):
            found = None
        if found is not None and len(raw) == len("2026-03-27"):
            return found.replace(hour=hour, tzinfo=UTC)
    if found is None or found.tzinfo is None:
        raise BadAccount(
            "not a moment", where=where, expected="a day, or a time with its zone: 2026-03-27T08:00:00Z",
            found=str(raw), hint="write the time in UTC, with a Z behind it",
        )  # fmt: skip
    return found.astimezone(UTC)


def check_risk(file: AccountFile, rulebook: Rulebook) -> None:
    """Raise BadAccount for a position that cannot be valued or margined, such as an option past its expiry.

    Options stand in portfolio accounts only. A position's risk unit needs an index price there: under ``index``, or as
    the coin's collateral price; none where the venue goes by risk tiers at the mark.
    """
    risk, portfolio = file.account.risk or RiskInputs(), file.account.collateral_mode is CollateralMode.PORTFOLIO
    for index, held in enumerate(file.account.positions):
        contract, place = rulebook.contract(held.symbol), f"{file.where}: account.positions[{index}]"
        if contract.option and not (portfolio and held.margin_mode is MarginMode.CROSS):
            raise BadAccount(
                f"{held.symbol} is an option outside portfolio margin", where=f"{file.where}: account.collateral_mode",
                expected="portfolio, with options held cross", found=file.account.collateral_mode.value,
                hint='set "collateral_mode": "portfolio"',
            )  # fmt: skip
        if not portfolio:
            continue
        if contract.expiry is not None:
            _check_expiry(contract, risk, file.where)
        if contract.option and held.symbol not in risk.volatility:
            raise BadAccount(
                f"no implied volatility for {held.symbol}", where=f"{place}.implied_volatility",
                expected="a year's volatility as a fraction, such as 0.55", found="nothing",
                hint="give the venue's mark volatility of the option",
            )  # fmt: skip
        if rulebook.portfolio is not None and isinstance(rulebook.portfolio.terms, UnifiedTerms):
            continue  # risk tiers at the mark price: no index price enters
        priced = {*risk.index, *file.account.collateral, *file.account.index_prices}
        if contract.risk_unit not in priced:
            raise BadAccount(
                f"no index price for {contract.risk_unit}, the risk unit of {held.symbol}",
                where=f"{file.where}: account.index", expected=f"the spot price of {contract.risk_unit}",
                found=", ".join(risk.index) or "nothing", hint=f'add "index": {{"{contract.risk_unit}": "…"}}',
            )  # fmt: skip


def _check_expiry(contract: Contract, risk: RiskInputs, where: str) -> None:
    if risk.time is None:
        raise BadAccount(
            f"{contract.symbol} expires, and the account says no time", where=f"{where}: account.time",
            expected="the moment of the marks, such as 2026-02-15T12:00:00Z, or as_of", found="nothing",
            hint="add account.time",
        )  # fmt: skip
    if contract.expiry is not None and contract.expiry <= risk.time:
        raise BadAccount(
            f"{contract.symbol} is past its expiry", where=f"{where}: contracts.{contract.symbol}.expiry",
            expected=f"after {risk.time.isoformat()}, the time of the account", found=contract.expiry.isoformat(),
            hint="take it out of the account, with its settlement in the wallet, or correct time or expiry",
        )  # fmt: skip


def _check_legs(positions: tuple[Position, ...], mode: PositionMode, where: str) -> None:
    """Raise for the same leg twice, and for both legs of a symbol in one-way mode."""
    seen: dict[tuple[str, str], int] = {}
    for index, position in enumerate(positions):
        key = (position.symbol, position.side)
        if key in seen:
            raise BadAccount(
                f"{position.symbol} {position.side} is there twice", where=f"{where}[{index}]",
                expected="one entry per symbol and side", found=f"also at [{seen[key]}]",
                hint="add the quantities up, with their average entry price",
            )  # fmt: skip
        other = seen.get((position.symbol, "short" if position.side == "long" else "long"))
        if other is not None and mode is PositionMode.ONE_WAY:
            raise BadAccount(
                f"a long and a short of {position.symbol} in one-way mode", where=f"{where}[{index}]",
                expected="one net position per symbol", found=f"the other leg is at [{other}]",
                hint='net the two, or set "position_mode": "hedge"',
            )  # fmt: skip
        seen[key] = index


def _collateral(given: Any, where: str) -> tuple[dict[str, Collateral], dict[str, Price]]:
    """Return the assets that have terms of their own, and the index prices of those that have the venue's."""
    own: dict[str, Collateral] = {}
    prices: dict[str, Price] = {}
    for asset, raw in _mapping(given, where).items():
        place = f"{where}.{asset}"
        row = _table(raw, _COLLATERAL, place)
        index = None if row.get("index") is None else _positive(row["index"], f"{place}.index")
        if index is None and asset not in DOLLARS:
            raise BadAccount(
                f"no collateral price for {asset}", where=f"{place}.index", expected="a positive price",
                found="null", hint="give the asset's index price in the account's currency",
            )  # fmt: skip
        if any(row.get(key) is not None for key in _COLLATERAL[1:]):
            own[asset] = _own_terms(asset, row, ONE if index is None else index, place)
        elif index is not None:
            prices[asset] = index
    return own, prices


def _own_terms(asset: str, row: dict[str, Any], index: Price, where: str) -> Collateral:
    ratio, bid, ask = (_number(row.get(key), f"{where}.{key}", null=True) for key in _COLLATERAL[1:4])
    slices = _slices(_list(row.get("tiers"), f"{where}.tiers"), f"{where}.tiers")
    if ratio is not None and slices:
        raise BadAccount("a ratio and tiers", where=f"{where}.ratio", expected="one of the two", found=str(ratio),
                         hint="each tier has its own ratio; leave ratio out")  # fmt: skip
    if ratio is not None:
        _check_ratio(ratio, f"{where}.ratio")
    if bid is not None and bid > ONE:
        raise BadAccount("a bid buffer above 1", where=f"{where}.bid_buffer", expected="between 0 and 1",
                         found=str(bid), hint="2 % is written 0.02")  # fmt: skip
    unit, moves = row.get("tier_unit"), row.get("moves_with")
    if moves is None:
        follows = Collateral.follows(asset)
    else:
        follows = None if _text(moves, f"{where}.moves_with") == "none" else coin(moves)
    return Collateral(
        index,
        slices[0].ratio if slices else ONE if ratio is None else ratio,
        bid or ZERO,
        ask or ZERO,
        slices,
        _word("base" if unit is None else unit, ("base", "usd"), f"{where}.tier_unit"),
        follows,
    )


def _check_ratio(ratio: Decimal, where: str) -> None:
    if ratio > ONE:
        raise BadAccount("a collateral ratio above 1", where=where, expected="between 0 and 1",
                         found=str(ratio), hint="95 % is written 0.95")  # fmt: skip


def _slices(rows: list[Any], where: str) -> tuple[Slice, ...]:
    """Return an asset's discount tiers: ascending from 0 without gaps, ratios that never rise."""
    found: list[Slice] = []
    for index, raw in enumerate(rows):
        place = f"{where}[{index}]"
        row = _table(raw, _SLICE, place)
        floor = _number(row.get("floor"), f"{place}.floor")
        cap = None if row.get("cap") is None else _positive(row["cap"], f"{place}.cap")
        ratio = _number(row.get("ratio"), f"{place}.ratio")
        _check_ratio(ratio, f"{place}.ratio")
        expected = found[-1].cap if found else ZERO
        if expected is None or floor != expected:
            raise BadAccount(
                "tiers that do not follow one another", where=f"{place}.floor",
                expected="the cap of the tier before" if expected is None else str(expected), found=str(floor),
                hint="the first tier starts at 0, and each next one where the one before it ends",
            )  # fmt: skip
        if cap is not None and cap <= floor:
            raise BadAccount("a tier that ends before it starts", where=f"{place}.cap", expected=f"above {floor}",
                             found=str(cap))  # fmt: skip
        if found and ratio > found[-1].ratio:
            raise BadAccount("a collateral ratio that rises", where=f"{place}.ratio",
                             expected=f"at most {found[-1].ratio}", found=str(ratio),
                             hint="more of an asset never counts for more per unit")  # fmt: skip
        found.append(Slice(floor, cap, ratio))
    return tuple(found)


def read_contract(
    symbol: str,
    raw: Any,
    where: str,
    *,
    progressive: bool,
) -> tuple[Contract, TierTable | None]:
    """Return a contract and its tiers as an account file states them. Raises BadAccount.

    A deduction that is not given follows from continuity where the venue's tiers are progressive, and is 0 otherwise.
    """
    row = _table(raw, _CONTRACT, where)
    optional = {
        key: _number(row.get(key), f"{where}.{key}", null=True)
        for key in ("quantity_step", "minimum_quantity", "minimum_notional", "maker_fee_rate", "taker_fee_rate",
                    "liquidation_fee_rate")
    }  # fmt: skip
    step = row.get("price_step")
    size = row.get("contract_size")
    maker = row.get("maker_fee_rate")
    if maker is not None:
        optional["maker_fee_rate"] = _number(maker, f"{where}.maker_fee_rate", signed=True)
    kind = _choice(row.get("kind"), ContractKind, f"{where}.kind", ContractKind.LINEAR)
    contract = Contract(
        symbol=symbol,
        kind=kind,
        contract_size=ONE if size is None else _positive(size, f"{where}.contract_size"),
        settle_asset=_text(row.get("settle_asset"), f"{where}.settle_asset"),
        price_step=None if step is None else _positive(step, f"{where}.price_step"),
        underlying=None if row.get("underlying") is None else _text(row["underlying"], f"{where}.underlying"),
        expiry=None if row.get("expiry") is None else _moment(row["expiry"], f"{where}.expiry", hour=_EXPIRY_HOUR),
        **_option_terms(row, kind, where),
        **optional,
    )
    unit = row.get("tier_unit")
    unit = _word("notional" if unit is None else unit, ("notional", "contracts"), f"{where}.tier_unit")
    rows = _list(row.get("tiers"), f"{where}.tiers")
    return contract, _tiers(rows, f"{where}.tiers", unit, progressive=progressive) if rows else None


def _option_terms(row: dict[str, Any], kind: ContractKind, where: str) -> dict[str, Any]:
    """Return an option's strike and type, which no other contract has. Raises BadAccount."""
    if kind is not ContractKind.OPTION:
        for key in ("strike", "option_type"):
            if row.get(key) is not None:
                raise BadAccount(
                    f"{key} of a contract that is no option", where=f"{where}.{key}", expected="null",
                    found=str(row[key]), hint='leave it out, or set "kind": "option"',
                )  # fmt: skip
        return {}
    for key in ("underlying", "expiry", "strike", "option_type"):
        if row.get(key) is None:
            raise BadAccount(
                f"an option without {key}", where=f"{where}.{key}", expected="underlying, expiry, strike, option_type",
                found="nothing", hint=f"add {key}: without it the option cannot be valued",
            )  # fmt: skip
    return {
        "strike": _positive(row["strike"], f"{where}.strike"),
        "option_type": _choice(row["option_type"], OptionType, f"{where}.option_type", None),
    }


def _tiers(rows: list[Any], where: str, unit: str, *, progressive: bool) -> TierTable:
    tiers: list[Tier] = []
    given: list[Decimal | None] = []
    for index, raw in enumerate(rows):
        place = f"{where}[{index}]"
        row = _table(raw, _TIER, place)
        floor = _number(row.get("floor"), f"{place}.floor") or ZERO
        cap = _number(row.get("cap"), f"{place}.cap", null=True)
        rate = _number(row.get("maintenance_rate"), f"{place}.maintenance_rate", null=True)
        if rate is not None and rate > 1:
            raise BadAccount(
                "a maintenance rate above 1", where=f"{place}.maintenance_rate", expected="between 0 and 1",
                found=str(rate), hint="0.5 % is written 0.005",
            )  # fmt: skip
        deduction = _number(row.get("deduction"), f"{place}.deduction", null=True)
        if index == 0 and floor:
            raise BadAccount(
                "the first tier does not start at 0", where=f"{place}.floor", expected="0", found=str(floor),
                hint="a single known tier is written with floor 0",
            )  # fmt: skip
        if tiers:
            _check_next_tier(tiers[-1], floor, rate, place)
        if cap is not None and cap <= floor:
            raise BadAccount("a tier that ends before it starts", where=f"{place}.cap", expected=f"above {floor}",
                             found=str(cap))  # fmt: skip
        leverage = row.get("max_leverage")
        tiers.append(Tier(floor, rate, deduction or ZERO,
                          None if leverage is None else _positive(leverage, f"{place}.max_leverage"), cap))  # fmt: skip
        given.append(deduction)
    table = tuple(tiers)
    return TierTable(rulebooks.with_deductions(table, tuple(given)) if progressive else table, unit)


def _check_next_tier(before: Tier, floor: Decimal, rate: Decimal | None, place: str) -> None:
    if floor <= before.floor or (before.cap is not None and floor < before.cap):
        raise BadAccount(
            "tiers overlap", where=f"{place}.floor",
            expected=f"{before.cap if before.cap is not None else 'above ' + str(before.floor)}", found=str(floor),
            hint="tiers ascend, and each starts where the one before it ends",
        )  # fmt: skip
    if before.cap is not None and floor > before.cap:
        raise BadAccount(
            "a gap between tiers", where=f"{place}.floor", expected=str(before.cap), found=str(floor),
            hint="each tier starts where the one before it ends",
        )  # fmt: skip
    if rate is not None and before.maintenance_rate is not None and rate < before.maintenance_rate:
        raise BadAccount(
            "the maintenance rate falls", where=f"{place}.maintenance_rate",
            expected=f"at least {before.maintenance_rate}", found=str(rate), hint="larger positions never need less",
        )  # fmt: skip


def _table(raw: Any, known: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise BadAccount("not an object", where=where, expected="an object with " + ", ".join(known[:4]) + ", …",
                         found=_shape(raw))  # fmt: skip
    for key in raw:
        if key not in known:
            raise BadAccount(
                f"unknown field {key!r}", where=where, expected="one of " + ", ".join(known), found=str(key),
                hint=nearest(str(key), known) or "remove it",
            )  # fmt: skip
    return raw


def _mapping(raw: Any, where: str) -> dict[str, Any]:
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise BadAccount("not an object", where=where, expected="an object", found=_shape(raw))
    return raw


def _policy(raw: Any, where: str) -> dict[str, Any]:
    """Return single policies as they stand: names of choices, yes or no, and numbers as decimal strings."""
    policy = _mapping(raw, where)
    for name, value in policy.items():
        if isinstance(value, _Float) or not isinstance(value, (str, int)):
            raise BadAccount(
                "not a choice or a number", where=f"{where}.{name}", found=_shape(value),
                expected="the name of a choice, true or false, or a decimal string",
                hint=f'write it as text: "{value}"' if isinstance(value, _Float) else "see `ringfence rulebooks show`",
            )  # fmt: skip
    return policy


def _list(raw: Any, where: str) -> list[Any]:
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise BadAccount("not a list", where=where, expected="a list", found=_shape(raw))
    return raw


def _shape(raw: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", _Float: "a float"}
    return "null" if raw is None else f"{names.get(type(raw), type(raw).__name__)}: {str(raw)[:40]}"


def _text(raw: Any, where: str) -> str:
    if not isinstance(raw, str) or isinstance(raw, _Float) or not raw:
        raise BadAccount("not a name", where=where, expected="text", found=_shape(raw))
    return raw


def _word(raw: Any, words: tuple[str, ...], where: str) -> str:
    if raw not in words:
        raise BadAccount(
            "unknown or missing", where=where, expected=" or ".join(words), found=repr(raw),
            hint=nearest(str(raw).lower(), words),
        )  # fmt: skip
    return str(raw)


def _choice(raw: Any, kind: Callable[[str], Any], where: str, default: Any) -> Any:
    if raw is None:
        return default
    words = tuple(member.value for member in kind)  # type: ignore[attr-defined]
    return kind(_word(raw, words, where))


def _number(raw: Any, where: str, *, signed: bool = False, null: bool = False) -> Any:
    if raw is None and null:
        return None
    if isinstance(raw, _Float):
        raise BadAccount(
            "a float where a decimal string is due", where=where, expected=f'"{raw}"', found=str(raw),
            hint="write numbers as strings: a float has already lost digits",
        )  # fmt: skip
    if isinstance(raw, bool) or not isinstance(raw, (str, int)):
        raise BadAccount("not a number", where=where, expected='a decimal string such as "0.1"', found=_shape(raw))
    try:
        number = Decimal(raw)
    except ArithmeticError:
        number = None
    if number is None or (isinstance(raw, str) and (raw != raw.strip() or "_" in raw)):
        raise BadAccount(
            "not a number", where=where, expected='a decimal string such as "0.1"', found=repr(raw),
            hint="write digits and a point, without separators, spaces or units",
        )  # fmt: skip
    if not number.is_finite():
        raise BadAccount(
            "not a finite number", where=where, expected="a finite decimal", found=str(raw),
            hint="leave the field out, or give null, when the number is not known",
        )  # fmt: skip
    if number < 0 and not signed:
        raise BadAccount(
            "negative", where=where, expected="0 or more", found=str(raw),
            hint="a short is written with side, not with a negative quantity"
            if where.endswith("quantity")
            else "remove the sign",
        )  # fmt: skip
    if abs(number.adjusted()) > _LARGEST_EXPONENT or len(number.as_tuple().digits) > _MOST_DIGITS:
        raise BadAccount(
            "beyond any real amount", where=where, expected="at most 60 digits, within 1e±20", found=str(raw)
        )
    return number


_LARGEST_EXPONENT = 20
_MOST_DIGITS = 60


def _positive(raw: Any, where: str) -> Decimal:
    number: Decimal = _number(raw, where)
    if number == 0:
        raise BadAccount(
            "zero", where=where, expected="a positive number", found=str(raw),
            hint="leave the entry out when nothing is held" if where.endswith("quantity") else "give the real number",
        )  # fmt: skip
    return number


def _day(raw: Any, where: str) -> date | None:
    if raw is None or (isinstance(raw, date) and not isinstance(raw, datetime)):
        return raw
    try:
        day = date.fromisoformat(raw)
    except (TypeError, ValueError):
        day = None
    if day is None or day.isoformat() != raw:  # fromisoformat takes 20251010 and 2025-W41-5 too
        raise BadAccount(
            "not a day", where=where, expected="YYYY-MM-DD", found=str(raw), hint="write a day such as 2025-10-10"
        )
    return day


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
