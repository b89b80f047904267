"""What ``ringfence fleet screen`` and ``stress`` print for people."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.cli import show
from ringfence.fleet.results import assets_with_anything, falls_by_minute, most_forced, rates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ringfence.fleet.fleet import Fleet
    from ringfence.fleet.screening import Screening
    from ringfence.fleet.stress import Stress
    from ringfence.fleet.watched import Watched

_GLYPHS = ((0.0, "··", "green dim"), (0.01, "░░", "green"), (0.05, "▒▒", "yellow"), (0.2, "▓▓", "dark_orange"),
           (0.5, "██", "red"))  # fmt: skip
_MOST_GRID = 41  # columns that fit a terminal


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun, in the singular for one."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _are(count: int) -> str:
    return f"{count:,} {'is' if count == 1 else 'are'}"


def _size(accounts: int, pools: int, positions: int) -> str:
    return f"{number_of(accounts, 'account')}, {number_of(pools, 'pool')}, {number_of(positions, 'position')}"


def print_screening(screen: Console, fleet: Fleet, found: Screening) -> None:
    """Print a screening: counts, then the worst pools."""
    accounts, pools = sum(found.accounts), sum(found.pools)
    on = f" as of {fleet.terms.as_of}" if fleet.terms.as_of else ""
    screen.print(f"{_size(accounts, pools, found.positions)}, {fleet.terms.rulebook_name}{on}")
    rows = [
        [word, f"{one:,}", f"{other:,}"]
        for word, one, other in zip(("liquidatable", "margin call", "healthy", "not known"),
                                    _worst_first(found.accounts), _worst_first(found.pools), strict=True)
        if one or other or word != "not known"
    ]  # fmt: skip
    screen.print(show.simple_table("", ["", "accounts", "pools"], rows, right=(1, 2)))
    if found.worst:
        lines = [
            [pool.account, pool.pool, show.factor(pool.health), show.amount(pool.balance, pool.asset),
             show.amount(pool.required, pool.asset), show.amount(pool.shortfall, pool.asset),
             show.STATUS_WORDS[pool.status]]
            for pool in found.worst
        ]  # fmt: skip
        headers = ["account", "pool", "health", "balance", "required", "shortfall", "status"]
        screen.print(show.simple_table("Worst first", headers, lines, right=(2, 3, 4, 5)))
    if found.exact:
        screen.print(
            f"· {number_of(found.exact, 'pool')} {_were(found.exact)} decided by the exact lane",
            style="dim",
            markup=False,
        )
    _notes(screen, found.assumptions)


def _worst_first(counts: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return counts[2], counts[1], counts[0], counts[3]


def _notes(screen: Console, notes: Sequence[str]) -> None:
    for note in notes:
        screen.print(f"· {note}", style="dim", markup=False)


def print_watch(screen: Console, found: Watched, limit: int) -> None:
    """Print a watch: when pools fell, and the first of them."""
    left = found.pools - len(found.fallen)
    screen.print(
        f"{_size(found.accounts, found.pools, found.positions)}; "
        f"{number_of(len(found.fallen), 'pool')} fell to a health of {found.level}, {_are(left)} left"
    )
    worst = sorted(falls_by_minute(found), key=lambda pair: (-pair[1], pair[0]))[:10]
    if worst:
        most = worst[0][1]
        rows = [[f"{minute:%Y-%m-%d %H:%M}", f"{count:,}", "█" * max(1, round(40 * count / most))]
                for minute, count in sorted(worst)]  # fmt: skip
        screen.print(show.simple_table("The minutes in which most fell (UTC)", ["", "pools", ""], rows, right=(1,)))
    if limit and found.fallen:
        rows = [[f"{fallen.at:%H:%M:%S}", fallen.account, fallen.pool, show.factor(fallen.health),
                 show.amount(fallen.balance, fallen.asset), show.amount(fallen.required, fallen.asset)]
                for fallen in found.fallen[:limit]]  # fmt: skip
        headers = ["", "account", "pool", "health", "balance", "required"]
        screen.print(show.simple_table("The first to fall", headers, rows, right=(3, 4, 5)))
    if found.looks:
        held = f"{number_of(found.looks, 'pool')} {_were(found.looks)}"
        said = f"· {held} held by the exact lane alone: compiled code does not know their rules"
        screen.print(said, style="dim", markup=False)
    _notes(screen, found.assumptions)


def watch_rates(found: Watched) -> list[str]:
    """Return how fast a watch went, in lines: the walk alone, then what came before it."""
    went = rates(found)
    if not went["frames_per_second"]:
        return []
    walked = f"{went['frames']:,} frames, {went['prices']:,} prices: screened in {went['screen_seconds']:.2f} s"
    median, worst = went["frame_median_microseconds"], went["frame_worst_microseconds"]
    read, mean = went["pools_read_median"], went["pools_read_per_frame"]
    exact = f"{number_of(found.exact, 'exact decision')} in {went['exact_seconds']:.2f} s"
    return [
        f"{walked}, {went['frames_per_second']:,} frames/s, {went['prices_per_second']:,} prices/s",
        f"a frame: median {median:,} µs, worst {worst:,} µs; pools re-read: median {read:,}, mean {mean:,}",
        f"beside it: read and packed in {went['build_seconds']:.2f} s, {exact}",
    ]


def print_stress(screen: Console, fleet: Fleet, found: Stress) -> None:
    """Print a stress: the grid, moves of all together, days that were, and where it concentrates."""
    accounts, pools, positions = (int(count) for count in found.sums.held)
    on = f" as of {fleet.terms.as_of}" if fleet.terms.as_of else ""
    screen.print(
        f"{_size(accounts, pools, positions)}, {fleet.terms.rulebook_name}{on}, {len(found.scenarios) - 1} scenarios\n"
    )
    _print_grid(screen, found)
    for title, groups in (
        ("All marks together", ("now", "all")),
        ("Days that were", ("history",)),
        ("Given", ("given",)),
    ):
        chosen = [at for at, scenario in enumerate(found.scenarios) if scenario.group in groups]
        if chosen and groups != ("now",):
            headers, rows = scenario_rows(found, chosen)
            screen.print(show.simple_table(title, headers, rows, right=range(1, len(headers))))
    worst = worst_scenario(found)
    forced = most_forced(found, worst, 10)
    if forced:
        total = float(found.sums.forced[:, worst].sum())
        rows = [[symbol, _short(value), f"{100 * value / total:.1f} %"] for symbol, value in forced]
        title = f"Value in liquidatable pools by symbol: {found.scenarios[worst].name}"
        screen.print(show.simple_table(title, ["symbol", "value", "share"], rows, right=(1, 2)))
    _notes(screen, found.assumptions)


def worst_scenario(found: Stress) -> int:
    """Return the scenario in which the fund would need most of the asset with the most equity."""
    assets = assets_with_anything(found)
    return int(found.sums.fund[assets[0]].argmax()) if assets else 0


def scenario_rows(found: Stress, chosen: Sequence[int]) -> tuple[list[str], list[list[str]]]:
    """Return headers and rows of scenarios: accounts liquidatable, pools called, and what is lost per asset.

    Baskets have no asset of their own: theirs are in the currency that each is counted in.
    """
    sums, accounts = found.sums, max(1, int(found.sums.held[0]))
    headers = ["", "liquidatable", "", "called", "asset", "loss", "insurance fund"]
    rows = []
    for at in chosen:
        for line, asset in enumerate(assets_with_anything(found)):
            struck = int(sums.accounts[at])
            head = [
                found.scenarios[at].name,
                f"{struck:,}",
                f"{100 * struck / accounts:.1f} %",
                f"{int(sums.called[at]):,}",
            ]
            rows.append([*(head if not line else [""] * 4), found.assets[asset] or "baskets",
                         _short(float(sums.loss[asset, at])), _short(float(sums.fund[asset, at]))])  # fmt: skip
    return headers, rows


def _short(value: float) -> str:
    for size, unit in ((1e9, " bn"), (1e6, " m"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:,.2f}{unit}"
    return f"{value:,.2f}" if value else "0"


def _print_grid(screen: Console, found: Stress) -> None:
    from rich.text import Text

    at = {scenario.at: number for number, scenario in enumerate(found.scenarios) if scenario.at is not None}
    if not at:
        return
    right = sorted({place[0] for place in at})
    up = sorted({place[1] for place in at}, reverse=True)
    if len(right) > _MOST_GRID:
        return
    accounts = max(1, int(found.sums.held[0]))
    screen.print("[bold]Share of accounts liquidatable[/]  → majors  ↑ all others\n")
    for move in up:
        line = Text(f"{_move(move):>7} ")
        for column in right:
            share = int(found.sums.accounts[at[column, move]]) / accounts
            _, glyph, style = [entry for entry in _GLYPHS if share >= entry[0]][-1]
            line.append("◆◆" if not column and not move else glyph, style=style)
        screen.print(line, soft_wrap=True)
    width = 2 * len(right)
    ends = [_move(right[0]), _move(right[-1])]
    between = width - len(ends[0]) - len(ends[1])
    middle = "now".center(between) if between > 4 else " " * max(1, between)
    screen.print(" " * 8 + ends[0] + middle + ends[1], soft_wrap=True)
    key = Text(" " * 8)
    for floor, glyph, style in _GLYPHS:
        key.append(glyph, style=style).append(f" from {100 * floor:g} %  ")
    screen.print(key.append("◆◆ now"), soft_wrap=True)
    screen.print()


def _move(move: Decimal) -> str:
    return show.percent(move, decimals=0) if move else "0 %"


__all__ = [
    "number_of",
    "print_screening",
    "print_stress",
    "print_watch",
    "scenario_rows",
    "watch_rates",
    "worst_scenario",
]
