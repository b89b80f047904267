"""``ringfence size``: the calculators traders know, before an order and for changes of what is held."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from ringfence.cli.assess import AccountArgument, AsOfOption, JsonOption, MarkOption

if TYPE_CHECKING:
    from rich.table import Table

    from ringfence.numbers import Rate
    from ringfence.rulebook import Rulebook
    from ringfence.study.edit import Edit, Edited, HeldLeg
    from ringfence.study.size import Sizing

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
    json: JsonOption = False,
) -> None:
    """Show what a trade makes: PnL, fees, and the return on its initial margin (ROE)."""
    from ringfence.study import size

    rules = _rules(rulebook, as_of, fee_level, fee_discount)
    answer = size.profit(
        rules.contract(symbol),
        side=side,
        quantity=read_number(quantity, "--quantity"),
        entry=read_number(entry, "--entry"),
        exit_price=read_number(exit_, "--exit"),
        leverage=_optional(leverage, "--leverage"),
        fee_rate=read_rate(fee_rate),
    )
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
    json: JsonOption = False,
) -> None:
    """Show the exit price of a wanted PnL or return, after fees."""
    from ringfence.numbers import EXACT
    from ringfence.study import size

    rules = _rules(rulebook, as_of, fee_level, fee_discount)
    wanted = None if roe is None else EXACT.multiply(read_number(roe, "--roe", signed=True), Decimal("0.01"))
    answer = size.target(
        rules.contract(symbol),
        side=side,
        quantity=read_number(quantity, "--quantity"),
        entry=read_number(entry, "--entry"),
        pnl=None if pnl is None else read_number(pnl, "--pnl", signed=True),
        roe=wanted,
        leverage=_optional(leverage, "--leverage"),
        fee_rate=read_rate(fee_rate),
    )
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
    _show(size.liquidation(rules, position, wallet=cash, mark=_optional(mark, "--at-mark")), rules, json=json)


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
    json: JsonOption = False,
) -> None:
    """Show the largest position a balance opens at a leverage: tiers, margin and opening fee included."""
    from ringfence.account import MarginMode
    from ringfence.study import size

    rules = _rules(rulebook, as_of, fee_level, fee_discount)
    answer = size.largest(
        rules,
        symbol,
        side=side,
        balance=read_number(balance, "--balance"),
        leverage=read_number(leverage, "--leverage"),
        price=read_number(price, "--price"),
        mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        fee_rate=read_rate(fee_rate),
    )
    _show(answer, rules, json=json)


@app.command(epilog="Example: ringfence size average binance-usdm BTCUSDT --fill 0.1@100000 --fill 0.2@91000")
def average(
    rulebook: RulebookArgument,
    symbol: SymbolArgument,
    *,
    fill: Annotated[list[str], typer.Option("--fill", metavar="N@PRICE", help="A fill; may be repeated.")],
    as_of: AsOfOption = None,
    json: JsonOption = False,
) -> None:
    """Show the entry price that several fills average to."""
    from ringfence.study import size

    fills = []
    for given in fill:
        quantity, _, price = given.partition("@")
        fills.append((read_number(quantity, f"--fill {given}"), read_number(price, f"--fill {given}")))
    rules = _rules(rulebook, as_of)
    _show(size.average(rules.contract(symbol), fills), rules, json=json)


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
    json: JsonOption = False,
) -> None:
    """Show an account before and after changes: if I add 500, if I close a third, if I hedge.

    Made in the order of the options above; each may be repeated. SYMBOL:long or SYMBOL:short names a leg.
    """
    from ringfence import guard_rails
    from ringfence.account import MarginMode
    from ringfence.cli import show
    from ringfence.cli.load import load_account
    from ringfence.errors import BadConfiguration, BadInput
    from ringfence.study import edit as study

    given = {"deposit": deposit, "leverage": leverage, "close": close, "add-margin": add_margin, "add": add,
             "hedge": hedge, "remove-margin": remove_margin}  # fmt: skip
    edits = [_edit(kind, text) for kind, texts in given.items() for text in texts or []]
    if not edits:
        raise BadConfiguration("no change is given", where="size change", expected="one of --" + ", --".join(given),
                               found="none", hint="say what to change, such as --close BTCUSDT=1/3")  # fmt: skip
    file, rules = load_account(account, marks=mark or [], as_of=as_of)
    limits = None if rails is None else guard_rails.read(rails)
    usual = (limits.margin_mode if limits is not None else None) or MarginMode.CROSS
    mode = MarginMode.ISOLATED if isolated else usual
    try:
        edited = study.edit(
            file.account, edits, marks=file.marks, rulebook=rules, fee_rate=read_rate(fee_rate), mode=mode,
            rails=limits,
        )  # fmt: skip
    except BadInput as error:
        raise error.located(file.where) from None
    if json:
        show.print_json(study.as_json(edited))
        return
    _show_edited(edited, rules)


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


def read_number(given: str, option: str, *, signed: bool = False) -> Decimal:
    """Return the number an option states. Raises BadConfiguration unless it is above 0 (or ``signed``)."""
    from ringfence.errors import BadConfiguration

    try:
        value = Decimal(given)
    except ArithmeticError:
        value = Decimal("NaN")
    if not value.is_finite() or (value <= 0 and not signed):
        raise BadConfiguration("not a number", where=option, expected="a number" if signed else "a number above 0",
                               found=given, hint="write it in digits with a decimal point, such as 0.25")  # fmt: skip
    return value


def _optional(given: str | None, option: str) -> Decimal | None:
    return None if given is None else read_number(given, option)


def read_rate(given: str | None) -> Rate | None:
    """Return the fee rate that ``--fee-rate`` states; maker rates may be below 0."""
    return None if given is None else read_number(given, "--fee-rate", signed=True)


def _show(answer: Sizing, rules: Rulebook, *, json: bool) -> None:
    from ringfence.cli import show
    from ringfence.study import size

    if json:
        show.print_json(size.as_json(answer))
        return
    screen = show.console()
    rows = [
        (figure.name.replace("_", " ").replace("pnl", "PnL").replace("roe", "ROE"),
         _shown(figure.value, figure.unit), figure.formula)
        for figure in answer.figures
    ]  # fmt: skip
    screen.print(show.simple_table(answer.symbol, ("figure", "value", "how"), rows, right=(1,)))
    for note in (*answer.notes, _by(rules)):
        screen.print(f"· {note}", style="dim", markup=False)


def _by(rules: Rulebook) -> str:
    return f"by the rules and tables of {rules.name}" + (f" as of {rules.as_of}" if rules.as_of else ", the latest")


def _shown(value: Decimal | None, unit: str) -> str:
    from ringfence.cli import show

    if value is None:
        return "none"
    if unit == "fraction":
        return show.percent(value)
    if unit == "×":
        return show.factor(value)
    if unit == "price":
        return show.price(value, show.price_decimals(None, (value,)) if -value.as_tuple().exponent <= 6 else 6)  # type: ignore[operator]
    if unit == "contracts":
        return show.exactly(value)
    return f"{show.amount(value, unit)} {unit}"


def _show_edited(edited: Edited, rules: Rulebook) -> None:
    from ringfence.cli import show

    screen = show.console()
    if edited.refusal is not None and edited.refused is not None:
        screen.print(f"[yellow]{edited.refused.kind} {edited.refused.target}:[/] {edited.refusal}; nothing is changed")
        return
    keys = dict.fromkeys((held.symbol, held.side) for held in (*edited.before, *edited.after))
    beside = []
    for symbol, side in keys:
        before, after = (
            next((held for held in legs if (held.symbol, held.side) == (symbol, side)), None)
            for legs in (edited.before, edited.after)
        )
        if before == after:
            continue
        if before is not None and after is not None and _held_alike(before, after):
            beside.append((before, after))
            continue
        asset = rules.contract(symbol).settle_asset
        left, right = _cells(before, asset), _cells(after, asset)
        rows = [(name, left[name], right[name]) for name in left if left[name] or right[name]]
        screen.print(show.simple_table(f"{symbol} {side}", ("", "before", "after"), rows, right=(1, 2)))
        shown = after or before
        if shown is not None:
            screen.print(f"  liquidation: {shown.formula}\n", style="dim", markup=False)
    if beside:
        screen.print(_table_beside(beside, rules))
    free = [
        (f"available {asset}", show.amount(value, asset), show.amount(edited.free_after.get(asset), asset))
        for asset, value in edited.free_before.items()
    ]
    if free:
        screen.print(show.simple_table("Wallet", ("", "before", "after"), free, right=(1, 2)))
    for note in (*edited.notes, _by(rules)):
        screen.print(f"· {note}", style="dim", markup=False)


def _held_alike(before: HeldLeg, after: HeldLeg) -> bool:
    """Whether a leg itself stayed as it was: only what its pool makes of it has moved."""
    own = ("pool", "quantity", "entry_price", "leverage")
    return all(getattr(before, name) == getattr(after, name) for name in own) and (
        before.margin == after.margin or not before.pool.startswith("isolated")
    )


def _table_beside(legs: list[tuple[HeldLeg, HeldLeg]], rules: Rulebook) -> Table:
    """Return a line for each leg that stayed as it was in a pool that changed."""
    from ringfence.cli import show

    columns = ("liquidation price", "distance", "health")
    rows = []
    for before, after in legs:
        asset = rules.contract(before.symbol).settle_asset
        left, right = _cells(before, asset), _cells(after, asset)
        moved = [left[name] if left[name] == right[name] else f"{left[name]} → {right[name]}" for name in columns]
        rows.append((f"{before.symbol} {before.side}", *moved))
    return show.simple_table("Others in the same pools", ("position", *columns), rows, right=(1, 2, 3))


def _cells(held: HeldLeg | None, asset: str) -> dict[str, str]:
    from ringfence.cli import show

    names = ("quantity", "entry", "leverage", "margin", "PnL", "liquidation price", "distance", "bankruptcy price",
             "health")  # fmt: skip
    if held is None:
        return dict.fromkeys(names, "")
    isolated = held.pool.startswith("isolated")
    margin = f"{show.amount(held.margin, asset)} {'isolated' if isolated else 'cross'}"
    if held.margin is None and held.health is not None:
        margin = "in the book"  # portfolio margin: a position has none of its own
    values = (
        show.exactly(held.quantity),
        _shown(held.entry_price, "price"),
        "" if held.leverage is None else f"{show.exactly(held.leverage)}×",
        margin,
        show.amount(held.unrealised_pnl, asset),
        _shown(held.liquidation_price, "price"),
        show.percent(held.distance),
        _shown(held.bankruptcy_price, "price"),
        show.factor(held.health),
    )
    return dict(zip(names, values, strict=True))


__all__ = ["app", "read_number", "read_rate"]
