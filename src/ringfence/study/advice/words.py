"""What advice says: a verdict per position with its reasons, what holds for the account, and what is not known.

Every sentence is made from the figures of an :class:`~ringfence.study.advice.advise.Advice`; nothing is decided here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.account import CollateralMode, pools
from ringfence.margin.assess import assess
from ringfence.numbers import ZERO, plain
from ringfence.study.advice import option_words
from ringfence.study.advice.account_words import account_wide
from ringfence.study.advice.crashes import YEARS
from ringfence.study.advice.desk import GAP, GIVEN, SAFE, SMALLER
from ringfence.study.advice.figures import chance, result, times, worth
from ringfence.study.advice.holding import MAIN
from ringfence.study.advice.moves import class_of
from ringfence.study.advice.search import FENCE
from ringfence.study.advice.stake import CEILING, STAKE
from ringfence.study.advice.trials import CHARGE, FLOOR
from ringfence.study.advice.verdict import Verdict
from ringfence.study.wording import amount, fixed, listed, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.numbers import Value
    from ringfence.study.advice.advise import Advice, Role, Turned
    from ringfence.study.advice.stake import Closing

NO_ADVICE = (
    "This is arithmetic on assumptions, not financial advice: what you do with it is your own decision and risk."
)


def verdicts(advice: Advice) -> tuple[Verdict, ...]:
    """Return a verdict per position, in the order of the book; those of which nothing is to be left come last."""
    if advice.options is not None:
        return option_words.verdicts(advice, advice.options)
    kept = tuple(_verdict(advice, index) for index in range(len(advice.book.positions)))
    return (*kept, *(_closed(closing) for closing in advice.closings if not closing.left))


def _verdict(advice: Advice, index: int) -> Verdict:
    position, place = advice.book.positions[index], advice.holding.places[index]
    asset = advice.book.asset(position)
    main = advice.holding.accounts[MAIN].collateral_mode
    given, closing = advice.as_now(index), advice.closing(index)
    if place.kind == "sub_account":
        funds = listed([amount(v, a) for (name, a), v in advice.holding.moved.items() if name == place.name])
        how, verdict = f"sub-account “{place.name}” with {funds}", "ring-fence"
    elif place.kind == "isolated":
        how, verdict = f"isolated with {amount(place.margin or ZERO, asset)}", "ring-fence"
    elif main is not CollateralMode.SINGLE_ASSET:
        how, verdict = f"{main.value.replace('_', '-')} account", "pool"
    else:
        how, verdict = f"cross {asset}", "pool"
    if closing is not None:
        how = f"{plain(closing.left)} of {plain(abs(given.quantity))}, {how}"
    kept = place.kind != "sub_account" and place.margin == given.isolated_margin
    kept = kept and main is advice.given.collateral_mode and closing is None and position.leverage == given.leverage
    return Verdict(
        position.symbol, position.side, verdict, how, place.margin, place.name, not kept,
        tuple(_reasons(advice, index)), "circumstances" if index in advice.fixed else "evidence",
    )  # fmt: skip


def _closed(closing: Closing) -> Verdict:
    """Return the verdict on a position of which nothing is to be left."""
    position, stake = closing.position, percent(STAKE["new"], 0)
    ceiling = CEILING[class_of(position.symbol)]
    if closing.least:
        why = (
            f"The venue's smallest order is {plain(closing.least)} {position.symbol}: more than {stake} of the capital "
            f"can hold at {min(ceiling, position.leverage or ceiling)}×."
        )
    else:
        why = f"Not one lot of it fits into {stake} of the capital, or it hedges a position of which none does."
    reasons = (_circumstance("new"), why, "With more capital, or at a venue with smaller orders, it may be held again.")
    size = plain(abs(position.quantity))
    return Verdict(
        position.symbol, position.side, "close", f"all {size}", None, MAIN, changed=True, reasons=reasons,
        decided="circumstances",
    )  # fmt: skip


# ── Reasons ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _reasons(advice: Advice, index: int) -> Iterator[str]:
    role = advice.roles[index]
    why = advice.fixed.get(index)
    if why is not None:
        yield _circumstance(why)
    closing = advice.closing(index)
    if closing is not None:
        yield _made_smaller(advice, index, closing)
    yield from _role(advice, index, role)
    turned = next((item for item in advice.turned if item.position == index), None)
    if turned is not None:
        yield from _turned(advice, turned)
    place = advice.holding.places[index]
    if place.kind == "isolated" and place.margin is not None:
        share, gain = at_stake(advice, index)
        text = f"At most its margin{_and_gain(gain)} can be lost: {percent(share)} of the capital"
        limit = STAKE[advice.circumstances.experience]
        yield f"{text}, more than the {percent(limit, 0)} we would stake." if share > limit else f"{text}."
    if advice.holding.accounts[MAIN].collateral_mode is not CollateralMode.SINGLE_ASSET:
        yield from _in_basket(advice, index)
    others = {advice.book.asset(p) for p in advice.book.positions} - {advice.book.asset(advice.book.positions[index])}
    if others and place.kind == "cross" and advice.holding.accounts[MAIN].collateral_mode is (
        CollateralMode.SINGLE_ASSET
    ):  # fmt: skip
        own = advice.book.asset(advice.book.positions[index])
        yield (
            f"It is settled in {own}: cross margin pools by settlement asset, so a gain in {listed(sorted(others))} "
            f"does not keep it alive, nor a loss there endanger it."
        )


def _made_smaller(advice: Advice, index: int, closing: Closing) -> str:
    """Say how much is to be closed and why."""
    role = advice.roles[index]
    text = f"Close {plain(closing.size)} of {plain(closing.size + closing.left)}: at {times(role.leverage)} "
    hedged = ", every leg of the hedge by the same share" if role.group is not None else ""
    return f"{text}what is left puts at most {percent(STAKE['new'], 0)} of the capital at stake{hedged}."


def _in_basket(advice: Advice, index: int) -> Iterator[str]:
    """Say what one pool over all assets is worth against pools by asset."""
    apart = next((t for t in advice.trials.trials if t.holding.name in {"all cross", _as_now(advice)}), None)
    own = advice.trial(advice.chosen)
    asset = advice.book.asset(advice.book.positions[index])
    if apart is None or apart.holding.accounts[MAIN].collateral_mode is not CollateralMode.SINGLE_ASSET:
        return
    yield (
        f"It is settled in {asset}. With a pool per asset it is liquidated on {chance(apart.by_position[index])} of "
        f"the paths, in one account over all assets on {chance(own.by_position[index])}: a gain in another asset then "
        "stands behind a loss in this one."
    )


def _as_now(advice: Advice) -> str:
    """Return the name of the way in which the book that is judged is held as now."""
    return SMALLER if advice.after is not None else GIVEN


def _circumstance(why: str) -> str:
    said = {
        "new": "You are new to this: ring-fenced by default, so that one mistake costs its margin and no more.",
        "new, hedged": "You are new to this, and these legs hedge one another: an account of their own keeps them "
        "together and everything else out of reach.",
        "testing": "A strategy under test gets an account of its own: what it may lose is decided before it runs, and "
        "its record is its own.",
        "bot": "A bot gets an account of its own: a fault in it, or a leaked key, reaches what is there and no more.",
        "testing the whole account": "The whole account is a test: a sub-account with this much, the rest out of "
        "reach.",
        "bot the whole account": "The whole account is run by a bot: a sub-account with this much and a key that "
        "cannot withdraw, the rest out of reach.",
    }  # fmt: skip
    return said[why]


def _role(advice: Advice, index: int, role: Role) -> Iterator[str]:
    symbol = advice.book.positions[index].symbol
    if role.group is not None:
        yield _hedge(advice, index, role)
    elif role.kind == "long shot":
        yield from _long_shot(advice, index, role)
    elif role.kind == "calm":
        yield f"Low leverage on a major coin: {_now_times(advice, index)}, {role.sigma:.1%} a day (1 σ)."
    else:
        times = "No leverage given" if role.leverage is None else _now_times(advice, index)
        yield f"{times} on {symbol}, which moves {role.sigma:.1%} a day (1 σ)."
    if role.alone is not None and role.initial is not None:
        asset = advice.book.asset(advice.book.positions[index])
        yield (
            f"Alone on its initial margin of {amount(role.initial, asset)} it is liquidated on {role.alone:.1%} of "
            f"the paths; on {amount(role.comfortable, asset)}{_ceiling(advice, index, role)} it outlasts {SAFE:.0%}."
        )


def _long_shot(advice: Advice, index: int, role: Role) -> Iterator[str]:
    """Say what a long shot can take with it: its tail, its stake, and what a gap takes of a pool."""
    yield f"A long shot: {times(role.leverage)} on a small coin that moves {role.sigma:.1%} a day (1 σ)."
    held = advice.as_left(index).isolated_margin
    margin = role.initial if held is None else held
    if margin is None:
        return
    asset = advice.book.asset(advice.book.positions[index])
    stake, gap = share_of_capital(advice, index, margin), float(GAP) * abs(role.exposure) / advice.trials.capital
    multiple = f", {gap / float(stake):.0f} times as much" if stake else ""
    pooled = "all of the capital and more" if gap > 1 else f"{gap:.1%} of the capital{multiple}"
    yield (
        f"How far such a coin gaps no path here knows. Behind its own margin it can lose that, {amount(margin, asset)} "
        f"or {percent(stake)} of the capital; in the pool a gap by {percent(GAP, 0)} takes {pooled}, from what stands "
        "behind the rest."
    )
    turned = next((item.trial for item in advice.turned if item.position == index), None)
    if turned is None or index in advice.fixed:
        return
    gain = advice.scores[advice.chosen].share - advice.scores[turned.holding.name].share
    if advice.holding.places[index].kind == "cross":
        yield "It is pooled all the same, for that is clearly worth more (below)."
    elif gain < 0:
        yield f"Pooled is worth {worth(-gain)} more on what is known, too little for a tail that is not ({FENCE:.0%})."


def _ceiling(advice: Advice, index: int, role: Role) -> str:
    """Return the leverage that a comfortable margin is, where it is one."""
    position = advice.book.positions[index]
    contract = advice.book.rulebook.contract(position.symbol)
    value = abs(position.quantity) * contract.contract_value(position.entry_price)
    if role.comfortable <= 0 or value <= role.comfortable:
        return ""
    return f", a leverage of {float(value / role.comfortable):.1f}×,"


def _hedge(advice: Advice, index: int, role: Role) -> str:
    assert role.group is not None  # noqa: S101 - asked before
    group = advice.groups[role.group]
    others = [advice.book.positions[i] for i in group.members if i != index]
    against = [p for p in others if p.side != advice.book.positions[index].side] or others
    beside = [f"{p.symbol} {p.side}" for p in others if p not in against]
    named = listed([f"{p.symbol} {p.side}" for p in against])
    said = {
        "calendar spread": f"A calendar spread with {named}",
        "hedge": f"It hedges {named}, delta-neutral or nearly",
        "partial hedge": f"It is hedged in part by, or hedges, {named}",
        "hedge across assets": f"It hedges {named}, which is settled in another asset",
    }[group.kind]
    apart = fixed(Decimal(f"{max(group.alone):.2f}"), 0)
    common = fixed(Decimal(f"{group.together:.2f}"), 0)
    if beside:
        said += f", beside {listed(beside)}"
    return (
        f"{said}: a day's standard deviation is {common} $ together, against {apart} $ for the wildest leg "
        f"(correlation of their PnL {fixed(Decimal(f'{group.correlation:.4f}'), 2)})."
    )


def _turned(advice: Advice, turned: Turned) -> Iterator[str]:
    index, other, own = turned.position, turned.trial, advice.trial(advice.chosen)
    if other is None:
        yield f"It cannot be held {turned.to} as well: the capital does not reach for that."
        return
    asset = advice.book.asset(advice.book.positions[index])
    if turned.to == "isolated":
        hedge = advice.roles[index].group is not None
        bare = ", and leaves its hedge bare" if hedge else ""
        yield (
            f"Isolated instead, it is liquidated on {chance(other.by_position[index])} of the paths{bare}; pooled on "
            f"{chance(own.by_position[index])}. The rest of the book: {chance(other.rest[index])} against "
            f"{chance(own.rest[index])}."
        )
    else:
        yield (
            f"Pooled with everything else in {asset} instead, the rest of the book is liquidated on "
            f"{chance(other.rest[index])} of the paths; with it ring-fenced on {chance(own.rest[index])}. Itself: "
            f"{chance(other.by_position[index])} against {chance(own.by_position[index])}."
        )
    gain = advice.scores[advice.chosen].share - advice.scores[other.holding.name].share
    worse = (
        f"Worst twentieth of the paths: {result(own.worst.share)} as advised, {result(other.worst.share)} {turned.to}"
    )
    yield f"{worse}; past crashes weighed in, advised is worth {worth(gain)} of the capital against that."


def _now_times(advice: Advice, index: int) -> str:
    """Return the leverage of a position, beside the one it has now where that is another."""
    own, now = advice.book.positions[index].leverage, advice.as_now(index).leverage
    return times(own) if own == now else f"{times(own)} ({'none given' if now is None else f'now {times(now)}'})"


def at_stake(advice: Advice, index: int) -> tuple[Decimal, Value]:
    """Return what an isolated position can still lose as a share of the capital, and its unrealised PnL.

    That is its margin and its PnL, in dollars at the marks: never below 0.
    """
    position = advice.book.positions[index]
    pool = next(
        pool
        for pool in pools(advice.holding.accounts[MAIN], advice.book.rulebook.contract)
        if pool.isolated and any((p.symbol, p.side) == (position.symbol, position.side) for p in pool.positions)
    )
    found = assess(pool, advice.book.marks, advice.book.rulebook)
    balance = found.margin_balance or ZERO
    return share_of_capital(advice, index, max(balance, ZERO)), found.lines[0].unrealised_pnl


def _and_gain(gain: Value) -> str:
    return "" if not gain else " and its gain" if gain > 0 else ", less its loss so far,"


def share_of_capital(advice: Advice, index: int, margin: Value) -> Decimal:
    """Return a margin as a share of the capital, in dollars at the marks."""
    position, role = advice.book.positions[index], advice.roles[index]
    contract = advice.book.rulebook.contract(position.symbol)
    value = float(abs(position.quantity) * contract.contract_value(advice.book.marks[position.symbol]))
    price = abs(role.exposure) / value if value else 1.0
    return Decimal(f"{float(margin) * price / advice.trials.capital:.6f}")


def unknown(advice: Advice) -> tuple[str, ...]:
    """Return what the advice does not know, in sentences."""
    told = advice.circumstances
    said = []
    if told.experience is None:
        said.append("how experienced you are (--experience new|experienced): nothing was decided by it")
    if told.purpose is None and not told.purposes:
        said.append("what the account is for (--purpose trading|testing|bot|hedging): nothing was decided by it")
    said += [
        "what you hold elsewhere, what you can afford to lose, and whether you are there when it calls",
        "where prices go: paths have no drift, and yesterday's volatilities and correlations may not be tomorrow's",
        "funding, slippage, gaps and further fees; the venue's own partial liquidation, which may leave something",
        "whether the venue offers sub-accounts to you, what it does in a crash, and whether it is there afterwards",
    ]
    said += _unheard(advice)
    lots = [closing.position.symbol for closing in advice.closings if closing.left and not closing.lot_known]
    if lots:
        said.append(f"the lots of {listed(lots)}: what is left has three digits here, round it down to the venue's lot")
    if advice.given.orders:
        said.append("what your open orders would do: they are left out")
    if advice.options is not None:
        said = [*option_words.unknown(advice, advice.options), *said]
    return tuple(said)


def _unheard(advice: Advice) -> Iterator[str]:
    """Yield what is advised without it being known that the venue offers it."""
    rulebook = advice.book.rulebook
    before = {position.margin_mode.value for position in advice.given.positions}
    after = {place.kind for place in advice.holding.places}
    for offer in rulebook.architectures():
        if offer.offered is None and offer.name in after - before:
            yield f"whether {rulebook.name} offers {offer.name} margin: ask before you switch"


def assumptions(advice: Advice) -> tuple[str, ...]:
    """Return what was assumed, in sentences."""
    if advice.options is not None:
        return option_words.assumptions(advice, advice.options)
    look, trials = advice.outlook, advice.trials
    checked = trials.agreement + advice.crashes.agreement
    steps_of, other = 60 * 24 // look.steps, look.seed + 1_000_003
    simulated = (
        f"simulated: {look.paths:,} paths of {look.days} days in steps of {steps_of} min, Student t with {look.tail:g} "
        f"degrees of freedom by the day, no drift, seed {look.seed}; the search used others (seed {other})"
    )
    taken = (
        "nobody acts on the way; a pool at its requirement at the end of a step is taken over, nothing of it is left"
    )
    windows = f"{len(advice.crashes.counted)} windows in {YEARS:g} years"
    worth = (
        f"worth: mean logarithm of what is left, at least {FLOOR:.0%} of the capital, less {CHARGE:g} where "
        "anything but a ring-fenced long shot is liquidated, with past crashes weighed at "
        f"{advice.crash_chance:.1%} ({windows}); ours"
    )
    floats = (
        f"paths are computed in floats; of {checked.looks:,} pools looked at exactly {checked.same:,} said the same "
        f"(largest difference {checked.difference:.0e} of the requirement)"
    )
    return (*advice.notes, simulated, taken, worth, floats, *_portfolio(advice))


def _portfolio(advice: Advice) -> tuple[str, ...]:
    """Return which terms of portfolio margin are ours, where a way of holding the book stands on them."""
    rules = advice.book.rulebook.portfolio
    tried = {trial.holding.name for trial in advice.trials.trials}
    if rules is None or not (tried & {"portfolio"} or advice.given.collateral_mode is CollateralMode.PORTFOLIO):
        return ()
    named = ", ".join(name.replace("_", " ") for name in rules.assumptions)
    return (f"portfolio margin: ours, not the venue's: {named}; `ringfence assess` of such an account says each",)


__all__ = ["NO_ADVICE", "account_wide", "assumptions", "at_stake", "share_of_capital", "unknown",
           "verdicts"]  # fmt: skip
