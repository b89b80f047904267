"""A replay as JSON. Decimals are plain strings, moments ISO 8601 in UTC; what is not there is null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.numbers import text
from ringfence.study.replay.result import ARCHITECTURES
from ringfence.study.replay.verdict import verdict
from ringfence.tape.bars import utc_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal
    from pathlib import Path

    from ringfence.study.replay.result import Event, ForcedTrade, Leg, Outcome, Replay, Sample
    from ringfence.study.replay.ways import SideBySide

SCHEMA = "ringfence.replay/1"


def as_json(replay: Replay, report: Path | None = None) -> dict[str, Any]:
    """Return what ``ringfence replay --json`` prints: events, outcomes, a series per minute, assumptions, verdict."""
    return {
        "schema": SCHEMA,
        **what_was_replayed(replay),
        "sequence": replay.sequence,
        **_steps(replay),
        "capital": _amounts(replay.funding.capital),
        "events": [_event(event) for event in replay.events],
        "outcomes": {name: _outcome(replay.outcomes[name]) for name in ARCHITECTURES},
        "series": {name: [_sample(sample) for sample in replay.samples[name]] for name in ARCHITECTURES},
        "assumptions": list(replay.assumptions),
        "verdict": verdict(replay),
        "report": None if report is None else str(report),
    }


def what_was_replayed(found: Replay | SideBySide) -> dict[str, Any]:
    """Return what every replay says of itself first: whose account, by which rules, through which tape and seed."""
    tape, rulebook = found.tape, found.rulebook
    return {
        "account": found.file.where,
        "rulebook": rulebook.name,
        "as_of": rulebook.as_of.isoformat() if rulebook.as_of else None,
        "tape": {
            "name": tape.name,
            "start": utc_text(tape.start),
            "end": utc_text(tape.end),
            "price_kind": tape.price_kind,
            "exact": tape.exact,
        },
        "seed": found.seed,
        "ticks": found.ticks,
    }


def _steps(replay: Replay) -> dict[str, Any]:
    if replay.sequence == "takeover":
        return {"takeover": "full takeover at the bankruptcy price"}
    return {"liquidation_sequence": list(replay.rulebook.liquidation_sequence)}


def _amounts(values: Mapping[str, Decimal]) -> dict[str, str | None]:
    return {key: text(value) for key, value in values.items()}


def _event(event: Event) -> dict[str, Any]:
    return {
        "ts": utc_text(event.ts),
        "architecture": event.architecture,
        "pool": event.pool,
        "kind": event.kind,
        "asset": event.asset,
        "health": text(event.health),
        "margin_balance": text(event.balance),
        "liquidation_requirement": text(event.requirement),
        "loss": text(event.loss),
        "insurance_fund": text(event.fund),
        "left": text(event.left),
        "positions": [_leg(leg) for leg in event.legs],
        "trades": [_trade(trade) for trade in event.trades],
    }


def _trade(trade: ForcedTrade) -> dict[str, Any]:
    return {
        "symbol": trade.symbol,
        "side": trade.side,
        "cause": trade.cause,
        "quantity": text(trade.quantity),
        "price": text(trade.price),
        "closes_the_position": trade.whole,
        "fills": trade.fills,
    }


def _leg(leg: Leg) -> dict[str, Any]:
    return {
        "symbol": leg.symbol,
        "side": leg.side,
        "quantity": text(abs(leg.quantity)),
        "entry_price": text(leg.entry_price),
        "mark_price": text(leg.mark_price),
        "unrealised_pnl": text(leg.unrealised_pnl),
        "liquidation_price": text(leg.liquidation_price),
        "bankruptcy_price": text(leg.bankruptcy_price),
        "distance": text(leg.distance),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "start": _amounts(outcome.start),
        "end": _amounts(outcome.end),
        "idle": _amounts(outcome.idle),
        "lost": _amounts(outcome.lost),
        "insurance_fund_gained": _amounts(outcome.fund_gained),
        "insurance_fund_paid": _amounts(outcome.fund_paid),
        "lowest": {
            asset: {"ts": utc_text(ts), "equity": text(equity)} for asset, (ts, equity) in outcome.lowest.items()
        },
        "drawdown": _amounts(outcome.drawdown),
        "liquidated": [event.pool for event in outcome.liquidations],
        "survivors": [_leg(leg) for leg in outcome.survivors],
    }


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "ts": utc_text(sample.ts),
        "equity": _amounts(sample.equity),
        "pools": [
            {
                "pool": pool.name,
                "margin_balance": text(pool.balance),
                "liquidation_requirement": text(pool.requirement),
                "health": text(pool.health),
            }
            for pool in sample.pools
        ],
    }


__all__ = ["SCHEMA", "as_json", "what_was_replayed"]
