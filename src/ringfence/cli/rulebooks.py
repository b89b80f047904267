"""``ringfence rulebooks list | show | check | diff | update``: the exchanges' rules and tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringfence.cli.options import JsonOption

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import Console

    from ringfence.fees import Discount, FeeLevel, VoucherKind
    from ringfence.rulebook import Rulebook
    from ringfence.watch.tables import Change, Update

app = typer.Typer(name="rulebooks", help="The exchanges' margin rules and tables, dated.", no_args_is_help=True)

BAD_RULEBOOK = 3

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A rulebook, such as binance-usdm.")]


@app.command("list", epilog="Example: ringfence rulebooks list")
def list_rulebooks(*, json: JsonOption = False) -> None:
    """List the rulebooks: dates of their rules and tables, how many symbols, how complete."""
    from ringfence import rulebooks
    from ringfence.cli import show
    from ringfence.rulebooks import catalogue

    entries = [catalogue.entry(name) for name in rulebooks.names()]
    if json:
        show.print_json({"schema": "ringfence.rulebooks/1", "rulebooks": [entry.as_json() for entry in entries]})
        return
    rows = [
        (
            f"{entry.name}\n{entry.title}",
            "\n".join(entry.rules),
            "\n".join(f"{table.day}" for table in entry.tables) or ("of others" if entry.tables_from else "none"),
            "\n".join(f"{table.symbols:,}" for table in entry.tables) or ("" if entry.tables_from else "0"),
            "\n".join(table.coverage for table in entry.tables)
            or "\n".join(f"those of {other}" for other in entry.tables_from)
            or "from the account file",
        )
        for entry in entries
    ]
    headers = ("rulebook", "rules", "tables", "symbols", "coverage")
    show.console().print(show.simple_table("Rulebooks", headers, rows, right=(3,)))


@app.command("show", epilog="Example: ringfence rulebooks show binance-usdm BTCUSDT --as-of 2025-10-10")
def show_rulebook(
    name: NameArgument,
    symbol: Annotated[str | None, typer.Argument(metavar="[SYMBOL]", help="Show this contract and its tiers.")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="DAY", help="As of this day.")] = None,
    *,
    json: JsonOption = False,
) -> None:
    """Show a rulebook's policies in plain words, its levels, liquidation and sources; or one symbol's table."""
    from ringfence import rulebooks
    from ringfence.cli import show
    from ringfence.cli.load import day

    rulebook = rulebooks.load(name, day(as_of) if as_of else None)
    if json:
        show.print_json(_symbol_json(rulebook, symbol) if symbol else _rulebook_json(rulebook))
    elif symbol:
        _print_symbol(show.console(), rulebook, symbol)
    else:
        _print_rulebook(show.console(), rulebook)


@app.command("check", epilog="Example: ringfence rulebooks check binance-usdm")
def check_rulebooks(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One rulebook; without it, all.")] = None,
    *,
    json: JsonOption = False,
) -> None:
    """Check rules, tables and sources; every fault is named with file and line. Ends with 3 when there is one."""
    from ringfence import rulebooks
    from ringfence.cli import show
    from ringfence.margin.refusal import REASONS
    from ringfence.rulebooks.check import check

    names = (name,) if name else rulebooks.names()
    faults = {each: check(each, refusals=REASONS) for each in names}
    count = sum(len(found) for found in faults.values())
    if json:
        listed = [
            {"rulebook": each, "file": str(fault.file), "line": fault.line, "message": fault.message}
            for each, found in faults.items()
            for fault in found
        ]
        show.print_json({"schema": "ringfence.rulebooks-check/1", "rulebooks": list(names), "faults": listed})
    else:
        for found in faults.values():
            for fault in found:
                show.print_text(str(fault))
        checked = f"{len(names)} rulebook{'' if len(names) == 1 else 's'}"
        show.print_text(f"{checked} checked: {f'{count} fault' + 's' * (count != 1) if count else 'no faults'}")
    if count:
        raise typer.Exit(BAD_RULEBOOK)


@app.command("diff", epilog="Example: ringfence rulebooks diff binance-usdm 2024-08-05 2025-10-10")
def diff_rulebook(
    name: NameArgument,
    old: Annotated[str, typer.Argument(metavar="DAY", help="Day of the older tables.")],
    new: Annotated[str, typer.Argument(metavar="DAY", help="Day of the newer tables.")],
    *,
    json: JsonOption = False,
) -> None:
    """Show what changed in a rulebook from one day to another: policies, contracts, tiers, fees."""
    from ringfence import rulebooks
    from ringfence.cli import show
    from ringfence.cli.load import day
    from ringfence.rulebooks import catalogue
    from ringfence.watch.changes import diff_tables

    first, second = day(old, option="DAY"), day(new, option="DAY")
    old_rules, new_rules = rulebooks.load(name, first), rulebooks.load(name, second)
    policies, fees = catalogue.changed_policies(old_rules, new_rules), catalogue.changed_fees(old_rules, new_rules)
    before, after = (catalogue.tables_on(name, each) for each in (first, second))
    changes: list[Change] = []
    if before is not None and after is not None and before != after:
        changes = diff_tables(before.path, after.path)
    if after is not None and catalogue.dated_tables(after).coverage == "partial":
        # What such tables lack is not gone: the rulebook goes on reading it from the older ones.
        changes = [change for change in changes if change.kind != "removed" or change.tier is not None]
    if json:
        show.print_json({
            "schema": "ringfence.rulebooks-diff/1",
            "rulebook": name,
            "tables": [str(folder.day) if folder else None for folder in (before, after)],
            "policies": [change._asdict() for change in policies],
            "changes": [_change_json(change) for change in changes],
            "fees": [change._asdict() for change in fees],
        })  # fmt: skip
        return
    for folder, asked in ((before, first), (after, second)):
        if folder is None or folder.day != asked:
            show.say(f"tables on {asked}: " + (f"those of {folder.day}" if folder else "none"))
    for policy in policies:
        show.print_text(f"{policy.architecture} {policy.policy}: {policy.old} → {policy.new}")
    _print_changes(changes)
    for fee in fees:
        show.print_text(f"fees, {fee.what} {fee.field}: {fee.old or 'not there'} → {fee.new or 'not there'}")
    if not policies and not changes and not fees:
        show.print_text("nothing changed")


@app.command("update", epilog="Example: ringfence rulebooks update bybit-linear")
def update_rulebook(
    venue: Annotated[str, typer.Argument(metavar="VENUE", help="A rulebook whose exchange to ask.")],
    key: Annotated[
        str | None,
        typer.Option(metavar="REFERENCE", help="A read-only key: env:NAME, file:PATH or keyring:NAME."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write there, not to your own rulebooks.")] = None,
    *,
    json: JsonOption = False,
) -> None:
    """Read an exchange's current contracts and tiers through ccxt and write them as tables of today."""
    from datetime import UTC, datetime

    from ringfence import rulebooks
    from ringfence.cli import show
    from ringfence.watch.tables import update_tables

    update = update_tables(
        venue,
        out or rulebooks.user_directory(),
        keys=key,
        today=datetime.now(UTC).date(),
        progress=show.say,
    )
    if json:
        show.print_json(_update_json(update))
        return
    show.print_text(
        f"{update.rulebook}: {update.contracts:,} contracts, {update.tiers:,} tiers ({update.coverage}) "
        f"written to {update.folder}"
    )
    for note in update.notes:
        show.say(note)
    if update.previous is None:
        show.print_text("no earlier tables beside them to compare with")
    else:
        show.print_text(f"{len(update.changes):,} changes since the tables of {update.previous.name}")
        _print_changes(list(update.changes))


# ── Shown ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _print_rulebook(screen: Console, rulebook: Rulebook) -> None:
    from rich.text import Text

    from ringfence.cli import show
    from ringfence.cli.policy_words import LIQUIDATION_STEPS, meaning, told
    from ringfence.cli.rulebook_collateral import print_collateral

    day = f" as of {rulebook.as_of}" if rulebook.as_of else ""
    screen.print(Text.assemble((rulebook.title, "bold"), (f"  {rulebook.name}{day}", "dim")))
    for title, policies in _grouped_policies(rulebook):
        screen.print()
        screen.print(Text(title, style="bold"))
        screen.print(
            show.definitions((f"{name} = {told(value)}", meaning(name, value)) for name, value in policies.items())
        )
    levels = rulebook.levels
    screen.print()
    screen.print(Text("Levels, as health", style="bold"))
    source = "ringfence's own" if levels.source == "ours" else levels.source
    screen.print(Text(f"  warning {levels.warning}, margin call {levels.margin_call}, liquidated at 1  ({source})"))
    if rulebook.liquidation_sequence:
        screen.print()
        screen.print(Text("Liquidation", style="bold"))
        sequence = enumerate(rulebook.liquidation_sequence, 1)
        screen.print(show.definitions((f"{number}. {step}", LIQUIDATION_STEPS.get(step)) for number, step in sequence))
        if rulebook.isolated_sequence is not None:
            screen.print(Text("  isolated positions: " + ", ".join(rulebook.isolated_sequence)))
        screen.print(Text(rulebook.liquidation_note, style="dim"))
    print_collateral(screen, rulebook)
    _print_fees(screen, rulebook)
    for title, entries in (("Refusals", rulebook.refusals), ("Sources", rulebook.sources)):
        if entries:
            screen.print()
            screen.print(Text(title, style="bold"))
            screen.print(show.definitions(entries.items()))


def _print_fees(screen: Console, rulebook: Rulebook) -> None:
    from rich.text import Text

    from ringfence.cli import show

    fees = rulebook.fees
    if fees.levels:
        rows = [
            (
                f"{row.level} {row.settle_asset}".strip(),
                _percent(row.maker),
                _percent(row.taker),
                "nothing" if row.level == fees.base else _asked(row),
            )
            for row in fees.levels
        ]
        screen.print()
        headers = ("level", "maker", "taker", "asks for")
        screen.print(show.simple_table(f"Fees ({fees.source})", headers, rows, right=(1, 2)))
    for title, entries in (
        ("Discounts on fees", [(name, _discounted(each)) for name, each in fees.discounts.items()]),
        ("Vouchers", [(name, _voucher(each)) for name, each in fees.vouchers.items()]),
    ):
        if entries:
            screen.print()
            screen.print(Text(title, style="bold"))
            screen.print(show.definitions(entries))


def _percent(rate: Decimal | None) -> str:
    from ringfence.cli import show

    return "not known" if rate is None else show.exactly(rate * 100) + " %"


def _asked(row: FeeLevel) -> str:
    from ringfence.cli import show

    asks = []
    if row.volume is not None:
        over = f" in {row.volume_days} days" if row.volume_days else ""
        asks.append(f"volume of {show.exactly(row.volume)} {row.volume_asset}{over}")
    if row.balance is not None:
        asks.append(f"{show.exactly(row.balance)} {row.balance_asset}")
    return ", ".join(asks) or "not known"


def _discounted(discount: Discount) -> str:
    shares = f"{_percent(discount.maker)} off the maker fee, {_percent(discount.taker)} off the taker fee"
    return f"{shares}: {discount.asks}" if discount.asks else shares


def _voucher(kind: VoucherKind) -> str:
    order = {"soonest_expiry": "the one that ends first", "claimed": "the oldest"}[kind.order]
    said = [f"pays {' and '.join(kind.pays)}", f"of several {order} pays first"]
    said.append("before bonus" if kind.before_bonus else "after bonus")
    if kind.limit == "net_loss":
        said.append("in all no more than its share of the net loss since it was claimed")
    if kind.counts_as_margin:
        said.append("counts as margin")
    return ", ".join(said)


def _grouped_policies(rulebook: Rulebook) -> list[tuple[str, dict[str, object]]]:
    """Return the policies all architectures share, and for each architecture those in which it differs."""
    from ringfence.cli.policy_words import chosen

    own = {name: chosen(getattr(rulebook, name)) for name in ("isolated", "cross", "basket")}
    shared = {key: value for key, value in own["cross"].items() if all(each.get(key) == value for each in own.values())}
    groups: list[tuple[str, dict[str, object]]] = [("Policies", shared)]
    for name, policies in own.items():
        rest = {key: value for key, value in policies.items() if key not in shared}
        if rest:
            title = "in multi-asset and portfolio margin" if name == "basket" else f"in {name} margin"
            groups.append((f"Policies {title}", rest))
    return groups


def _print_symbol(screen: Console, rulebook: Rulebook, symbol: str) -> None:
    from rich.text import Text

    from ringfence.cli import show

    contract, table = rulebook.entry(symbol)
    screen.print(Text.assemble((symbol, "bold"), (f"  {rulebook.table_source(symbol)}", "dim")))
    terms = [(name, value) for name, value in _terms(contract).items() if name not in {"symbol", "underlying"}]
    screen.print(show.definitions(((name, value or "not known") for name, value in terms), terms="dim"))
    if table is None:
        screen.print("  no tiers are known: bring them along under `contracts` in the account file")
        return
    rows = []
    for number, tier in enumerate(table.tiers, 1):
        after = table.tiers[number].floor if number < len(table.tiers) else tier.cap
        rate = "not known" if tier.maintenance_rate is None else show.exactly(tier.maintenance_rate * 100) + " %"
        leverage = "" if tier.max_leverage is None else show.exactly(tier.max_leverage)
        until = "no end" if after is None else show.exactly(after)
        rows.append((str(number), show.exactly(tier.floor), until, rate, show.exactly(tier.deduction), leverage))
    unit = "contracts" if table.unit == "contracts" else contract.settle_asset
    headers = ("tier", f"from ({unit})", "to", "maintenance", "deduction", "max leverage")
    screen.print(show.simple_table("Tiers", headers, rows, right=range(6)))


def _print_changes(changes: list[Change]) -> None:
    from ringfence.cli import show

    for change in changes:
        show.print_text(str(change))


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _terms(contract: Any) -> dict[str, str | None]:
    from dataclasses import fields
    from decimal import Decimal

    from ringfence.numbers import text

    values = {field.name: getattr(contract, field.name) for field in fields(contract)}
    values["kind"] = contract.kind.value
    return {name: text(value) if isinstance(value, Decimal) else value for name, value in values.items()}


def _rulebook_json(rulebook: Rulebook) -> dict[str, Any]:
    from ringfence.cli.policy_words import chosen
    from ringfence.cli.rulebook_collateral import collateral_json
    from ringfence.numbers import text

    return {
        "schema": "ringfence.rulebook/1",
        "name": rulebook.name,
        "title": rulebook.title,
        "as_of": rulebook.as_of.isoformat() if rulebook.as_of else None,
        "policies": {
            name: {key: _plain(value) for key, value in chosen(getattr(rulebook, name)).items()}
            for name in ("isolated", "cross", "basket")
        },
        "levels": {
            "warning": text(rulebook.levels.warning),
            "margin_call": text(rulebook.levels.margin_call),
            "source": rulebook.levels.source,
        },
        "liquidation": {
            "sequence": list(rulebook.liquidation_sequence),
            "isolated_sequence": list(rulebook.isolated_sequence or rulebook.liquidation_sequence),
            "note": rulebook.liquidation_note,
        },
        **collateral_json(rulebook),
        "refusals": dict(rulebook.refusals),
        "sources": dict(rulebook.sources),
        "fees": {
            "source": rulebook.fees.source,
            "levels": [_named(row) for row in rulebook.fees.levels],
            "discounts": [_named(each) for each in rulebook.fees.discounts.values()],
            "vouchers": [_named(each) for each in rulebook.fees.vouchers.values()],
        },
        "symbols": list(rulebook.symbols()),
    }


def _named(row: FeeLevel | Discount | VoucherKind) -> dict[str, object]:
    return {key: list(value) if isinstance(value, tuple) else _plain(value) for key, value in row._asdict().items()}


def _plain(value: object) -> object:
    from decimal import Decimal

    from ringfence.numbers import text

    return text(value) if isinstance(value, Decimal) else value


def _symbol_json(rulebook: Rulebook, symbol: str) -> dict[str, Any]:
    from ringfence.numbers import text

    contract, table = rulebook.entry(symbol)
    tiers = None
    if table is not None:
        tiers = [{name: text(value) for name, value in tier._asdict().items()} for tier in table.tiers]
    return {
        "schema": "ringfence.contract/1",
        "rulebook": rulebook.name,
        "as_of": rulebook.as_of.isoformat() if rulebook.as_of else None,
        "table": rulebook.table_source(symbol),
        "contract": _terms(contract),
        "tier_unit": table.unit if table is not None else None,
        "tiers": tiers,
    }


def _change_json(change: Change) -> dict[str, Any]:
    return {name: getattr(change, name) for name in ("table", "kind", "symbol", "tier", "field", "old", "new")}


def _update_json(update: Update) -> dict[str, Any]:
    return {
        "schema": "ringfence.rulebooks-update/1",
        "rulebook": update.rulebook,
        "folder": str(update.folder),
        "as_of": update.as_of.isoformat(),
        "contracts": update.contracts,
        "tiers": update.tiers,
        "coverage": update.coverage,
        "previous": update.previous.name if update.previous else None,
        "changes": [_change_json(change) for change in update.changes],
        "notes": list(update.notes),
    }
