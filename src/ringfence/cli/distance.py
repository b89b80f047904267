"""``ringfence distance``: how far an account is from liquidation, alone, together, in a crash, and by likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringfence.cli.options import AccountArgument, AsOfOption, BetaOption, JsonOption, MarkOption, ReportOption

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from rich.console import Console

    from ringfence.study.distance import CrashShare, Distance

_HOUR = 60


def distance(  # noqa: PLR0913 - a parameter per option
    account: AccountArgument,
    mark: MarkOption = None,
    as_of: AsOfOption = None,
    *,
    beta: BetaOption = None,
    tape: Annotated[
        str | None, typer.Option("--tape", help="Estimate volatilities and correlations from it: a window or a file.")
    ] = None,
    horizon: Annotated[int, typer.Option("--horizon", metavar="MINUTES", help="How far to simulate.")] = _HOUR,
    paths: Annotated[int, typer.Option("--paths", metavar="N", help="How many paths; 0 simulates nothing.")] = 100_000,
    tail: Annotated[
        float, typer.Option("--tail", metavar="N", help="Degrees of freedom of Student's t; 4 is fat.")
    ] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which paths.")] = 1,
    report: ReportOption = None,
    json: JsonOption = False,
) -> None:
    """Show how far an account is from liquidation: each symbol alone, all together, along past crashes.

    With --tape: minutes at its volatility, the likeliest way to die, and how likely within the horizon (needs numpy).
    """
    from ringfence.cli import show
    from ringfence.cli.load import load_account
    from ringfence.cli.options import read_betas
    from ringfence.errors import BadAccount, BadConfiguration
    from ringfence.study import distance as study
    from ringfence.study.likelihood import Horizon
    from ringfence.tape import load_tape

    file, rulebook = load_account(account, marks=mark or [], as_of=as_of)
    prices = None if tape is None else load_tape(tape)
    wanted = Horizon(horizon, paths, seed, tail) if prices is not None and paths else None
    try:
        found = study.distance(
            file.account,
            marks=file.marks,
            rulebook=rulebook,
            tape=prices,
            betas=read_betas(beta or [], file.marks),
            horizon=wanted,
            progress=show.say if wanted is not None and show.console(stderr=True).is_terminal else None,
        )
    except (BadAccount, BadConfiguration) as error:
        raise error.located(file.where) from None
    if report is not None:
        from ringfence.study import distance_page, page

        page.write(distance_page.html_page(found, title=f"How far {file.where} is from liquidation"), report)
    if json:
        show.print_json(study.as_json(found))
        return
    _print(show.console(), found)


def _print(screen: Console, found: Distance) -> None:
    from ringfence.cli import show
    from ringfence.study.wording import duration

    rows = []
    for item in found.symbols:
        cells = [
            "none" if price is None else
            f"{show.price(price, min(8, max(2, 4 - item.mark.adjusted())))}  {show.percent(move)}"
            for price, move in ((item.below, item.move_below), (item.above, item.move_above))
        ]  # fmt: skip
        put_in = found.estimate is not None and any(one.symbol == item.symbol for one in found.estimate.put_in)
        rows.append(
            [_starred(item.symbol, put_in), item.pool, *cells, *([duration(item.minutes)] if found.estimate else [])]
        )
    headers = ["symbol", "pool", "dies below", "dies above", *(["one σ takes"] if found.estimate else [])]
    screen.print(show.simple_table("Alone", headers, rows, right=(2, 3, 4)))
    common = [
        [item.pool, item.by, show.percent(item.down), show.percent(item.up), "" if item.exact else "by scan"]
        for item in found.common
    ]
    screen.print(show.simple_table("Together", ("pool", "marks move", "falling", "rising", ""), common, right=(2, 3)))
    wide = any(item.between is not None for item in found.crashes)
    crashes = [[_starred(item.crash, item.put_in), item.pool, _share(item.share), *([_between(item)] if wide else [])]
               for item in found.crashes]  # fmt: skip
    if crashes:
        headers = ["crash", "pool", "dies at", *(["between"] if wide else [])]
        screen.print(show.simple_table("Along past crashes", headers, crashes))
    if found.estimate is not None:
        _print_nearest(screen, found)
    for note in found.assumptions:
        screen.print(f"· {note}", style="dim", markup=False)


def _starred(name: str, put_in: object) -> str:
    """Return a name with the star of the notes where something was put in for a coin that a tape lacks."""
    return f"{name} *" if put_in else name


def _between(item: CrashShare) -> str:
    """Say at what the pool dies with the least and the most that may be put in for coins that the tape lacks."""
    if item.between is None or item.between[0] == item.between[1]:
        return ""
    return " and ".join("never" if share is None else _share(share) for share in item.between)


def _share(share: Decimal | None) -> str:
    if share is None:
        return "no multiple of it"
    if share > 100:
        return "more than a hundred times it"
    if share >= 2:
        return f"{share:.1f} times it"
    return f"{share * 100:.0f} % of it" if not share or share * 100 >= 1 else "less than 1 % of it"


def _print_nearest(screen: Console, found: Distance) -> None:
    from ringfence.cli import show
    from ringfence.study.wording import duration

    rows = [[n.pool, _moves(n.moves), duration(n.minutes), "" if n.settled and n.on_edge else "roughly"]
            for n in found.nearest]  # fmt: skip
    if rows:
        headers = ("pool", "likeliest way to die", "one σ takes", "")
        screen.print(show.simple_table("Nearest", headers, rows, right=(2,)))
    if found.horizon is None:
        return
    chances = [[chance.pool, _chance(chance.probability), f"± {_chance(chance.error)}"] for chance in found.likelihood]
    title = f"Within {duration(found.horizon.minutes)}"
    screen.print(show.simple_table(title, ("pool", "dies", "standard error"), chances, right=(1, 2)))


def _moves(moves: Mapping[str, Decimal]) -> str:
    from ringfence.cli import show

    return ", ".join(f"{symbol} {show.percent(move)}" for symbol, move in moves.items() if move)


def _chance(share: float) -> str:
    return f"{share * 100:.2f} %" if share >= 0.0005 or not share else f"{share * 100:.4f} %"


__all__ = ["distance"]
