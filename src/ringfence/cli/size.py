"""``ringfence size``: the calculators traders know, before an order and for changes of what is held."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from ringfence.cli.options import (
    AccountArgument,
    AsOfOption,
    JsonOption,
    MarkOption,
    ReportOption,
    read_number,
    read_rate,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ringfence.account import Position
    from ringfence.errors import BadConfiguration
    from ringfence.rulebook import Rulebook
    from ringfence.study.edit import Edit, Edited
    from ringfence.study.size import Sizing

REFUSED_BY_VENUE, REFUSED_BY_GUARD_RAILS = 20, 21

app = typer.Typer(
    name="size",
    help="Calculators: PnL, target and liquidation price, largest position, average entry, changes.",
    no_args_is_help=True,
)

RulebookArgument = Annotated[str, typer.Argument(metavar="RULEBOOK", help="Whose rules: ringfence rulebooks list.")]
SymbolArgument = Annotated[str, typer.Argument(metavar="SYMBOL", help="The contract, as the venue writes it.")]
SideOption = Annotated[str, typer.Option("--side", help="long or short.")]
QuantityOption = Annotated[str, typer.Option("--quantity", metavar="N", help="Contracts, as the venue counts them.")]
EntryOption = Annotated[str, typer.Option("--entry", metavar="PRICE", help="Price of the entry.")]
LeverageOption = Annotated[str | None, typer.Option("--leverage", metavar="N", help="Leverage.")]
FeeOption = Annotated[
    str | None, typer.Option("--fee-rate", metavar="RATE", help="Fee as a fraction; the taker rate if not given.")
]
LevelOption = Annotated[
    str | None, typer.Option("--fee-level", metavar="LEVEL", help="The account's level in the venue's fee schedule.")
]
DiscountOption = Annotated[
    list[str] | None, typer.Option("--fee-discount", metavar="NAME", help="A discount it has; may be repeated.")
]


@app.command(epilog="Example: ringfence size pnl binance-usdm BTCUSDT --quantity 0.1 --entry 100000 --exit 110000")
def pnl(  # noqa: PLR0913 - a parameter per option
    rulebook: RulebookArgument,
    symbol: SymbolArgument,
    *,
    side: SideOption = "long",
    quantity: QuantityOption,
    entry: EntryOption,
    exit_: Annotated[str, typer.Option("--exit", metavar="PRICE", help="Price of the exit.")],
    leverage: LeverageOption = None,
    fee_rate: FeeOption = None,
    fee_level: LevelOption = None,
    fee_discount: DiscountOption = None,
    as_of: AsOfOption = None,
    report: ReportOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a trade makes: PnL, fees, and the return on its initial margin (ROE)."""
    from ringfence.study import size

    rules = _rules(rulebook, as_of, fee_level, fee_discount)
    contract, times, rate = rules.contract(symbol), _optional(leverage, "--leverage"), read_rate(fee_rate)
    opened, closed = read_number(entry, "--entry"), read_number(exit_, "--exit")
    contracts = read_number(quantity, "--quantity")
    answer = size.profit(
        contract, side=side, quantity=contracts, entry=opened, exit_price=closed, leverage=times, fee_rate=rate
    )
    if report is not None:
        from ringfence.study import size_curve, size_page

        trade = size_curve.course(
            rules, _isolated(symbol, side, contracts, entry=opened, leverage=times), named={"exit": closed},
            fee_rate=size.fee_of(contract, rate)[0],
        )  # fmt: skip
        title = f"What a {side} of {quantity} {symbol} makes"
        _write(size_page.trade_page(answer, trade, title=title, **_head(rules)), report)
    _show(answer, rules, json=json)


@app.command(epilog="Example: ringfence size target binance-usdm BTCUSDT --quantity 0.1 --entry 100000 --pnl 500")
def target(  # noqa: PLR0913 - a parameter per option
    rulebook: RulebookArgument,
    symbol: SymbolArgument,
    *,
    side: SideOption = "long",
    quantity: QuantityOption,
    entry: EntryOption,
    pnl: Annotated[
        str | None, typer.Option("--pnl", metavar="AMOUNT", help="Wanted PnL after fees; may be < 0.")
    ] = None,
    roe: Annotated[
        str | None, typer.Option("--roe", metavar="PERCENT", help="Wanted return on margin, 50 is 50 %.")
    ] = None,
    leverage: LeverageOption = None,
    fee_rate: FeeOption = None,
    fee_level: LevelOption = None,
    fee_discount: DiscountOption = None,
    as_of: AsOfOption = None,
    report: ReportOption = None,
    json: JsonOption = False,
) -> None:
    """Show the exit price of a wanted PnL or return, after fees."""
    from ringfence.numbers import EXACT
    from ringfence.study import size

    rules = _rules(rulebook, as_of, fee_level, fee_discount)
    wanted = None if roe is None else EXACT.multiply(read_number(roe, "--roe", signed=True), Decimal("0.01"))
    contract, times, rate = rules.contract(symbol), _optional(leverage, "--leverage"), read_rate(fee_rate)
    contracts, opened = read_number(quantity, "--quantity"), read_number(entry, "--entry")
    answer = size.target(
        contract,
        side=side,
        quantity=contracts,
        entry=opened,
        pnl=None if pnl is None else read_number(pnl, "--pnl", signed=True),
        roe=wanted,
        leverage=times,
        fee_rate=rate,
    )
    if report is not None:
        from ringfence.study import size_curve, size_page

        trade = size_curve.course(
            rules, _isolated(symbol, side, contracts, entry=opened, leverage=times),
            named={"target": answer.value("target_price")}, fee_rate=size.fee_of(contract, rate)[0],
        )  # fmt: skip
        title = f"Where a {side} of {quantity} {symbol} makes what is wanted"
        _write(size_page.trade_page(answer, trade, title=title, **_head(rules)), report)
    _show(answer, rules, json=json)


@app.command(
    epilog="Example: ringfence size liquidation binance-usdm BTCUSDT --quantity 0.1 --entry 100000 --leverage 20"
)
def liquidation(  # noqa: PLR0913 - a parameter per option
    rulebook: RulebookArgument,
    symbol: SymbolArgument,
    *,
    side: SideOption = "long",
    quantity: QuantityOption,
    entry: EntryOption,
    leverage: LeverageOption = None,
    margin: Annotated[
        str | None, typer.Option("--margin", metavar="AMOUNT", help="Isolated margin; value ÷ leverage if not given.")
    ] = None,
    wallet: Annotated[
        str | None, typer.Option("--wallet", metavar="AMOUNT", help="Hold it cross, alone on this wallet.")
    ] = None,
    mark: Annotated[
        str | None, typer.Option("--at-mark", metavar="PRICE", help="Mark; the entry if not given.")
    ] = None,
    fee_level: LevelOption = None,
    fee_discount: DiscountOption = None,
    as_of: AsOfOption = None,
    report: ReportOption = None,
    json: JsonOption = False,
) -> None:
    """Show where a position would be called, liquidated and bankrupt, before it is opened."""
    from dataclasses import replace

    from ringfence.account import MarginMode, Position
    from ringfence.errors import BadConfiguration
    from ringfence.margin.change import entry_margin
    from ringfence.study import size

    rules = _rules(rulebook, as_of, fee_level, fee_discount)
    signed = size.direction_of(side) * read_number(quantity, "--quantity")
    cash = _optional(wallet, "--wallet")
    own = _optional(margin, "--margin")
    mode = MarginMode.ISOLATED if cash is None else MarginMode.CROSS
    position = Position(symbol, signed, read_number(entry, "--entry"), mode, own, _optional(leverage, "--leverage"))
    if cash is None and own is None:
        position = replace(position, isolated_margin=entry_margin(position, rules))
    if (cash is None) == (position.isolated_margin is None):
        raise BadConfiguration(
            "what stands behind the position is not clear", where="size liquidation",
            expected="--leverage or --margin (isolated), or --wallet (cross)",
            found="none of them" if cash is None else "a margin and a wallet", hint="give one of them",
        )  # fmt: skip
    at_mark = _optional(mark, "--at-mark")
    answer = size.liquidation(rules, position, wallet=cash, mark=at_mark)
    if report is not None:
        from ringfence.study import size_curve, size_page

        trade = size_curve.course(rules, position, named={"mark": at_mark}, wallet=cash, mark=at_mark)
        title = f"Where a {side} of {quantity} {symbol} is liquidated"
        _write(size_page.trade_page(answer, trade, title=title, **_head(rules)), report)
    _show(answer, rules, json=json)


@app.command(
    "max", epilog="Example: ringfence size max binance-usdm BTCUSDT --balance 1000 --leverage 50 --price 100000"
)
def largest(  # noqa: PLR0913 - a parameter per option
    rulebook: RulebookArgument,
    symbol: SymbolArgument,
    *,
    side: SideOption = "long",
    balance: Annotated[str, typer.Option("--balance", metavar="AMOUNT", help="What the wallet holds.")],
    leverage: Annotated[str, typer.Option("--leverage", metavar="N", help="Leverage.")],
    price: Annotated[str, typer.Option("--price", metavar="PRICE", help="Price of the fill, and the mark.")],
    isolated: Annotated[bool, typer.Option("--isolated", help="Fund it on its own; cross if not given.")] = False,
    fee_rate: FeeOption = None,
    fee_level: LevelOption = None,
    fee_discount: DiscountOption = None,
    as_of: AsOfOption = None,
    report: ReportOption = None,
    json: JsonOption = False,
) -> None:
    """Show the largest position a balance opens at a leverage: tiers, margin and opening fee included."""
    from ringfence.account import MarginMode
    from ringfence.study import size

    rules = _rules(rulebook, as_of, fee_level, fee_discount)
    cash, times, at = (
        read_number(balance, "--balance"), read_number(leverage, "--leverage"), read_number(price, "--price"),
    )  # fmt: skip
    rate, mode = read_rate(fee_rate), MarginMode.ISOLATED if isolated else MarginMode.CROSS
    answer = size.largest(rules, symbol, side=side, balance=cash, leverage=times, price=at, mode=mode, fee_rate=rate)
    if report is not None:
        from ringfence.study import size_curve, size_page

        reached = size_curve.reach(
            rules, symbol, side=side, balance=cash, leverage=times, price=at, mode=mode, fee_rate=rate
        )
        title = f"The largest {side} of {symbol} that {balance} {rules.contract(symbol).settle_asset} opens"
        _write(size_page.reach_page(answer, reached, leverage=times, title=title, **_head(rules)), report)
    _show(answer, rules, json=json)


@app.command(epilog="Example: ringfence size average binance-usdm BTCUSDT --fill 0.1@100000 --fill 0.2@91000")
def average(
    rulebook: RulebookArgument,
    symbol: SymbolArgument,
    *,
    fill: Annotated[list[str], typer.Option("--fill", metavar="N@PRICE", help="A fill; may be repeated.")],
    as_of: AsOfOption = None,
    report: ReportOption = None,
    json: JsonOption = False,
) -> None:
    """Show the entry price that several fills average to."""
    from ringfence.study import size

    fills = []
    for given in fill:
        quantity, _, price = given.partition("@")
        fills.append((read_number(quantity, f"--fill {given}"), read_number(price, f"--fill {given}")))
    rules = _rules(rulebook, as_of)
    answer = size.average(rules.contract(symbol), fills)
    if report is not None:
        from ringfence.study import size_page

        title = f"What {len(fills)} fills of {symbol} average to"
        _write(size_page.average_page(answer, fills, title=title, **_head(rules)), report)
    _show(answer, rules, json=json)


_ChangeList = list[str] | None
_SHARE = "SYMBOL=N, 1/3, 50% or all"


@app.command(epilog="Example: ringfence size change account.json --close BTCUSDT=1/3 --add-margin ETHUSDT=500")
def change(  # noqa: PLR0913 - a parameter per option
    account: AccountArgument,
    mark: MarkOption = None,
    as_of: AsOfOption = None,
    *,
    deposit: Annotated[
        _ChangeList, typer.Option("--deposit", metavar="ASSET=AMOUNT", help="Pay into the wallet.")
    ] = None,
    leverage: Annotated[_ChangeList, typer.Option("--leverage", metavar="SYMBOL=N", help="Set the leverage.")] = None,
    close: Annotated[
        _ChangeList, typer.Option("--close", metavar=_SHARE, help="Close some of it, at the mark or @PRICE.")
    ] = None,
    add_margin: Annotated[
        _ChangeList,
        typer.Option("--add-margin", metavar="SYMBOL=AMOUNT", help="From the wallet to an isolated position."),
    ] = None,
    add: Annotated[
        _ChangeList, typer.Option("--add", metavar="SYMBOL=N@PRICE", help="Add to it; SYMBOL:long or :short opens one.")
    ] = None,
    hedge: Annotated[
        _ChangeList, typer.Option("--hedge", metavar=_SHARE, help="Open the opposite leg (hedge mode).")
    ] = None,
    remove_margin: Annotated[
        _ChangeList, typer.Option("--remove-margin", metavar="SYMBOL=AMOUNT", help="Back to the wallet.")
    ] = None,
    isolated: Annotated[bool, typer.Option("--isolated", help="What is opened anew is isolated.")] = False,
    rails: Annotated[
        str | None, typer.Option("--rails", metavar="FILE", help="Guard rails that whatever opens is held to.")
    ] = None,
    fee_rate: FeeOption = None,
    report: ReportOption = None,
    json: JsonOption = False,
) -> None:
    """Show an account before and after changes: if I add 500, if I close a third, if I hedge.

    Made in the order of the options above; each may be repeated. SYMBOL:long or SYMBOL:short names a leg. For scripts:
    the exit code of a change that is refused is 20 by the venue's rules, 21 by the guard rails.
    """
    from ringfence import guard_rails
    from ringfence.account import MarginMode
    from ringfence.cli import show
    from ringfence.cli.load import load_account
    from ringfence.cli.size_tables import show_edited
    from ringfence.errors import BadInput
    from ringfence.study import edit as study

    given = {"deposit": deposit, "leverage": leverage, "close": close, "add-margin": add_margin, "add": add,
             "hedge": hedge, "remove-margin": remove_margin}  # fmt: skip
    edits = [_edit(kind, text) for kind, texts in given.items() for text in texts or []]
    if not edits:
        raise _no_change(given)
    file, rules = load_account(account, marks=mark or [], as_of=as_of)
    limits = None if rails is None else guard_rails.read(rails)
    mode = MarginMode.ISOLATED if isolated else (limits and limits.margin_mode) or MarginMode.CROSS
    try:
        edited = study.edit(
            file.account, edits, marks=file.marks, rulebook=rules, fee_rate=read_rate(fee_rate), mode=mode,
            rails=limits,
        )  # fmt: skip
    except BadInput as error:
        raise error.located(file.where) from None
    if report is not None:
        from ringfence.study import size_page

        _write(size_page.change_page(edited, rules, title=f"{file.where} before and after", **_head(rules)), report)
    if json:
        show.print_json(study.as_json(edited))
    else:
        show_edited(edited, rules)
    _end(edited)


def _no_change(kinds: Iterable[str]) -> BadConfiguration:
    from ringfence.errors import BadConfiguration

    return BadConfiguration("no change is given", where="size change", expected="one of --" + ", --".join(kinds),
                            found="none", hint="say what to change, such as --close BTCUSDT=1/3")  # fmt: skip


def _end(edited: Edited) -> None:
    if edited.refusal is not None:
        raise typer.Exit(REFUSED_BY_GUARD_RAILS if edited.refusal.by_guard_rails else REFUSED_BY_VENUE)


def _edit(kind: str, given: str) -> Edit:
    """Read ``SYMBOL[:SIDE]=AMOUNT[@PRICE]``; the amount may be a share (1/3, 50%, all) where one closes or hedges."""
    from ringfence.errors import BadConfiguration
    from ringfence.numbers import ONE, divide
    from ringfence.study.edit import Edit

    option = f"--{kind}"
    target, equals, rest = given.partition("=")
    name, colon, side = target.partition(":")
    amount, at, price = rest.partition("@")
    if not equals or not name or not amount or (colon and side not in {"long", "short"}):
        raise BadConfiguration("cannot be read", where=option, expected="SYMBOL=AMOUNT, or SYMBOL:long=AMOUNT",
                               found=given, hint="such as --close BTCUSDT=1/3")  # fmt: skip
    share = kind in {"close", "hedge", "add"} and (amount == "all" or "/" in amount or amount.endswith("%"))
    if amount == "all":
        value = ONE
    elif share and "/" in amount:
        part, _, whole = amount.partition("/")
        value = divide(read_number(part, option), read_number(whole, option), places=24)
    elif share:
        value = divide(read_number(amount.removesuffix("%"), option), Decimal(100), places=24)
    else:
        value = read_number(amount, option)
    return Edit(kind, name, value, side or None, share, read_number(price, option) if at else None)


# ── Reading and showing ──────────────────────────────────────────────────────────────────────────────────────────


def _rules(
    name: str, as_of: str | None, fee_level: str | None = None, fee_discounts: list[str] | None = None
) -> Rulebook:  # fmt: skip
    from ringfence import rulebooks
    from ringfence.cli.load import day
    from ringfence.fees import AccountFees

    rules = rulebooks.load(name, day(as_of) if as_of else None)
    if fee_level is None and not fee_discounts:
        return rules
    return rules.with_fees(AccountFees(fee_level, tuple(fee_discounts or ())))


def _isolated(symbol: str, side: str, quantity: Decimal, *, entry: Decimal, leverage: Decimal | None) -> Position:
    """Return the trade as an isolated position; without a leverage nothing is said to stand behind it."""
    from ringfence.account import MarginMode, Position
    from ringfence.study.size import direction_of

    return Position(symbol, direction_of(side) * quantity, entry, MarginMode.ISOLATED, None, leverage)


def _optional(given: str | None, option: str) -> Decimal | None:
    return None if given is None else read_number(given, option)


def _show(answer: Sizing, rules: Rulebook, *, json: bool) -> None:
    from ringfence.cli import show
    from ringfence.cli.size_tables import show_sizing
    from ringfence.study import size

    if json:
        show.print_json(size.as_json(answer))
        return
    show_sizing(answer, rules)


class _Head(TypedDict):
    over: str
    notes: tuple[str, ...]


def _head(rules: Rulebook) -> _Head:
    """Return what stands over and under a page of these rules."""
    from ringfence.cli.size_tables import by_rules

    return {"over": f"Size · {rules.name}", "notes": (by_rules(rules),)}


def _write(text: str, report: Path) -> None:
    from ringfence.cli import show
    from ringfence.study import page

    page.write(text, report)
    show.say(f"written: {report}")


__all__ = ["app"]
