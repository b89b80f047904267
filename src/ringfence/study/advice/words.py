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
from ringfence.study.advice.beginning import CEILING, STAKE, smaller
from ringfence.study.advice.crashes import YEARS
from ringfence.study.advice.groups import dated
from ringfence.study.advice.holding import MAIN
from ringfence.study.advice.trials import CHARGE, FLOOR
from ringfence.study.advice.verdict import Verdict
from ringfence.study.wording import amount, fixed, listed, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.numbers import Value
    from ringfence.study.advice.advise import Advice, Role, Turned
    from ringfence.study.advice.trials import Chance

NO_ADVICE = (
    "This is arithmetic on assumptions, not financial advice: what you do with it is your own decision and risk."
)


def verdicts(advice: Advice) -> tuple[Verdict, ...]:
    """Return a verdict per position, in the order of the book."""
    if advice.options is not None:
        return option_words.verdicts(advice, advice.options)
    return tuple(_verdict(advice, index) for index in range(len(advice.book.positions)))


def _verdict(advice: Advice, index: int) -> Verdict:
    position, place = advice.book.positions[index], advice.holding.places[index]
    asset = advice.book.asset(position)
    main = advice.holding.accounts[MAIN].collateral_mode
    given = advice.given.positions[index]
    if place.kind == "sub_account":
        funds = listed([amount(v, a) for (name, a), v in advice.holding.moved.items() if name == place.name])
        how, verdict = f"sub-account “{place.name}” with {funds}", "ring-fence"
    elif place.kind == "isolated":
        how, verdict = f"isolated with {amount(place.margin or ZERO, asset)}", "ring-fence"
    elif main is not CollateralMode.SINGLE_ASSET:
        how, verdict = f"{main.value.replace('_', '-')} account", "pool"
    else:
        how, verdict = f"cross {asset}", "pool"
    kept = place.kind != "sub_account" and place.margin == given.isolated_margin
    kept = kept and main is advice.given.collateral_mode
    return Verdict(
        position.symbol, position.side, verdict, how, place.margin, place.name, not kept, tuple(_reasons(advice, index))
    )


# ── Reasons ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _reasons(advice: Advice, index: int) -> Iterator[str]:
    role = advice.roles[index]
    why = advice.fixed.get(index)
    if why is not None:
        yield _circumstance(why)
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


def _in_basket(advice: Advice, index: int) -> Iterator[str]:
    """Say what one pool over all assets is worth against pools by asset."""
    apart = next((t for t in advice.trials.trials if t.holding.name in {"all cross", "as given"}), None)
    own = advice.trial(advice.chosen)
    asset = advice.book.asset(advice.book.positions[index])
    if apart is None or apart.holding.accounts[MAIN].collateral_mode is not CollateralMode.SINGLE_ASSET:
        return
    yield (
        f"It is settled in {asset}. With a pool per asset it is liquidated on {_c(apart.by_position[index])} of the "
        f"paths, in one account over all assets on {_c(own.by_position[index])}: a gain in another asset then stands "
        "behind a loss in this one."
    )


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
        yield f"A long shot: {_times(role.leverage)} on a small coin that moves {role.sigma:.1%} a day (1 σ)."
    elif role.kind == "calm":
        yield f"Low leverage on a major coin: {_times(role.leverage)}, {role.sigma:.1%} a day (1 σ)."
    else:
        times = "no leverage given" if role.leverage is None else _times(role.leverage)
        yield f"{times} on {symbol}, which moves {role.sigma:.1%} a day (1 σ)."
    if role.alone is not None and role.initial is not None:
        asset = advice.book.asset(advice.book.positions[index])
        yield (
            f"Alone on its initial margin of {amount(role.initial, asset)} it is liquidated on {role.alone:.1%} of the "
            f"paths; {amount(role.comfortable, asset)} brings that to 5 %{_ceiling(advice, index, role)}."
        )


def _ceiling(advice: Advice, index: int, role: Role) -> str:
    """Return the leverage that a comfortable margin is, where it is one."""
    position = advice.book.positions[index]
    contract = advice.book.rulebook.contract(position.symbol)
    value = abs(position.quantity) * contract.contract_value(position.entry_price)
    if role.comfortable <= 0 or value <= role.comfortable:
        return ""
    return f", a leverage of {float(value / role.comfortable):.1f}×"


def _hedge(advice: Advice, index: int, role: Role) -> str:
    assert role.group is not None  # noqa: S101 - asked before
    group = advice.groups[role.group]
    others = [advice.book.positions[i] for i in group.members if i != index]
    named = listed([f"{p.symbol} {p.side}" for p in others])
    said = {
        "calendar spread": f"A calendar spread with {named}",
        "hedge": f"It hedges {named}, delta-neutral or nearly",
        "partial hedge": f"It is hedged in part by, or hedges, {named}",
        "hedge across assets": f"It hedges {named}, which is settled in another asset",
    }[group.kind]
    apart = fixed(Decimal(f"{max(group.alone):.2f}"), 0)
    common = fixed(Decimal(f"{group.together:.2f}"), 0)
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
            f"Isolated instead, it is liquidated on {_c(other.by_position[index])} of the paths{bare}; pooled on "
            f"{_c(own.by_position[index])}. The rest of the book: {_c(other.rest[index])} against "
            f"{_c(own.rest[index])}."
        )
    else:
        yield (
            f"Pooled with everything else in {asset} instead, the rest of the book is liquidated on "
            f"{_c(other.rest[index])} of the paths; with it ring-fenced on {_c(own.rest[index])}. Itself: "
            f"{_c(other.by_position[index])} against {_c(own.by_position[index])}."
        )
    gain = advice.scores[advice.chosen].share - advice.scores[other.holding.name].share
    worse = f"Worst twentieth of the paths: {_r(own.worst)} as advised, {_r(other.worst)} {turned.to}"
    yield f"{worse}; past crashes weighed in, advised is worth {_signed(gain)} of the capital against that."


def _c(chance: Chance) -> str:
    return f"{chance.share:.1%} ± {chance.error:.1%}"


def _r(result: Chance) -> str:
    return f"{result.share:+.1%}".replace("-", "−")


def _signed(share: float) -> str:
    text = f"{share:+.2%}"
    return "0.00%" if not text.strip("+-0.%") else text.replace("-", "−")


def _times(leverage: Decimal | None) -> str:
    return "unknown leverage" if leverage is None else f"{plain(leverage)}×"


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


# ── The account as a whole ───────────────────────────────────────────────────────────────────────────────────────


def account_wide(advice: Advice) -> tuple[str, ...]:
    """Return what holds for the whole account, in sentences."""
    if advice.options is not None:
        return option_words.account_wide(advice, advice.options)
    return tuple(_account_wide(advice))


def _account_wide(advice: Advice) -> Iterator[str]:
    gross = sum(abs(role.exposure) for role in advice.roles)
    capital = advice.trials.capital
    yield f"All positions together are {gross / capital:.1f} times the capital of {_dollars(capital)}."
    if advice.needed is not None:
        if advice.needed <= capital:
            yield (
                f"Pooled, the book outlasts 95 % of the paths on {_dollars(advice.needed)}: what is above that may "
                "stay outside as a reserve."
            )
        else:
            yield (
                f"Pooled, the book needs {_dollars(advice.needed)} to outlast 95 % of the paths: deposit "
                f"{_dollars(advice.needed - capital)}, or hold at most {capital / advice.needed:.0%} of the sizes."
            )
    yield from _worst_window(advice)
    yield from _portfolio_margin(advice)
    if len({advice.book.asset(p) for p in advice.book.positions}) > 1:
        yield from _several_assets(advice)
    if any(dated(p.symbol) for p in advice.book.positions):
        yield "A dated contract ends: roll both legs of a spread together, or one of them stands bare after delivery."
    yield from _by_circumstance(advice)


def _worst_window(advice: Advice) -> Iterator[str]:
    """Say what the worst past window leaves under each way."""
    own = [past for past in advice.crashes.past if past.holding == advice.chosen]
    if not own:
        return
    worst = min(own, key=lambda past: past.kept)
    others = [past for past in advice.crashes.past if past.window == worst.window and past.holding != advice.chosen]
    listing = listed([f"{past.kept:.0%} {past.holding}" for past in others])
    against = f", against {listing}" if others else ""
    yield f"Through {worst.window} from today's marks, nobody acting, {worst.kept:.0%} is kept as advised{against}."


def _several_assets(advice: Advice) -> Iterator[str]:
    names = {trial.holding.name for trial in advice.trials.trials}
    missing = dict(advice.unavailable).get("multi-asset")
    given = advice.given.collateral_mode is CollateralMode.MULTI_ASSET
    if given:
        yield "It is a multi-asset account: its assets stand behind one another, after their haircuts."
    elif "multi-asset" in names:
        trial = advice.trial("multi-asset")
        yield (
            f"One multi-asset account would be liquidated on {_c(trial.liquidated)} of the paths, worst twentieth "
            f"{_r(trial.worst)}: there the assets stand behind one another, after their haircuts."
        )
    elif missing is not None:
        yield f"A multi-asset account could not be tried: {missing}."
    else:
        yield (
            "Coin-margined and dollar-margined positions are separate pools here: keep both funded, or hold the hedge "
            "where one account takes both as collateral."
        )


def _portfolio_margin(advice: Advice) -> Iterator[str]:
    """Say what portfolio margin would be, and what the venue asks for it."""
    trial = next((t for t in advice.trials.trials if t.holding.name == "portfolio"), None)
    if trial is None:
        return
    asks = next((o.reason for o in advice.book.rulebook.architectures() if o.name == "portfolio" and o.reason), "")
    used = listed([f"{fixed(value, 2)} {'' if asset == 'account' else asset}".strip() for asset, value in
                   trial.used.items()])  # fmt: skip
    condition = f" The venue asks for: {asks}." if asks else ""
    yield (
        f"Portfolio margin would need {used} as initial margin, and be liquidated on {_c(trial.liquidated)} of the "
        f"paths, worst twentieth {_r(trial.worst)}: what it frees tempts to hold more.{condition}"
    )


def _by_circumstance(advice: Advice) -> Iterator[str]:
    told = advice.circumstances
    if told.purpose == "hedging" and len(advice.groups) != 1:
        found = "nothing of it hedges anything" if not advice.groups else "its hedges do not hang together"
        yield f"You hold this to hedge, and {found}: what offsets what is held elsewhere is not seen here."
    if told.experience == "new":
        over = [
            f"{p.symbol} {_times(r.leverage)} → {CEILING[r.coin]}×"
            for p, r in zip(advice.book.positions, advice.roles, strict=True)
            if r.leverage is not None and r.leverage > CEILING[r.coin]
        ]
        yield "Leverage ceilings for a beginning (ours): 5× on bitcoin and ether, 3× on majors, 2× on small coins" + (
            f"; here that is {listed(over)}." if over else "; this book keeps them."
        )
        stake = percent(STAKE["new"], 0)
        yield f"Stake at most {stake} of the capital on one position until three months have gone well (ours)."
        if smaller(advice):
            yield (
                f"The row “{advice.chosen}”, its margins and its fees hold the sizes as they are: the smaller stake is "
                "not simulated. Ask again with the smaller sizes."
            )
    if told.purpose == "bot" or "bot" in told.purposes.values():
        yield option_words.WATCHER


def _dollars(value: float) -> str:
    return f"{fixed(Decimal(f'{value:.2f}'), 0)} $"


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
        "fees, funding, slippage and gaps on the way; the venue's own partial liquidation, which may leave something",
        "whether the venue offers sub-accounts to you, what it does in a crash, and whether it is there afterwards",
    ]
    if advice.given.orders:
        said.append("what your open orders would do: they are left out")
    if advice.options is not None:
        said = [*option_words.unknown(advice, advice.options), *said]
    return tuple(said)


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


__all__ = ["CEILING", "NO_ADVICE", "STAKE", "Verdict", "account_wide", "assumptions", "at_stake", "share_of_capital",
           "unknown", "verdicts"]  # fmt: skip
