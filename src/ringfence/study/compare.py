"""The same book under every margin architecture, by what people compare them by.

**Margins** (initial, maintenance, tied up), **free collateral** and **leverage** (gross notional ÷ equity, and ÷ what
is tied up); **distance to liquidation** of each position, its symbol alone moving; the **combined move** at which the
first pool dies; **at stake**: what a liquidation of each pool takes; **dies with**: what else a position's liquidation
closes; **protected**: what no liquidation can touch; and what is left of the equity after a move of all marks together,
where a pool that has died on the way leaves nothing. Every number is an assessment of the book as it would be held.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import CollateralMode, MarginMode, pools
from ringfence.errors import BadAccount, BadInput
from ringfence.margin.assess import assess
from ringfence.margin.change import switch_margin_mode
from ringfence.margin.move import CombinedMove, combined_move, exposure
from ringfence.margin.price import bankruptcy_price, liquidation_prices
from ringfence.margin.refusal import Refusal, refuse
from ringfence.numbers import ONE, RATIO_PLACES, ROUND_FLOOR, ZERO, divide, exact, plain, text
from ringfence.study.architecture import WORDS, held_as, isolated_not_held, with_indices
from ringfence.study.portfolio_words import portfolio_notes
from ringfence.study.surface import assessed_at
from ringfence.study.unknown import health_known, unknown_of
from ringfence.study.wording import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from ringfence.account import Account, Marks
    from ringfence.account_file import AccountFile
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.numbers import Price, Value
    from ringfence.rulebook import Offer, Rulebook

SCHEMA = "ringfence.compare/1"


class HeldPosition(NamedTuple):
    """A position as one architecture holds it. ``distance``: signed move of its mark to ``liquidation_price``.

    ``at_stake``: what the liquidation of its pool takes, the whole equity of that pool at the marks. ``dies_with``: the
    other positions of that pool, as ``SYMBOL side``: its death is theirs.
    """

    symbol: str
    side: str
    pool: str
    mark_price: Price
    liquidation_price: Price | None
    distance: Decimal | None
    bankruptcy_price: Price | None
    at_stake: Value | None
    dies_with: tuple[str, ...]


class Left(NamedTuple):
    """Equity by asset after all marks moved by ``move`` (−0.2: a fall of 20 %). None: not known.

    A pool that would have been liquidated on the way leaves nothing: taken over whole, the worst case of it.
    """

    move: Decimal
    equity: Mapping[str | None, Value | None]
    dead: tuple[str, ...]


class Amounts(NamedTuple):
    """What an architecture does with one asset. ``protected``: equity outside every pool that holds positions.

    ``asset``: None is the account's currency, in which a basket counts. None elsewhere: not known.
    """

    asset: str | None
    initial_margin: Value | None
    maintenance_margin: Value | None
    margin_used: Value | None
    free: Value | None
    equity: Value | None
    gross: Value
    protected: Value | None

    @property
    def leverage(self) -> Decimal | None:
        """Gross notional ÷ equity. None where nothing is left, or less."""
        return divide(self.gross, self.equity, places=RATIO_PLACES) if self.equity and self.equity > 0 else None

    @property
    def efficiency(self) -> Decimal | None:
        """Gross notional carried per unit of margin tied up."""
        return divide(self.gross, self.margin_used, places=RATIO_PLACES) if self.margin_used else None

    @property
    def at_stake(self) -> Value | None:
        """The most that liquidations can take in all: equity that is not protected."""
        return None if self.equity is None or self.protected is None else self.equity - self.protected


_NEED_NO_TERMS = frozenset({"isolated", "cross"})  # by the rules of any account; the others have terms of their own


class Architecture(NamedTuple):
    """One way to hold the book. ``unavailable``: why it cannot be held so; then the rest is empty.

    ``amounts``: by asset. ``first_death``: the combined move, down and up, at which the first of its pools is
    liquidated, and which pool. ``refusals``: what the venue says to switching there. ``stand_ins``: coins whose index
    price is not known, for which a contract's mark stands in. ``not_known``: whether the venue
    offers it, and what keeps pools from having a health.
    """

    name: str
    unavailable: str | None
    assessments: tuple[Assessment, ...]
    amounts: tuple[Amounts, ...]
    positions: tuple[HeldPosition, ...]
    first_death_down: tuple[Decimal, str] | None
    first_death_up: tuple[Decimal, str] | None
    last_death_down: tuple[Decimal, str] | None
    left: tuple[Left, ...]
    refusals: tuple[Refusal, ...]
    stand_ins: tuple[str, ...] = ()
    not_known: tuple[str, ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the pools that hold positions and have no health: whether and where they die is not known."""
        return tuple(a.pool.name for a in self.assessments if a.lines and not health_known(a))

    @property
    def dead(self) -> tuple[str, ...]:
        """Names of the pools that are liquidatable now."""
        return tuple(a.pool.name for a in self.assessments if a.liquidatable)


class Comparison(NamedTuple):
    """The book under every architecture, with the asset that its amounts are in (None: several, or a basket)."""

    rulebook: str
    asset: str | None
    architectures: tuple[Architecture, ...]


@exact
def compare(file: AccountFile, rulebook: Rulebook) -> Comparison:
    """Return the file's book as given and under every margin architecture, at its marks.

    What the venue does not offer, and what cannot be held so (no money to fund it, an asset without a price), is there
    as unavailable with the reason.
    """
    account, marks = file.account, file.marks
    assets = {rulebook.contract(position.symbol).settle_asset for position in account.positions}
    if not assets:
        raise BadAccount("nothing to compare: the account holds no position", where="account.positions",
                         expected="at least one position", found="none",
                         hint="add a position; `ringfence account example` prints an account")  # fmt: skip
    single = account.collateral_mode is CollateralMode.SINGLE_ASSET
    options = listed([position.symbol for position in account.positions if rulebook.contract(position.symbol).option])
    held = [_architecture("as given", account, account, marks, rulebook)]
    for offer in rulebook.architectures():
        name = WORDS[offer.name]
        if options and offer.name != "portfolio":
            held.append(_unavailable(name, f"options ({options}) are held in portfolio margin only"))
            continue
        unheard = offer.offered is None and offer.name in _NEED_NO_TERMS
        if not offer.offered and not unheard:
            held.append(_unavailable(name, _not_offered(offer, rulebook)))
            continue
        try:
            other = held_as(account, offer.name, rulebook)
            stand_ins: tuple[str, ...] = ()
            if other.collateral_mode is not CollateralMode.SINGLE_ASSET:
                other, stand_ins = with_indices(other, marks, rulebook)
            way = _architecture(name, other, account, marks, rulebook)
            switched = any(position.margin_mode.value != offer.name for position in account.positions)
            doubt = (f"whether {rulebook.name} offers it: ask before you switch",) if unheard and switched else ()
            held.append(way._replace(stand_ins=stand_ins, not_known=(*doubt, *way.not_known)))
        except BadInput as error:
            held.append(_unavailable(name, error.message))
    return Comparison(rulebook.name, assets.pop() if single and len(assets) == 1 else None, tuple(held))


def _not_offered(offer: Offer, rulebook: Rulebook) -> str:
    if offer.offered is None:
        return f"whether {rulebook.name} offers it is not known"
    return f"{rulebook.name} does not offer it: {offer.reason}"


def _unavailable(name: str, why: str) -> Architecture:
    return Architecture(name, why, (), (), (), None, None, None, (), ())


def _architecture(name: str, account: Account, given: Account, marks: Marks, rulebook: Rulebook) -> Architecture:
    held = pools(account, rulebook.contract, rulebook.collateral)
    assessments = tuple(assess(pool, marks, rulebook) for pool in held)
    moves = [(a.pool.name, _deadly_move(a, marks, rulebook)) for a in assessments if a.lines]
    downs = sorted(((move.down, pool) for pool, move in moves if move.down is not None), reverse=True)
    ups = sorted((move.up, pool) for pool, move in moves if move.up is not None)
    return Architecture(
        name=name,
        unavailable=None,
        assessments=assessments,
        amounts=tuple(_amounts(asset, assessments) for asset in _assets(assessments)),
        positions=tuple(_position(a, line) for a in assessments for line in a.lines),
        first_death_down=downs[0] if downs else None,
        first_death_up=ups[0] if ups else None,
        last_death_down=downs[-1] if len(downs) == len(moves) and downs else None,
        left=tuple(_left(assessments, dict(moves), marks, rulebook)),
        refusals=_refusals(account, given, marks, rulebook),
        not_known=unknown_of([a for a in assessments if a.lines], rulebook),
    )


def _assets(assessments: tuple[Assessment, ...]) -> tuple[str | None, ...]:
    """Return the assets that something is held or at stake in, those of positions first."""
    used = [a.asset for a in assessments if a.lines] + [a.asset for a in assessments if a.margin_balance or a.orders]
    return tuple(dict.fromkeys(used))


def _amounts(asset: str | None, assessments: tuple[Assessment, ...]) -> Amounts:
    own = tuple(a for a in assessments if a.asset == asset)
    return Amounts(
        asset,
        _sum([a.initial_margin for a in own]),
        _sum([a.maintenance_margin for a in own]),
        _used(own),
        _sum([a.available_balance for a in own if not a.pool.isolated]),
        _sum([a.margin_balance for a in own]),
        sum((exposure(a).gross for a in own), ZERO),
        _sum([a.margin_balance for a in own if not a.lines]),
    )


def _deadly_move(assessment: Assessment, marks: Marks, rulebook: Rulebook) -> CombinedMove:
    """Return the combined move that liquidates a pool: none is needed for one that is liquidatable already."""
    if assessment.liquidatable:
        return CombinedMove(ZERO, ZERO, exact=True)
    return combined_move(assessment.pool, marks, rulebook)


def _used(assessments: tuple[Assessment, ...]) -> Value | None:
    """Return what is tied up: the margins of isolated positions, and initial and order margin of the shared pools."""
    parts: list[Value | None] = []
    for assessment in assessments:
        if assessment.pool.isolated:
            parts.append(assessment.wallet_balance)
        else:
            parts += [assessment.initial_margin, assessment.order_margin]
    return _sum(parts)


def _sum(parts: list[Value | None]) -> Value | None:
    total = ZERO
    for part in parts:
        if part is None:
            return None
        total += part
    return total


def _position(assessment: Assessment, line: PositionLine) -> HeldPosition:
    price = liquidation_prices(assessment, line.position.symbol).of_side(line.position.side)
    distance = None
    if price is not None:
        distance = divide(price - line.mark_price, line.mark_price, places=RATIO_PLACES, rounding=ROUND_FLOOR)
    return HeldPosition(
        line.position.symbol,
        line.position.side,
        assessment.pool.name,
        line.mark_price,
        price,
        distance,
        bankruptcy_price(assessment, line),
        assessment.margin_balance,
        tuple(f"{other.position.symbol} {other.position.side}" for other in assessment.lines if other is not line),
    )


_MOVES = tuple(ONE.scaleb(-2) * percent for percent in range(-60, 61, 4))
"""Common moves for which the equity left is computed."""


def _left(
    assessments: tuple[Assessment, ...], deadly: Mapping[str, CombinedMove], marks: Marks, rulebook: Rulebook
) -> Iterator[Left]:
    """Yield what is left after each common move; a pool dies where the move has passed its deadly one."""
    for move in _MOVES:
        prices = {symbol: mark * (ONE + move) for symbol, mark in marks.items()}
        equity: dict[str | None, Value | None] = {}
        dead = []
        for found in assessments:
            asset = found.asset
            fatal = deadly.get(found.pool.name)
            balance: Value | None
            if fatal is not None and _passed(move, fatal):
                dead.append(found.pool.name)
                balance = ZERO
            elif not found.lines:
                balance = found.margin_balance
            else:
                own = {line.position.symbol: prices[line.position.symbol] for line in found.lines}
                balance = assessed_at(found.pool, marks, own, rulebook).margin_balance
            before = equity.get(asset, ZERO)
            equity[asset] = None if before is None or balance is None else before + balance
        yield Left(move, equity, tuple(dead))


def _passed(move: Decimal, fatal: CombinedMove) -> bool:
    if fatal.down == 0 or fatal.up == 0:
        return True
    return (fatal.down is not None and move <= fatal.down) or (fatal.up is not None and move >= fatal.up)


def _refusals(account: Account, given: Account, marks: Marks, rulebook: Rulebook) -> tuple[Refusal, ...]:
    """Return what the venue would say to switching the positions of ``given`` to how ``account`` holds them, now."""
    said = {}
    basket = account.collateral_mode is not CollateralMode.SINGLE_ASSET
    if basket and any(position.margin_mode is MarginMode.ISOLATED for position in given.positions):
        reason = "isolated_margin_in_basket"
        said[reason] = refuse(reason, isolated_not_held(account.collateral_mode.value, rulebook))
    for position, before in zip(account.positions, given.positions, strict=True):
        if position.margin_mode is before.margin_mode:
            continue
        outcome = switch_margin_mode(
            replace(given, collateral_mode=account.collateral_mode),
            position.symbol,
            MarginMode(position.margin_mode.value),
            marks=marks,
            rulebook=rulebook,
        )
        if isinstance(outcome, Refusal):
            said[outcome.reason] = outcome
    return tuple(said.values())


def distinct(architectures: tuple[Architecture, ...]) -> list[tuple[str, Architecture]]:
    """Return the architectures to show, with names; a book held in one of them already is shown once, and named so."""
    given, *others = architectures
    pools = [assessment.pool for assessment in given.assessments]
    for number, other in enumerate(others):
        if [assessment.pool for assessment in other.assessments] == pools:
            named = [(held.name, held) for held in others]
            named[number] = (f"{other.name} (as given)", other)
            return named
    return [(held.name, held) for held in architectures]


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as ``ringfence compare --json`` prints it: decimals as strings, unknown as null."""
    return {
        "schema": SCHEMA,
        "rulebook": comparison.rulebook,
        "asset": comparison.asset,
        "architectures": [_architecture_json(held) for held in comparison.architectures],
    }


def _architecture_json(held: Architecture) -> dict[str, Any]:
    def death(found: tuple[Decimal, str] | None) -> dict[str, str] | None:
        return None if found is None else {"move": plain(found[0]), "pool": found[1]}

    return {
        "name": held.name,
        "unavailable": held.unavailable,
        "notes": portfolio_notes(held.assessments),
        "amounts": [
            {
                "asset": amounts.asset,
                "initial_margin": text(amounts.initial_margin),
                "maintenance_margin": text(amounts.maintenance_margin),
                "margin_used": text(amounts.margin_used),
                "free_collateral": text(amounts.free),
                "equity": text(amounts.equity),
                "gross_notional": text(amounts.gross),
                "effective_leverage": text(amounts.leverage),
                "notional_per_margin": text(amounts.efficiency),
                "at_stake": text(amounts.at_stake),
                "protected": text(amounts.protected),
            }
            for amounts in held.amounts
        ],
        "first_liquidation_down": death(held.first_death_down),
        "first_liquidation_up": death(held.first_death_up),
        "last_liquidation_down": death(held.last_death_down),
        "index_stand_ins": list(held.stand_ins),
        "not_known": list(held.not_known),
        "refusals": [{"number": r.number, "reason": r.reason, "message": r.message} for r in held.refusals],
        "pools": [
            {"name": a.pool.name, "health": text(a.health), "status": a.status, "at_stake": text(a.margin_balance)}
            for a in held.assessments
        ],
        "positions": [
            {
                key: list(value) if isinstance(value, tuple) else value if isinstance(value, str) else text(value)
                for key, value in p._asdict().items()
            }
            for p in held.positions
        ],
        "equity_after": [
            {
                "move": plain(each.move),
                "dead": list(each.dead),
                "equity": [{"asset": asset, "equity": text(value)} for asset, value in each.equity.items()],
            }
            for each in held.left
        ],
    }


__all__ = ["SCHEMA", "Amounts", "Architecture", "Comparison", "HeldPosition", "Left", "as_json", "compare", "distinct"]
