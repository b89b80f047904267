"""Advice as ``ringfence advise --json`` prints it: decimals as strings, none and unknown as null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.numbers import plain, text
from ringfence.study.advice.advise import SCHEMA
from ringfence.study.advice.desk import GIVEN
from ringfence.study.advice.figures import used_share
from ringfence.study.advice.option_words import alert_of, role_of
from ringfence.study.advice.steps import steps
from ringfence.study.advice.trials import certainty
from ringfence.study.advice.words import NO_ADVICE, account_wide, assumptions, unknown, verdicts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.numbers import Value
    from ringfence.study.advice.advise import Advice
    from ringfence.study.advice.options import OptionsFound
    from ringfence.study.advice.trials import Chance, Trial
    from ringfence.study.advice.verdict import Verdict


_QUANTILES = ("5", "25", "50", "75", "95")


def as_json(advice: Advice, name: str = "ACCOUNT") -> dict[str, Any]:
    """Return advice as a document. ``name``: of the account file, for the commands in it."""
    look, checked = advice.outlook, advice.trials.agreement + advice.crashes.agreement
    return {
        "schema": SCHEMA,
        "circumstances": {
            "experience": advice.circumstances.experience,
            "purpose": advice.circumstances.purpose,
            "purposes": dict(advice.circumstances.purposes),
        },
        "positions": [_judged(advice, index, verdict) for index, verdict in enumerate(verdicts(advice))],
        "account": list(account_wide(advice)),
        "steps": list(steps(advice, name)),
        "unknown": list(unknown(advice)),
        "hedges": [
            {
                "positions": [f"{advice.book.positions[i].symbol} {advice.book.positions[i].side}" for i in g.members],
                "kind": g.kind, "daily_sigma": f"{g.together:.2f}", "daily_sigma_alone": [f"{s:.2f}" for s in g.alone],
                "correlation": f"{g.correlation:.4f}",
            }
            for g in advice.groups
        ],
        "ways": [_way(advice, trial) for trial in advice.trials.trials],
        "closings": [
            {"symbol": c.position.symbol, "side": c.position.side, "close": plain(c.size), "left": plain(c.left),
             "fee": text(c.fee), "smallest_order": text(c.least), "lot_known": c.lot_known}
            for c in advice.closings
        ],
        "unavailable": [{"way": way, "why": why} for way, why in advice.unavailable],
        "past": [
            {"window": p.window, "way": p.holding, "liquidated": list(p.died), "kept": plain(p.kept),
             "counted": p.window in advice.crashes.counted}
            for p in advice.crashes.past
        ],
        "simulation": {
            "days": look.days, "paths": look.paths, "seed": look.seed, "tail": f"{look.tail:g}",
            "steps_a_day": look.steps, "capital": f"{advice.trials.capital:.2f}",
            "crash_weight": f"{advice.crash_chance:.6f}",
            "exact_looks": checked.looks, "exact_same": checked.same, "largest_difference": f"{checked.difference:.3g}",
        },
        **({} if advice.options is None else {"options": _options(advice.options)}),
        "assumptions": list(assumptions(advice)),
        "disclaimer": NO_ADVICE,
    }  # fmt: skip


def _judged(advice: Advice, index: int, verdict: Verdict) -> dict[str, Any]:
    found = advice.options
    if found is None:
        return _position(advice, index, verdict) if index < len(advice.roles) else _closed(advice, verdict)
    part = found.parts[index]
    hedge = part.hedge
    return {
        "symbol": verdict.symbol, "side": verdict.side, "verdict": verdict.verdict, "how": verdict.how,
        "account": verdict.account, "changed": verdict.changed, "close": plain(part.close), "decided_by": "evidence",
        "role": role_of(found, part),
        "purpose": advice.circumstances.purpose_of(verdict.symbol),
        "requirement": {
            "alone": None if hedge is None else plain(hedge.alone),
            "added": None if hedge is None else plain(hedge.added),
            "saved": None if hedge is None else plain(hedge.saved),
            "book": plain(found.required), "book_without": text(part.required),
        },
        "without": None if part.liquidated is None or part.worst is None else {
            "liquidated": _chance(part.liquidated), "worst_twentieth": f"{part.worst:.6g}",
            "past_kept": {window: f"{kept:.4f}" for window, kept in part.kept.items()},
        },
        "cannot_be_closed": part.refused or None,
        "reasons": list(verdict.reasons),
    }  # fmt: skip


def _options(found: OptionsFound) -> dict[str, Any]:
    level = alert_of(found)
    return {
        "requirement": plain(found.required), "requirement_advised": plain(found.required_advised),
        "needed": f"{found.needed:.2f}", "needed_advised": f"{found.needed_advised:.2f}",
        "alert_health": None if level is None else plain(level), "fall_within_3_sigma": f"{found.fall:.2f}",
        "prices_by_coin": dict(found.leading), "beyond_curves": f"{found.clamped:.6g}",
        "volatility_shocks": [
            {"factor": shock.factor, "health": text(shock.health), "liquidatable": shock.liquidatable}
            for shock in found.shocks
        ],
    }  # fmt: skip


def _closed(advice: Advice, verdict: Verdict) -> dict[str, Any]:
    """Return the verdict on a position of which nothing is to be left."""
    now = next(p for p in advice.given.positions if (p.symbol, p.side) == (verdict.symbol, verdict.side))
    return {
        "symbol": verdict.symbol, "side": verdict.side, "verdict": verdict.verdict, "how": verdict.how,
        "changed": True, "decided_by": verdict.decided, "quantity": "0", "quantity_now": plain(abs(now.quantity)),
        "leverage_now": text(now.leverage), "reasons": list(verdict.reasons),
    }  # fmt: skip


def _position(advice: Advice, index: int, verdict: Any) -> dict[str, Any]:
    role = advice.roles[index]
    turned = next((item for item in advice.turned if item.position == index), None)
    held, now = advice.book.positions[index], advice.as_now(index)
    return {
        "symbol": verdict.symbol, "side": verdict.side, "verdict": verdict.verdict, "how": verdict.how,
        "account": verdict.account, "isolated_margin": text(verdict.margin), "changed": verdict.changed,
        "decided_by": advice.fixed.get(index, "evidence"), "role": role.kind, "coin": role.coin,
        "quantity": plain(abs(held.quantity)), "quantity_now": plain(abs(now.quantity)),
        "leverage": text(role.leverage), "leverage_now": text(now.leverage),
        "daily_sigma": f"{role.sigma:.6f}", "exposure": f"{role.exposure:.2f}",
        "liquidated_alone": None if role.alone is None else f"{role.alone:.6g}",
        "initial_margin": text(role.initial), "comfortable_margin": plain(role.comfortable),
        "purpose": role.purpose,
        "the_other_way": None if turned is None or turned.trial is None else {
            "how": turned.to,
            "liquidated": _chance(turned.trial.by_position[index]),
            "rest_liquidated": _chance(turned.trial.rest[index]),
            "worst_twentieth": _chance(turned.trial.worst),
            "advised_liquidated": _chance(advice.trial(advice.chosen).by_position[index]),
            "advised_rest_liquidated": _chance(advice.trial(advice.chosen).rest[index]),
        },
        "reasons": list(verdict.reasons),
    }  # fmt: skip


def _way(advice: Advice, trial: Trial) -> dict[str, Any]:
    share = used_share(advice, trial)
    return {
        "way": trial.holding.name, "what": trial.holding.what,
        "liquidated": _chance(trial.liquidated), "ruined": _chance(trial.ruined), "mean": _chance(trial.mean),
        "worst_twentieth": _chance(trial.worst),
        "worth": f"{certainty(advice.scores[trial.holding.name].share):.6g}",
        "worth_error": f"{advice.scores[trial.holding.name].error:.2g}",
        "quantiles": {share: f"{q:.6g}" for share, q in zip(_QUANTILES, trial.quantiles, strict=True)},
        "sizes": "now" if advice.after is not None and trial.holding.name == GIVEN else "advised",
        "margin_share": None if share is None else f"{share:.6f}",
        "margin_used": _amounts(trial.used), "out_of_reach": _amounts(trial.idle),
    }  # fmt: skip


def _chance(found: Chance) -> dict[str, str]:
    return {"value": f"{found.share:.6g}", "standard_error": f"{found.error:.2g}"}


def _amounts(held: Mapping[str, Value]) -> dict[str, str]:
    return {asset: plain(value) for asset, value in held.items()}


__all__ = ["as_json"]
