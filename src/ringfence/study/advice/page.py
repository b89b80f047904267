"""Advice as one HTML file: the verdicts, and how the result of every way of holding the book is spread."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from ringfence.study.advice.steps import steps
from ringfence.study.advice.trials import certainty
from ringfence.study.advice.words import NO_ADVICE, account_wide, assumptions, unknown, verdicts
from ringfence.study.page import framed, table
from ringfence.study.wording import amount, percent

if TYPE_CHECKING:
    from ringfence.numbers import Value
    from ringfence.study.advice.advise import Advice
    from ringfence.study.advice.trials import Trial

_STYLE = """
.ways { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 16px; margin-top: 10px; }
.ways .panel { padding: 12px 14px 8px; min-width: 0; }
.ways .panel.chosen { border-top: 4px solid var(--iso); }
.ways svg { width: 100%; height: auto; display: block; margin-top: 8px; }
.ways rect { fill: var(--iso); opacity: 0.75; }
.ways rect.loss { fill: var(--cross); } .ways rect.ruin { fill: var(--bad); }
.ways line { stroke: var(--rule); } .ways line.zero { stroke: var(--soft); stroke-dasharray: 3 3; }
.ways text { fill: var(--soft); font-size: 11px; }
.ways p { margin: 2px 0 0; font-size: 13px; color: var(--soft); }
.verdicts { display: grid; gap: 12px; margin-top: 10px; }
.verdicts h3 span { color: var(--soft); font-weight: 500; }
.verdicts ul, .plain { margin: 6px 0 2px; padding-left: 20px; font-size: 14.5px; }
.verdicts .fence { border-left: 4px solid var(--iso); } .verdicts .pool { border-left: 4px solid var(--cross); }
.verdicts .close { border-left: 4px solid var(--bad); }
.plain pre { margin: 6px 0; padding: 8px 12px; border-left: 3px solid var(--rule); }
.plain code, .plain pre { font-size: 13px; }
.disclaimer { font-size: 14px; color: var(--soft); }
"""
_UNDER = (
    "Result as a share of the capital, over all simulated paths. Every way sees the same paths; heights are "
    "square roots of counts, each picture to a scale of its own."
)
_COMMAND = re.compile(r"`([^`]+)`")
_KEPT = "The share of the capital that is kept, and how many positions are liquidated."
_WIDTH, _HEIGHT, _FOOT = 340, 120, 18


def html_page(advice: Advice, *, title: str, name: str = "ACCOUNT") -> str:
    """Return advice as one HTML document. The same advice gives the same text."""
    sections = [
        ("Position by position", f"<p class='disclaimer'>{escape(NO_ADVICE)}</p>{_verdicts(advice)}"),
        ("The account as a whole", _list(account_wide(advice))),
        ("What to do, in order", _list(steps(advice, name), ordered=True)),
        (
            f"What becomes of this book in {advice.outlook.days} days, held in different ways",
            f"<p class='under'>{_UNDER}</p>{_ways(advice)}",
        ),
        ("In numbers", _numbers(advice)),
        ("The same in past crashes, if nobody acts", f"<p class='under'>{_KEPT}</p>{_past(advice)}"),
        ("What this does not know", _list(unknown(advice))),
    ]
    return framed(title, over="Advice", sections=sections, notes=assumptions(advice), style=_STYLE)


def _list(items: tuple[str, ...], *, ordered: bool = False) -> str:
    tag = "ol" if ordered else "ul"
    return f"<{tag} class='plain'>{''.join(f'<li>{_marked(item)}</li>' for item in items)}</{tag}>"


def _marked(text: str) -> str:
    """Return a sentence with its commands, and a file that follows it, set as such."""
    sentence, _, lines = text.partition("\n")
    said = _COMMAND.sub(r"<code>\1</code>", escape(sentence))
    return f"{said}<pre>{escape(lines)}</pre>" if lines else said


def _verdicts(advice: Advice) -> str:
    parts = []
    for verdict in verdicts(advice):
        kind = {"ring-fence": "fence", "close": "close"}.get(verdict.verdict, "pool")
        parts.append(
            f"<div class='panel {kind}'><h3>{escape(verdict.symbol)} {escape(verdict.side)}: {escape(verdict.verdict)} "
            f"<span>· {escape(verdict.how)}</span></h3>{_list(verdict.reasons)}</div>"
        )
    return f"<div class='verdicts'>{''.join(parts)}</div>"


def _ways(advice: Advice) -> str:
    parts = []
    for trial in advice.trials.trials:
        chosen = " chosen" if trial.holding.name == advice.chosen else ""
        parts.append(
            f"<div class='panel{chosen}'><h3>{escape(trial.holding.name)}</h3><p>{escape(trial.holding.what)}</p>"
            f"<p>liquidated {trial.liquidated.share:.1%} of paths · worst twentieth "
            f"{_signed(trial.worst.share)} · median {_signed(trial.quantiles[2])}</p>{_histogram(advice, trial)}</div>"
        )
    return f"<div class='ways'>{''.join(parts)}</div>"


def _histogram(advice: Advice, trial: Trial) -> str:
    """Return the spread of results as an SVG: a bar per equal step from −100 % to the common upper end."""
    top, most = advice.trials.top, max(trial.bars) or 1
    wide = _WIDTH / len(trial.bars)
    bars = []
    for index, count in enumerate(trial.bars):
        left = -1 + (1 + top) * index / len(trial.bars)
        high = (_HEIGHT - 6) * (count / most) ** 0.5
        kind = "ruin" if left < -0.9 else "loss" if left + (1 + top) / len(trial.bars) / 2 < 0 else ""
        told = f"{_signed(left)} to {_signed(left + (1 + top) / len(trial.bars))}: {count:,} paths"
        bars.append(
            f"<rect class='{kind}' x='{index * wide:.1f}' y='{_HEIGHT - high:.1f}' width='{wide - 1:.1f}' "
            f"height='{high:.1f}'><title>{told}</title></rect>"
        )
    zero = _WIDTH / (1 + top)
    foot = _HEIGHT + _FOOT - 5
    return (
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT + _FOOT}' role='img' "
        f"aria-label='spread of results, {escape(trial.holding.name)}'>"
        f"{''.join(bars)}<line x1='0' x2='{_WIDTH}' y1='{_HEIGHT}' y2='{_HEIGHT}'/>"
        f"<line class='zero' x1='{zero:.1f}' x2='{zero:.1f}' y1='0' y2='{_HEIGHT}'/>"
        f"<text x='0' y='{foot}'>−100 %</text><text x='{zero:.1f}' y='{foot}' text-anchor='middle'>0</text>"
        f"<text x='{_WIDTH}' y='{foot}' text-anchor='end'>{_signed(top)}</text></svg>"
    )


def _numbers(advice: Advice) -> str:
    headers = ("way", "liquidated", "ruined", "mean", "worst twentieth", "worth", "margin used", "out of reach")
    rows = [
        (
            trial.holding.name,
            f"{trial.liquidated.share:.1%} ± {trial.liquidated.error:.1%}",
            f"{trial.ruined.share:.1%}",
            f"{_signed(trial.mean.share)} ± {trial.mean.error:.1%}",
            f"{_signed(trial.worst.share)} ± {trial.worst.error:.1%}",
            _signed(certainty(advice.scores[trial.holding.name].share), 2),
            ", ".join(_amount(v, a) for a, v in trial.used.items()),
            ", ".join(_amount(v, a) for a, v in trial.idle.items() if v) or "none",
        )
        for trial in advice.trials.trials
    ]
    rows += [(way, f"cannot be: {why}", "", "", "", "", "", "") for way, why in advice.unavailable]
    return table(headers, rows)


def _amount(value: Value, asset: str) -> str:
    """Return an amount of an asset; of a basket, in the account's currency."""
    return amount(value, None if asset == "account" else asset)


def _past(advice: Advice) -> str:
    windows = list(dict.fromkeys(past.window for past in advice.crashes.past))
    ways = [trial.holding.name for trial in advice.trials.trials]
    kept = {(past.window, past.holding): past for past in advice.crashes.past}
    rows = []
    for window in windows:
        cells = []
        for way in ways:
            past = kept[window, way]
            dead = f", {len(past.died)} liquidated" if past.died else ""
            cells.append(f"{percent(past.kept)}{dead}")
        rows.append((window, *cells))
    return table(("window", *ways), rows)


def _signed(share: float, places: int = 1) -> str:
    return f"{share:+.{places}%}".replace("-", "−").replace("%", " %")


__all__ = ["html_page"]
