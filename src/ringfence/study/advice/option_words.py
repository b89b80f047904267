"""What advice on a book with options says: per position, for the account, what to do, what is not known.

Every sentence is made from the figures of :class:`~ringfence.study.advice.options.OptionsFound`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.numbers import ONE, ROUND_CEILING, ZERO, exact, plain, round_to
from ringfence.study.advice.alert import HIGHEST, SIGMAS
from ringfence.study.advice.closings import STEPS
from ringfence.study.advice.crashes import YEARS
from ringfence.study.advice.desk import SAFE
from ringfence.study.advice.figures import chance, dollars, result
from ringfence.study.advice.holding import MAIN
from ringfence.study.advice.trials import CHARGE, FLOOR
from ringfence.study.advice.verdict import Verdict
from ringfence.study.portfolio_words import portfolio_summary
from ringfence.study.wording import fixed, listed, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.account import Position
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.portfolio.requirement import Hedge
    from ringfence.numbers import Value
    from ringfence.study.advice.advise import Advice
    from ringfence.study.advice.options import OptionsFound, Part

WATCHER = (
    "An automated account needs a watcher that is not the bot: `ringfence check` answers by exit code (10 "
    "warning, 11 margin call, 12 liquidatable), `ringfence rescue --json` gives the next step. Give the bot an "
    "API key without the right to withdraw."
)
_STEP = Decimal("0.05")
_SAFE = "95 %"
_ALIKE = 0.005  # of the paths, or of the balance


def role_of(found: OptionsFound, part: Part) -> str:
    """Return ``hedge`` or ``risk``: whether the account is liquidated more or less often without the position.

    Where that is within :data:`_ALIKE`, whether its worst twentieth of the paths is worse or better; ``neutral`` where
    that is too; ``unknown`` where the position could not be taken out.
    """
    if part.worst is None or part.liquidated is None:
        return "unknown"
    given = found.trials.trials[0]
    rarer = part.liquidated.share - given.liquidated.share
    spared = rarer if abs(rarer) >= _ALIKE else given.worst.share - part.worst
    return "neutral" if abs(spared) < _ALIKE else "hedge" if spared > 0 else "risk"


def alert_of(found: OptionsFound) -> Decimal | None:
    """Return the health at which to act, in steps of 0.05 up; None where nothing is required.

    ``1 + fall ÷ requirement``: the fall of the surplus at the worst prices within :data:`SIGMAS` standard deviations of
    a day, read off the curves, so that what the requirement grows by on the way is in it.
    """
    if not found.required_advised:
        return None
    level = ONE + Decimal(f"{found.fall / float(found.required_advised):.6f}")
    called = _pool(found).levels.margin_call
    return min(HIGHEST, max(called, round_to(level, _STEP, rounding=ROUND_CEILING)))


def _pool(found: OptionsFound) -> Assessment:
    holding = found.trials.trials[-1].holding
    return next(a for _, a in holding.assessed(found.book.marks, found.book.rulebook) if not a.pool.isolated)


# ── Position by position ─────────────────────────────────────────────────────────────────────────────────────────


def verdicts(advice: Advice, found: OptionsFound) -> tuple[Verdict, ...]:
    """Return a verdict per position, in the order of the book: keep, reduce or close."""
    pairs = zip(found.book.positions, found.parts, strict=True)
    return tuple(_verdict(advice, found, position, part) for position, part in pairs)


def _verdict(advice: Advice, found: OptionsFound, position: Position, part: Part) -> Verdict:
    size = abs(position.quantity)
    if not part.close:
        verdict, how = "keep", "portfolio account"
    elif part.close < size:
        verdict, how = "reduce", f"close {plain(part.close)} of {plain(size)}, the rest in the portfolio account"
    else:
        verdict, how = "close", f"close all {plain(size)}"
    reasons = (*_paths(advice, found, part), *_requirement(found, part), *_nature(advice, position))
    return Verdict(position.symbol, position.side, verdict, how, None, MAIN, bool(part.close), reasons)


def _requirement(found: OptionsFound, part: Part) -> Iterator[str]:
    hedge = part.hedge
    if part.required is not None:
        more = part.required - found.required
        does = "it lowers what must be held" if more > 0 else "it raises what must be held" if more else "all the same"
        yield f"The requirement is {_money(found.required)} with it and {_money(part.required)} without it: {does}."
    if hedge is not None:
        adds = f"adds {_money(hedge.added)}" if hedge.added >= 0 else f"takes {_money(-hedge.added)} off"
        yield (
            f"Alone it would need {_money(hedge.alone)}; in the book it {adds}: the others spare it "
            f"{_money(hedge.saved)}."
        )
        settled = _settled(found, part, hedge)
        if _money(abs(settled)) != _money(ZERO):
            does = "raises" if settled > 0 else "lowers"
            yield f"What closing it settles in the wallet {does} the requirement by {_money(abs(settled))} besides."
    else:
        yield "What it would need alone cannot be said: this venue's rules have no scenarios to say it by."


@exact
def _settled(found: OptionsFound, part: Part, hedge: Hedge) -> Value:
    """Return by how much more is required without a position than taking it out alone says: coins that come and go."""
    return ZERO if part.required is None else part.required - (found.required - hedge.added)


def _paths(advice: Advice, found: OptionsFound, part: Part) -> Iterator[str]:
    if part.liquidated is None or part.worst is None:
        yield f"What the book would be without it is not said: the venue refuses to close it ({part.refused})."
        return
    given = found.trials.trials[0]
    does = {
        "hedge": "It protects the book",
        "risk": "It is a risk to the book",
        "neutral": "It changes little",
    }[role_of(found, part)]
    yield (
        f"{does}: without it the account is liquidated on {chance(part.liquidated)} of the paths, with it on "
        f"{chance(given.liquidated)}; worst twentieth {result(part.worst)} against {result(given.worst.share)}."
    )
    own = {past.window: float(past.kept) for past in advice.crashes.past if past.holding == given.holding.name}
    if own:
        window = max(own, key=lambda name: abs(own[name] - part.kept[name]))
        if round(own[window], 2) != round(part.kept[window], 2):
            yield (
                f"It matters most in {window}: from today's marks {own[window]:.0%} of the balance is kept with it, "
                f"{part.kept[window]:.0%} without it."
            )


def _nature(advice: Advice, position: Position) -> Iterator[str]:
    contract = advice.book.rulebook.contract(position.symbol)
    if not contract.option:
        return
    if position.quantity > 0:
        yield "A bought option loses at most what it is worth; that shrinks with every day, which no path here shows."
    else:
        yield "A sold option can lose many times what it brought, and loses it faster the further the price runs."
    left = _days_left(advice, position)
    if left is not None and left <= advice.outlook.days:
        yield f"It expires in {left:.1f} days, within the {advice.outlook.days} simulated: on no path does it."


def _days_left(advice: Advice, position: Position) -> float | None:
    contract, risk = advice.book.rulebook.contract(position.symbol), advice.given.risk
    if contract.expiry is None or risk is None or risk.time is None:
        return None
    return (contract.expiry - risk.time).total_seconds() / 86_400


# ── The account as a whole ───────────────────────────────────────────────────────────────────────────────────────


def account_wide(advice: Advice, found: OptionsFound) -> tuple[str, ...]:
    """Return what holds for the whole account, in sentences."""
    return tuple(_account_wide(advice, found))


def _account_wide(advice: Advice, found: OptionsFound) -> Iterator[str]:
    title, capital = advice.book.rulebook.title, found.trials.capital
    yield (
        f"{title}: {found.why}. All of it is one pool: nothing of this book can be ring-fenced but by another account, "
        "which would lose what its hedges spare it. The question is what of it to hold."
    )
    given = found.trials.trials[0]
    yield (
        f"As it stands the account is liquidated on {chance(given.liquidated)} of the paths; worst twentieth "
        f"{result(given.worst.share)}."
    )
    if given.liquidated.share == 1:
        yield "Where every path ends so, what a single position does shows in the requirement only."
    if found.needed <= capital:
        yield (
            f"{dollars(found.needed)} of balance outlast {_SAFE} of the paths, and there are {dollars(capital)}: "
            "the rest may stay outside as a reserve."
        )
    else:
        yield (
            f"{dollars(found.needed)} of balance would outlast {_SAFE} of the paths, and there are "
            f"{dollars(capital)}: deposit {dollars(found.needed - capital)}, or make the book smaller as said below."
        )
    yield from _bare(found)
    yield from _shocks(found)
    yield from _worst_window(advice)
    if advice.circumstances.experience == "new" and found.options:
        yield (
            "You are new to this: buy options only, or none, until three months have gone well; a sold one has no "
            "largest loss (ours)."
        )
    if advice.circumstances.purpose == "bot" or "bot" in advice.circumstances.purposes.values():
        yield WATCHER


def _bare(found: OptionsFound) -> Iterator[str]:
    """Say what the options do as a whole."""
    from ringfence.study.advice.options import BARE

    trial = next((trial for trial in found.trials.trials if trial.holding.name == BARE), None)
    if trial is None:
        return
    given = found.trials.trials[0]
    yield (
        f"The options as a whole: without any of them the rest is liquidated on {chance(trial.liquidated)} of the "
        f"paths instead of {chance(given.liquidated)}, worst twentieth {result(trial.worst.share)} instead of "
        f"{result(given.worst.share)}."
    )


def _shocks(found: OptionsFound) -> Iterator[str]:
    if not found.shocks:
        return
    said = [f"{ratio(s.health)} at {s.factor} times them{' (liquidatable)' if s.liquidatable else ''}" for s in
            found.shocks]  # fmt: skip
    yield f"Implied volatilities alone, prices where they are: health {listed(said)}. `ringfence stress` shows more."


def _worst_window(advice: Advice) -> Iterator[str]:
    own = [past for past in advice.crashes.past if past.holding == advice.chosen]
    if own:
        worst = min(own, key=lambda past: past.kept)
        others = [past for past in advice.crashes.past if past.window == worst.window and past is not worst]
        against = listed([f"{past.kept:.0%} {past.holding}" for past in others])
        yield (
            f"Through {worst.window} from today's marks, nobody acting and volatility as it is, {worst.kept:.0%} is "
            f"kept as advised, against {against}."
        )


def steps(advice: Advice, found: OptionsFound, name: str) -> tuple[str, ...]:
    """Return what to do, in order. ``name``: of the account file, for commands."""
    return tuple(_steps(advice, found, name))


def _steps(advice: Advice, found: OptionsFound, name: str) -> Iterator[str]:
    capital = found.trials.capital
    closing = [(p, part) for p, part in zip(found.book.positions, found.parts, strict=True) if part.close]
    for position, part in sorted(closing, key=lambda item: item[1].turn):
        yield f"{position.symbol} {position.side}: close {plain(part.close)} of {plain(abs(position.quantity))}."
    if closing:
        rest = found.trials.trials[-1].liquidated
        if rest.share <= 1 - SAFE:
            yield f"Or deposit {dollars(found.needed - capital)} instead: either outlasts {_SAFE} of the paths."
        else:
            more = dollars(max(0.0, found.needed_advised - capital))
            yield f"It is then still liquidated on {chance(rest)} of the paths: deposit {more} as well."
    elif found.needed > capital:
        yield (
            f"Deposit {dollars(found.needed - capital)}: closing one position after the other, as far as that was "
            f"tried, does not make liquidation rarer. `ringfence rescue {name}` says how much of every position to "
            "close instead."
        )
    else:
        yield f"Nothing has to be closed: the account outlasts {_SAFE} of the paths as it stands."
    level, pool = alert_of(found), _pool(found)
    if level is not None and pool.health is not None:
        low = " It is there now: act today." if pool.health <= level else ""
        yield (
            f"{pool.pool.name}: act when health falls to {plain(level)} (now {ratio(pool.health)}; below that, prices "
            f"within {SIGMAS:g} σ of a day can liquidate it).{low} `ringfence rescue {name} --health {plain(level)}` "
            "lists the ways."
        )
    ends = sorted((left, p.symbol) for p in found.book.positions if (left := _days_left(advice, p)) is not None)
    if ends:
        left, symbol = ends[0]
        yield f"{symbol} ends in {left:.1f} days: ask again before. What it hedges stands bare from then on."


# ── What is not known ────────────────────────────────────────────────────────────────────────────────────────────


def unknown(advice: Advice, found: OptionsFound) -> tuple[str, ...]:
    """Return what advice on options does not know, in sentences."""
    volatility = (
        "how implied volatility moves with prices: on every path it stays; where it rises in a crash, options sold "
        "lose and options bought gain more than said here"
    )
    time = (
        "time: options are as far from expiry at the end of a path as at its start, so what they lose by the day "
        "(bought) or bring (sold) is left out: bought ones look better and sold ones worse than they are; none expires"
    )
    smile = "the smile: each option keeps its own implied volatility wherever the price goes"
    cost = "what it costs to close: marks are taken, and options are often traded far from them"
    said = [volatility, time, smile, cost] if found.options else []
    if len({contract.expiry for contract in map(advice.book.rulebook.contract, _symbols(found))}) > 1:
        said.append("the basis: all contracts of a coin move by the same share, so a calendar spread hardly moves")
    told = advice.circumstances
    if told.purpose in {"testing", "bot"} or {"testing", "bot"} & set(told.purposes.values()):
        said.append("what a sub-account would be worth for a test or a bot: it was not tried for a book with options")
    return tuple(said)


def _symbols(found: OptionsFound) -> list[str]:
    return [position.symbol for position in found.book.positions]


def assumptions(advice: Advice, found: OptionsFound) -> tuple[str, ...]:
    """Return what was assumed, in sentences."""
    look, checked = advice.outlook, found.trials.agreement
    moved = listed([f"{coin} as {symbol}" for coin, symbol in found.leading.items()])
    clamped = f"; {found.clamped:.2%} of the points are beyond them, the last one stands there" if found.clamped else ""
    assessed = [a for _, a in found.trials.trials[0].holding.assessed(advice.book.marks, advice.book.rulebook)]
    windows = f"{len(advice.crashes.counted)} windows in {YEARS:g} years"
    simulated = (
        f"simulated: {look.paths:,} paths of {look.days} days in steps of {1440 // look.steps} min, Student t with "
        f"{look.tail:g} degrees of freedom by the day, no drift, seed {look.seed}; one price per coin: {moved}"
    )
    taken = "nobody acts on the way; an account at its requirement at the end of a step is taken over, nothing is left"
    closed = (
        "closed at the mark, for the taker fee where it is known; a position is closed only where the account would be "
        f"liquidated on more than {1 - SAFE:.0%} of the paths: looked for is the smallest way, of at most {STEPS} "
        "steps that close a position or half of it (not every combination is tried; ours). A deposit is taken as cash "
        "in dollars, which does not move with the book"
    )
    worth = (
        f"worth: mean logarithm of what is left, at least {FLOOR:.0%} of the capital, less {CHARGE:g} where it is "
        f"liquidated, with past crashes weighed at {advice.crash_chance:.1%} ({windows}); ours"
    )
    floats = (
        f"requirement and value are read off curves of exact points, in floats{clamped}; of {checked.looks:,} points "
        f"looked at exactly {checked.same:,} said the same (largest difference {checked.difference:.0e} of the "
        "requirement)"
    )
    return (*advice.notes, simulated, taken, closed, worth, floats, *portfolio_summary(assessed))


def _money(value: Value) -> str:
    return fixed(value, 2)


__all__ = ["WATCHER", "account_wide", "alert_of", "assumptions", "role_of", "steps", "unknown", "verdicts"]
