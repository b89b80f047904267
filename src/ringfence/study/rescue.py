"""The ways out of danger: what lifts a pool's health above a wanted one, solved exactly and ranked by cost.

Every way is tried on the account by the venue's rules (:mod:`ringfence.margin.change`) and held to what the account
then is: its amount is the smallest multiple of a step with which the pool's health is *above* the target and no other
pool falls below it; one step less does not do. Ways that cannot do it say why.

Ranked by what is paid for good (fees), then by the cash that has to come from outside, then by what is tied up.
Realising a loss is no cost: the equity is the same before and after.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import Backing, MarginMode, PositionMode
from ringfence.errors import BadConfiguration
from ringfence.margin import change
from ringfence.margin.assess import assess_account
from ringfence.margin.price import liquidation_prices
from ringfence.margin.refusal import Refusal
from ringfence.margin.restore import smallest_deposit, smallest_reduction
from ringfence.numbers import ONE, RATIO_PLACES, ROUND_CEILING, ROUND_FLOOR, ZERO, divide, exact, plain, round_to
from ringfence.study.portfolio_words import portfolio_summary
from ringfence.study.unknown import health_known, nothing_known, unknown_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ringfence.account import Account, Marks, Position
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.numbers import Quantity, Rate, Value
    from ringfence.rulebook import Rulebook

SCHEMA = "ringfence.rescue/1"
STEP = Decimal("0.00000001")
"""What cash is counted in, and contracts whose step is not known. Ours."""

HIGHEST = Decimal(10) ** 6
"""The highest health that can be asked for: whoever wants more wants to close everything. Ours."""

_SHARE = Decimal("0.0001")
_FURTHEST = 10**6  # a deposit is looked for up to that many times the obvious one


class Way(NamedTuple):
    """One way out. ``refusal``: why it is none; then no ``account``, and ``health`` what it would come to, if known.

    ``kind``: add_margin, deposit, move_margin, reduce, add_and_reduce, reduce_all, cancel_orders, hedge, switch_mode.
    ``amount``: contracts, a share or cash, in ``unit``. ``cost``: fees, paid for good. ``outside``: cash the account
    does not have.
    ``tied``: cash or margin that the way locks up; these three in the settlement asset of the pool (or of the deposit).
    ``room``: the smallest move of one mark alone that then liquidates the pool, a share of it (None: no such move).
    """

    kind: str
    what: str
    amount: Decimal | None
    unit: str | None
    cost: Value
    outside: Value
    tied: Value
    health: Decimal | None
    room: Decimal | None
    refusal: str | None
    account: Account | None


class Endangered(NamedTuple):
    """A pool at or below the target, and the ways out, cheapest first; those that are none come last."""

    pool: str
    asset: str | None
    health: Decimal | None
    balance: Value
    required: Value
    status: str | None
    ways: tuple[Way, ...]


class Rescue(NamedTuple):
    """Every endangered pool. ``level_source``: who says that the target is one. ``unknown``: pools without a health."""

    target: Decimal
    level_source: str
    pools: tuple[Endangered, ...]
    notes: tuple[str, ...]
    unknown: tuple[str, ...] = ()


class _Case(NamedTuple):
    """A pool to be rescued, with all that the search for ways needs."""

    account: Account
    before: tuple[Assessment, ...]
    pool: Assessment
    marks: Marks
    rulebook: Rulebook
    target: Decimal
    fee_rate: Rate | None

    def fee(self, symbol: str) -> Rate:
        """Return the rate that a close or a hedge pays."""
        return self.fee_rate if self.fee_rate is not None else self.rulebook.contract(symbol).taker_fee_rate or ZERO

    def assessed(self, account: Account) -> tuple[Assessment, ...]:
        """Return the pools of a changed account."""
        return assess_account(account, self.marks, self.rulebook)

    def saved(self, account: Account, *, shared: bool = False) -> bool:
        """Whether this pool is above the target and no other one has fallen to it. ``shared``: the cross one counts."""
        others = {a.pool.name for a in self.before if not _above(a, self.target)} - {self.pool.pool.name}
        return all(
            _above(a, self.target) or (a.pool.name in others and not (shared and not a.pool.isolated))
            for a in self.assessed(account)
        )


def _above(assessment: Assessment, target: Decimal) -> bool:
    """Whether a pool's health is above ``target``; what requires nothing must only not be below 0."""
    balance, required = assessment.balance_held_against, assessment.liquidation_requirement
    if balance is None and not assessment.lines and not assessment.orders:
        return True
    if balance is None or required is None:
        return False
    return bool(balance > target * required) if required else bool(balance >= 0)


@exact
def rescue(
    account: Account,
    *,
    marks: Marks,
    rulebook: Rulebook,
    health: Decimal | None = None,
    fee_rate: Rate | None = None,
) -> Rescue:
    """Return the ways out for every pool whose health is at or below ``health`` (the margin-call level if None).

    ``fee_rate``: what closing and hedging pay of the value; the contract's taker rate if None, 0 where that is not
    known. Raises BadConfiguration for a target that is not above 0 or is above :data:`HIGHEST`, BadAccount where the
    health of no pool that holds a position is known.
    """
    target = rulebook.levels.margin_call if health is None else health
    if not 0 < target <= HIGHEST:
        why = "a health that no pool can need" if target <= 0 else "a health that nothing held open can reach"
        raise BadConfiguration(
            why, where="--health", expected=f"a number above 0, at most {plain(HIGHEST)}", found=f"{target:g}",
            hint="1 is where the venue liquidates; 1.5 or 2 leaves room",
        )  # fmt: skip
    before = assess_account(account, marks, rulebook)
    holding = [a for a in before if a.lines]
    unknown = [a for a in holding if not health_known(a)]
    if unknown and len(unknown) == len(holding):
        raise nothing_known(unknown, rulebook, asked="rescue")
    notes = [
        f"the health of {a.pool.name} is not known: no way out can be solved; not known: "
        f"{'; '.join(unknown_of([a], rulebook))}"
        for a in unknown
    ]
    held = {p.symbol: rulebook.contract(p.symbol) for p in account.positions}
    free = sorted(symbol for symbol, contract in held.items() if contract.taker_fee_rate is None)
    if free and fee_rate is None:
        notes.append(f"the taker fee of {', '.join(free)} is not known: none is charged; --fee-rate gives one")
    notes += portfolio_summary(before)
    pools = []
    for assessment in before:
        balance, required = assessment.balance_held_against, assessment.liquidation_requirement
        if balance is None or required is None or _above(assessment, target):
            continue
        ways = _ways(_Case(account, before, assessment, marks, rulebook, target, fee_rate))
        name, asset = assessment.pool.name, assessment.asset
        pools.append(Endangered(name, asset, assessment.health, balance, required, assessment.status, ways))
    own = " (ringfence's own)" if rulebook.levels.source == "ours" else ""
    source = "asked for" if health is not None else f"the margin-call level of {rulebook.name}{own}"
    return Rescue(target, source, tuple(pools), tuple(notes), tuple(a.pool.name for a in unknown))


def _ways(case: _Case) -> tuple[Way, ...]:
    found = [*_cancels(case), *_moves(case)]
    found += [*_additions(case)] if case.pool.pool.isolated else [*_deposits(case)]
    found += [_reduction(case, line) for line in case.pool.lines]
    found += [*_added_and_reduced(case)] if case.pool.pool.isolated else []
    found += [*_pro_rata(case), *_hedges(case), *_switches(case)]
    return tuple(sorted(found, key=lambda way: (way.refusal is not None, way.cost, way.outside, way.tied)))


def _way(
    case: _Case,
    kind: str,
    what: str,
    account: Account,
    *,
    amount: Decimal | None = None,
    unit: str | None = None,
    cash: tuple[Value, Value, Value] = (ZERO, ZERO, ZERO),
) -> Way:
    """Return a way that was found, with the health it leads to. ``cash``: cost, from outside, tied up."""
    return Way(kind, what, amount, unit, *cash, _health(case, account), _room(case, account), None, account)


def _none(kind: str, what: str, why: str, health: Decimal | None = None) -> Way:
    return Way(kind, what, None, None, ZERO, ZERO, ZERO, health, None, why, None)


def _health(case: _Case, account: Account) -> Decimal | None:
    """Return the health after a change of the pool that then holds the positions; None where nothing is left."""
    healths = [a.health for a in _concerned(case, account) if a.health is not None]
    return min(healths, default=None)


def _concerned(case: _Case, account: Account) -> list[Assessment]:
    """Return the pools that hold what the endangered one held: itself, another one after a switch, none if closed."""
    held = {(line.position.symbol, line.position.side) for line in case.pool.lines}
    return [a for a in case.assessed(account) if any((x.position.symbol, x.position.side) in held for x in a.lines)]


def _room(case: _Case, account: Account) -> Decimal | None:
    """Return the smallest move of one mark alone that liquidates the pool after a change."""
    moves = []
    for assessment in _concerned(case, account):
        for symbol in dict.fromkeys(line.position.symbol for line in assessment.lines):
            prices = liquidation_prices(assessment, symbol)
            mark = case.marks[symbol]
            moves += [
                divide(abs(price - mark), mark, places=RATIO_PLACES, rounding=ROUND_FLOOR)
                for price in (prices.below, prices.above)
                if price is not None
            ]
    return min(moves, default=None)


# ── Cash ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _deposited(account: Account, asset: str, amount: Value) -> Account:
    return replace(account, wallet={**account.wallet, asset: (account.wallet.get(asset) or ZERO) + amount})


def _deposits(case: _Case) -> Iterator[Way]:
    """Pay into the shared wallet: in each of a basket's assets that counts for something."""
    pool = case.pool.pool
    need = smallest_deposit(case.pool, case.target) or ZERO
    for asset in pool.balances:
        credit = pool.collateral[asset].bid if pool.mode.backing is Backing.BASKET else ONE
        what = f"deposit {asset}"
        if credit <= 0:
            yield _none("deposit", what, f"{asset} does not count as collateral")
            continue
        guess = divide(need, credit, places=24, rounding=ROUND_CEILING)

        def reaches(amount: Value, asset: str = asset) -> bool:
            return case.saved(_deposited(case.account, asset, amount))

        amount = _least(reaches, step=STEP, most=(guess + ONE) * _FURTHEST, guess=guess)
        if amount is None:
            yield _none("deposit", what, "no deposit reaches that health: another pool falls below it")
            continue
        after = _deposited(case.account, asset, amount)
        what = f"deposit {plain(amount)} {asset}"
        yield _way(case, "deposit", what, after, amount=amount, unit=asset, cash=(ZERO, amount, amount))


def _additions(case: _Case) -> Iterator[Way]:
    """Add margin to an isolated position: from what is free in the wallet, after cancelling orders, or paid in."""
    line = case.pool.lines[0]
    position, asset = line.position, line.contract.settle_asset
    guess = smallest_deposit(case.pool, case.target) or ZERO
    rich = _deposited(case.account, asset, (guess + ONE) * _FURTHEST)

    def reaches(amount: Value) -> bool:
        after = _added(case, rich, position, amount)
        return not isinstance(after, Refusal) and case.saved(after)

    amount = _least(reaches, step=STEP, most=guess * 2 + ONE, guess=guess)
    if amount is None:
        yield _none("add_margin", f"add margin to {position.symbol}", "no margin reaches that health")
        return
    what = f"add {plain(amount)} {asset} of margin to {position.symbol} {position.side}"
    cash = (ZERO, ZERO, amount)
    if case.account.wallet.get(asset, ZERO) is None:
        yield _none("add_margin", what, f"what is free in {asset} is not known")
        return
    after = _added(case, case.account, position, amount)
    if isinstance(after, Refusal) or not case.saved(after):
        why = str(after) if isinstance(after, Refusal) else "the wallet it comes from would fall below that health"
        yield _none("add_margin", f"{what} from the wallet", why)
        if case.account.orders:
            cancelled = _added(case, replace(case.account, orders=()), position, amount)
            if not isinstance(cancelled, Refusal) and case.saved(cancelled):
                said = f"cancel every order and {what} from what that frees"
                yield _way(case, "add_margin", said, cancelled, amount=amount, unit=asset, cash=cash)
        yield _paid_in(case, position, asset, amount)
        return
    yield _way(case, "add_margin", f"{what} from the wallet", after, amount=amount, unit=asset, cash=cash)


def _paid_in(case: _Case, position: Position, asset: str, amount: Value) -> Way:
    """Deposit what is missing and add it as margin."""

    def both(cash: Value) -> Account | Refusal:
        return _added(case, _deposited(case.account, asset, cash), position, amount)

    def reaches(cash: Value) -> bool:
        after = both(cash)
        return not isinstance(after, Refusal) and case.saved(after)

    free = change.free_balance(case.account, asset, marks=case.marks, rulebook=case.rulebook) or ZERO
    cash = _least(reaches, step=STEP, most=(amount + ONE) * _FURTHEST, guess=amount - free)
    what = f"deposit and add {plain(amount)} {asset} of margin to {position.symbol} {position.side}"
    after = None if cash is None else both(cash)
    if cash is None or after is None or isinstance(after, Refusal):
        return _none("deposit", what, "the wallet stays below that health whatever is paid in")
    said = f"deposit {plain(cash)} {asset} and add {plain(amount)} of margin to {position.symbol} {position.side}"
    return _way(case, "deposit", said, after, amount=amount, unit=asset, cash=(ZERO, cash, amount))


def _added(case: _Case, account: Account, position: Position, amount: Value) -> Account | Refusal:
    outcome = change.add_isolated_margin(
        account, position.symbol, position.side, amount, marks=case.marks, rulebook=case.rulebook
    )
    return outcome if isinstance(outcome, Refusal) else outcome.account


def _moves(case: _Case) -> Iterator[Way]:
    """Take margin that another isolated position does not need."""
    asset = case.pool.asset
    for position in case.account.positions:
        own = case.pool.pool.isolated and position == case.pool.lines[0].position
        contract = case.rulebook.contract(position.symbol)
        if position.margin_mode is not MarginMode.ISOLATED or own or contract.settle_asset != asset:
            continue
        what = f"take margin out of {position.symbol} {position.side}"
        most = change.removable_margin(
            case.account, position.symbol, position.side, marks=case.marks, rulebook=case.rulebook
        )
        if isinstance(most, Refusal):
            yield _none("move_margin", what, str(most))
            continue
        if not most:
            yield _none("move_margin", what, "it holds no more than its initial margin")
            continue

        def reaches(amount: Value, position: Position = position) -> bool:
            after = _moved(case, position, amount)
            return not isinstance(after, Refusal) and case.saved(after)

        guess = smallest_deposit(case.pool, case.target)
        amount = _least(reaches, step=STEP, most=most, guess=guess)
        after = None if amount is None else _moved(case, position, amount)
        if amount is None or after is None or isinstance(after, Refusal):
            yield _none("move_margin", what, f"the {plain(most)} {asset} it can spare is not enough")
            continue
        what = f"move {plain(amount)} {asset} of margin from {position.symbol} {position.side} to {case.pool.pool.name}"
        yield _way(case, "move_margin", what, after, amount=amount, unit=asset, cash=(ZERO, ZERO, amount))


def _moved(case: _Case, source: Position, amount: Value) -> Account | Refusal:
    outcome = change.remove_isolated_margin(
        case.account, source.symbol, source.side, amount, marks=case.marks, rulebook=case.rulebook
    )
    if isinstance(outcome, Refusal):
        return outcome
    if not case.pool.pool.isolated:
        return outcome.account
    return _added(case, outcome.account, case.pool.lines[0].position, amount)


# ── Positions and orders ─────────────────────────────────────────────────────────────────────────────────────────


def _reduction(case: _Case, line: PositionLine) -> Way:
    """Close a part of a position at the mark; of an isolated one, what that releases goes back into it."""
    position, contract = line.position, line.contract
    rate, size = case.fee(position.symbol), abs(position.quantity)
    what = f"close {position.symbol} {position.side}"
    guess = smallest_reduction(case.pool, line, case.target, fee_rate=rate)

    def reaches(amount: Quantity) -> bool:
        after = _reduced(case, line, amount)
        return not isinstance(after, Refusal) and case.saved(after)

    amount = _least(reaches, step=contract.quantity_step or STEP, most=size, guess=guess)
    if amount is None:
        whole = _reduced(case, line, size)
        if isinstance(whole, Refusal):
            return _none("reduce", what, str(whole))
        health = _health(case, whole)
        return _none("reduce", what, "closing it whole is not enough", health)
    after = _reduced(case, line, amount)
    assert not isinstance(after, Refusal)  # noqa: S101 - reaches has said so
    fee = rate * amount * line.contract_value
    part = "all" if amount == size else f"{plain(amount)} of {plain(size)}"
    back = " and put back what that releases" if case.pool.pool.isolated and amount != size else ""
    said = f"close {part} {position.symbol} {position.side} at the mark{back}"
    return _way(case, "reduce", said, after, amount=amount, unit="contracts", cash=(fee, ZERO, ZERO))


def _reduced(case: _Case, line: PositionLine, amount: Quantity) -> Account | Refusal:
    position, hedged = line.position, case.account.position_mode is PositionMode.HEDGE
    fill = change.Fill(
        position.symbol, -amount if position.quantity > 0 else amount, line.mark_price,
        position_side=position.side if hedged else None, fee_rate=case.fee(position.symbol),
    )  # fmt: skip
    outcome = change.trade(case.account, fill, marks=case.marks, rulebook=case.rulebook)
    if isinstance(outcome, Refusal):
        return outcome
    left = outcome.account.position(position.symbol, position.side)
    if position.margin_mode is not MarginMode.ISOLATED or left is None:
        return outcome.account
    asset = line.contract.settle_asset
    cash = (outcome.account.wallet.get(asset) or ZERO) - (case.account.wallet.get(asset) or ZERO)
    if cash <= 0 or outcome.account.wallet.get(asset) is None:
        return outcome.account
    return _added(case, outcome.account, left, cash)


def _added_and_reduced(case: _Case) -> Iterator[Way]:
    """Add all that is free in the wallet to an isolated position, and close what is still too much of it."""
    line = case.pool.lines[0]
    position, asset = line.position, line.contract.settle_asset
    free = change.free_balance(case.account, asset, marks=case.marks, rulebook=case.rulebook) or ZERO
    free = round_to(free, STEP, rounding=ROUND_FLOOR)
    if free <= 0:
        return
    richer = _added(case, case.account, position, free)
    if isinstance(richer, Refusal) or case.saved(richer):
        return  # adding alone does it
    pool = next((a for a in case.assessed(richer) if a.pool.name == case.pool.pool.name), None)
    if pool is None:
        return
    way = _reduction(case._replace(account=richer, pool=pool), pool.lines[0])
    if way.refusal is None:
        said = f"add {plain(free)} {asset} of margin from the wallet and {way.what}"
        yield way._replace(kind="add_and_reduce", what=said, tied=free)


def _pro_rata(case: _Case) -> Iterator[Way]:
    """Close the same share of every position of a shared pool, in steps of a hundredth of a percent."""
    lines = case.pool.lines
    if case.pool.pool.isolated or len(lines) < 2:
        return

    def sizes(share: Decimal) -> list[Quantity]:
        return [
            min(abs(x.position.quantity), round_to(abs(x.position.quantity) * share, x.contract.quantity_step or STEP,
                                                   rounding=ROUND_CEILING))
            for x in lines
        ]  # fmt: skip

    def closed(share: Decimal) -> Account | Refusal:
        account = case.account
        for line, amount in zip(lines, sizes(share), strict=True):
            after = _reduced(case._replace(account=account), line, amount)
            if isinstance(after, Refusal):
                return after
            account = after
        return account

    def reaches(share: Decimal) -> bool:
        after = closed(share)
        return not isinstance(after, Refusal) and case.saved(after)

    share = _least(reaches, step=_SHARE, most=ONE, guess=None)
    after = closed(ONE if share is None else share)
    if isinstance(after, Refusal):
        yield _none("reduce_all", "close a share of every position", str(after))
    elif share is None:
        yield _none("reduce_all", "close a share of every position", "closing all of it is not enough")
    else:
        fee = sum((case.fee(line.position.symbol) * amount * line.contract_value
                   for line, amount in zip(lines, sizes(share), strict=True)), ZERO)  # fmt: skip
        said = f"close {plain(share * 100)} % of every position at the mark"
        yield _way(case, "reduce_all", said, after, amount=share, unit="share", cash=(fee, ZERO, ZERO))


def _cancels(case: _Case) -> Iterator[Way]:
    """Cancel orders where they count against the pool: one of them if one is enough, else all."""
    orders = case.pool.pool.orders
    if not orders:
        return
    kept = tuple(order for order in case.account.orders if order not in orders)
    every = replace(case.account, orders=kept)
    for order in orders:
        one = replace(case.account, orders=tuple(o for o in case.account.orders if o is not order))
        if case.saved(one):
            said = (
                f"cancel the order to {order.side} {plain(abs(order.quantity))} {order.symbol} at {plain(order.price)}"
            )
            yield _way(case, "cancel_orders", said, one)
            return
    what = "cancel the order" if len(orders) == 1 else f"cancel all {len(orders)} orders"
    if case.saved(every):
        yield _way(case, "cancel_orders", what, every)
        return
    health = _health(case, every)
    why = "orders do not count against this pool here" if health == case.pool.health else "it is not enough"
    yield _none("cancel_orders", what, why, health)


def _hedges(case: _Case) -> Iterator[Way]:
    """Open the opposite leg, where the account holds two: it stops the loss, and costs its fee and margin."""
    if case.pool.pool.isolated:
        return
    symbols = {line.position.symbol for line in case.pool.lines}
    for line in case.pool.lines:
        position = line.position
        what = f"hedge {position.symbol} {position.side}"
        if case.account.position_mode is not PositionMode.HEDGE:
            yield _none("hedge", what, "in one-way mode the opposite trade closes; a hedge needs hedge mode")
            continue
        if case.account.position(position.symbol, "short" if position.side == "long" else "long") is not None:
            continue
        size = abs(position.quantity)

        def reaches(amount: Quantity, line: PositionLine = line) -> bool:
            after = _hedged(case, line, amount)
            return not isinstance(after, Refusal) and case.saved(after)

        amount = _least(reaches, step=line.contract.quantity_step or STEP, most=size, guess=None)
        whole = _hedged(case, line, size if amount is None else amount)
        if isinstance(whole, Refusal):
            yield _none("hedge", what, str(whole))
        elif amount is None:
            rest = "" if len(symbols) == 1 else f" of {position.symbol}"
            why = f"whole, it stops every move{rest} from mattering, but what is required stays: health does not rise"
            yield _none("hedge", what, why, _health(case, whole))
        else:
            value = amount * line.contract_value
            margin = divide(value, position.leverage, places=24) if position.leverage else ZERO
            said = f"hedge {plain(amount)} of {plain(size)} {position.symbol} with the opposite leg"
            cash = (case.fee(position.symbol) * value, ZERO, margin)
            yield _way(case, "hedge", said, whole, amount=amount, unit="contracts", cash=cash)


def _hedged(case: _Case, line: PositionLine, amount: Quantity) -> Account | Refusal:
    position = line.position
    other = "short" if position.side == "long" else "long"
    signed = -amount if position.quantity > 0 else amount
    fill = change.Fill(position.symbol, signed, line.mark_price, position.leverage, position.margin_mode, other,
                       case.fee(position.symbol))  # fmt: skip
    outcome = change.trade(case.account, fill, marks=case.marks, rulebook=case.rulebook)
    return outcome if isinstance(outcome, Refusal) else outcome.account


def _switches(case: _Case) -> Iterator[Way]:
    """Put an isolated position on the shared wallet, or ring-fence one of a shared pool, where the venue allows it."""
    isolated = case.pool.pool.isolated
    mode = MarginMode.CROSS if isolated else MarginMode.ISOLATED
    for symbol in dict.fromkeys(line.position.symbol for line in case.pool.lines):
        what = f"switch {symbol} to {mode.value}"
        outcome = change.switch_margin_mode(case.account, symbol, mode, marks=case.marks, rulebook=case.rulebook)
        if isinstance(outcome, Refusal):
            yield _none("switch_mode", what, str(outcome))
        elif case.saved(outcome.account, shared=True):
            yield _way(case, "switch_mode", what, outcome.account)
        else:
            yield _none("switch_mode", what, "it is not enough", _health(case, outcome.account))


@exact
def _least(
    reaches: Callable[[Decimal], bool], *, step: Decimal, most: Decimal, guess: Decimal | None
) -> Decimal | None:
    """Return the smallest multiple of ``step`` up to ``most`` (or ``most`` itself) that reaches; None: not even that.

    ``reaches`` is taken to stay true once it is. Begins at ``guess``, which mostly is the answer.
    """
    top = int(divide(most, step, places=0, rounding=ROUND_CEILING))
    fails, does = 0, top
    if guess is not None:
        near = int(divide(guess, step, places=0, rounding=ROUND_CEILING))
        for number in (near - 1, near, near + 1):
            if not fails < number < does:
                continue
            if reaches(number * step):
                does = number
                break
            fails = number
    if does == top and not reaches(most):
        return None
    while does - fails > 1:
        middle = (fails + does) // 2
        fails, does = (fails, middle) if reaches(middle * step) else (middle, does)
    return min(does * step, most)


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def as_json(found: Rescue) -> dict[str, Any]:
    """Return a rescue as ``ringfence rescue --json`` prints it: decimals as strings, none and unknown as null."""
    return {
        "schema": SCHEMA,
        "target_health": plain(found.target),
        "target_source": found.level_source,
        "unknown_pools": list(found.unknown),
        "pools": [
            {
                "pool": pool.pool,
                "asset": pool.asset,
                "status": pool.status,
                "health": _text(pool.health),
                "balance": plain(pool.balance),
                "liquidation_requirement": plain(pool.required),
                "ways": [_way_json(way) for way in pool.ways],
            }
            for pool in found.pools
        ],
        "notes": list(found.notes),
    }


def _way_json(way: Way) -> dict[str, Any]:
    document: dict[str, Any] = way._asdict()
    del document["account"]
    numbers = ("amount", "cost", "outside", "tied", "health", "room")
    return {key: _text(value) if key in numbers else value for key, value in document.items()}


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


__all__ = ["HIGHEST", "SCHEMA", "STEP", "Endangered", "Rescue", "Way", "as_json", "rescue"]
