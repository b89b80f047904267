"""What advice says of the account as a whole: size, need, past crashes, other kinds of account, a beginner's limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.account import CollateralMode
from ringfence.numbers import ZERO
from ringfence.study.advice import option_words
from ringfence.study.advice.desk import GIVEN
from ringfence.study.advice.figures import chance, dollars, result, times, used_share
from ringfence.study.advice.groups import dated
from ringfence.study.advice.moves import class_of
from ringfence.study.advice.stake import CEILING, STAKE
from ringfence.study.wording import amount, fixed, listed, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.numbers import Value
    from ringfence.study.advice.advise import Advice


def account_wide(advice: Advice) -> tuple[str, ...]:
    """Return what holds for the whole account, in sentences."""
    if advice.options is not None:
        return option_words.account_wide(advice, advice.options)
    return tuple(_account_wide(advice))


def _account_wide(advice: Advice) -> Iterator[str]:
    gross, now = sum(abs(role.exposure) for role in advice.roles), sum(abs(exposure) for exposure in advice.now)
    capital = advice.trials.capital
    before = f" (now {now / capital:.1f})" if advice.closings else ""
    yield f"All positions together are {gross / capital:.1f} times the capital of {dollars(capital)}{before}."
    if advice.after is not None:
        yield from _against_now(advice)
    if advice.needed is not None and advice.book.positions:
        if advice.needed <= capital:
            yield (
                f"Pooled, the book outlasts 95 % of the paths on {dollars(advice.needed)}: what is above that may "
                "stay outside as a reserve."
            )
        else:
            yield (
                f"Pooled, the book needs {dollars(advice.needed)} to outlast 95 % of the paths: deposit "
                f"{dollars(advice.needed - capital)}, or hold at most {capital / advice.needed:.0%} of the sizes."
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
            f"One multi-asset account would be liquidated on {chance(trial.liquidated)} of the paths, worst twentieth "
            f"{result(trial.worst.share)}: there the assets stand behind one another, after their haircuts."
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
        f"Portfolio margin would need {used} as initial margin, and be liquidated on {chance(trial.liquidated)} of the "
        f"paths, worst twentieth {result(trial.worst.share)}: what it frees tempts to hold more.{condition}"
    )


def _by_circumstance(advice: Advice) -> Iterator[str]:
    told = advice.circumstances
    if told.purpose == "hedging" and len(advice.groups) != 1:
        found = "nothing of it hedges anything" if not advice.groups else "its hedges do not hang together"
        yield f"You hold this to hedge, and {found}: what offsets what is held elsewhere is not seen here."
    if told.experience == "new":
        over = [
            f"{p.symbol} {times(p.leverage)} → {CEILING[class_of(p.symbol)]}×"
            for p in advice.given.positions
            if p.leverage is not None and p.leverage > CEILING[class_of(p.symbol)]
        ]
        yield "Leverage ceilings for a beginning (ours): 5× on bitcoin and ether, 3× on majors, 2× on small coins" + (
            f"; here that is {listed(over)}." if over else "; this book keeps them."
        )
        stake = percent(STAKE["new"], 0)
        yield f"Stake at most {stake} of the capital on one position until three months have gone well (ours)."
    if told.purpose == "bot" or "bot" in told.purposes.values():
        yield option_words.WATCHER


def _against_now(advice: Advice) -> Iterator[str]:
    """Say what the smaller book comes to beside the present one, and what getting there costs."""
    now, own = advice.trial(GIVEN), advice.trial(advice.chosen)
    shares = [used_share(advice, trial) for trial in (now, own)]
    once = " (one stake at a time)" if all(place.kind == "isolated" for place in advice.holding.places) else ""
    tied = ["" if share is None else f", with {share:.0%} of the capital as margin" for share in shares]
    yield (
        f"In its present sizes (“{GIVEN}”) something of it is liquidated on {chance(now.liquidated)} of the paths; the "
        f"worst twentieth comes to {result(now.worst.share)}, the best to {result(now.quantiles[4])} or more{tied[0]}. "
        f"As advised: {chance(own.liquidated)}{once}, {result(own.worst.share)}, {result(own.quantiles[4])}{tied[1]}. "
        f"All figures but those of “{GIVEN}” are of the sizes that are left."
    )
    if not advice.closings:
        return
    fees = _closing_fees(advice)
    missing = [closing.position.symbol for closing in advice.closings if closing.fee is None]
    if fees:
        yield f"Closing costs {fees}, which is counted."
    if missing:
        yield f"The taker fee of {listed(missing)} is not known: closing is reckoned without it (--fee-rate gives one)."


def _closing_fees(advice: Advice) -> str:
    """Return what the closings cost, by asset, and by which rate; nothing where no rate is known."""
    known = [closing for closing in advice.closings if closing.fee is not None]
    contracts = [advice.book.rulebook.contract(closing.position.symbol) for closing in known]
    paid: dict[str, Value] = {}
    for contract, closing in zip(contracts, known, strict=True):
        paid[contract.settle_asset] = paid.get(contract.settle_asset, ZERO) + (closing.fee or ZERO)
    base = advice.fee_rate is None and any(contract.taker_fee_rate is None for contract in contracts)
    said = listed([amount(fee, asset) for asset, fee in paid.items()])
    return said and f"{said} in fees{' (of the base level)' if base else ''}"


__all__ = ["account_wide"]
