"""What a collateral pool holds, what is required of it, and how healthy that leaves it.

:func:`assess` answers for one pool; the answer *is* the explanation: every total is the sum of lines that keep the
tier, rate, deduction and fee they came from. :func:`assess_account` answers for all pools of an account.

``health = margin balance ÷ liquidation requirement``: at 1 (or just below, by the venue's trigger) the pool is
liquidated. All decisions compare sums; the ratios are only shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.account import Backing, Requirement, pools
from ringfence.errors import BadAccount, BadRulebook
from ringfence.margin import formulas
from ringfence.margin.assessment import Assessment
from ringfence.margin.lines import AssetLine, Charge, OrderLine, PositionLine
from ringfence.margin.portfolio.apply import with_requirement
from ringfence.margin.portfolio.marks import at_marks
from ringfence.numbers import (
    ONE,
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_UP,
    UNIT_VALUE_PLACES,
    VALUE_PLACES,
    ZERO,
    divide,
    exact,
    round_to,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.account import Account, Marks, OpenOrder, Pool, Position
    from ringfence.contract import Contract
    from ringfence.margin.portfolio.requirement import Known
    from ringfence.numbers import Price, Rate, UnitValue, Value
    from ringfence.rulebook import Levels, Policies, Rulebook, TierTable

_ROUNDINGS = {"up": ROUND_UP, "down": ROUND_DOWN}
_PPM = ONE.scaleb(-6)


@exact
def assess(pool: Pool, marks: Marks, rulebook: Rulebook, *, known: Known | None = None) -> Assessment:
    """Return the margin of ``pool`` at ``marks`` under ``rulebook``. Pure and exact.

    ``known``: what another assessment of the same portfolio account has computed (its ``portfolio.known``), to be used
    again where it did not move; the answer is the same.
    Raises BadAccount when a mark is missing, BadRulebook when a symbol has no table .
    """
    scenarios = pool.mode.requirement is Requirement.SCENARIO
    if scenarios:
        pool, marks = at_marks(pool, marks, rulebook.contract)
    inverse = pool.isolated and bool(pool.positions) and rulebook.contract(pool.positions[0].symbol).inverse
    policies = rulebook.policies_for(
        isolated=pool.isolated, basket=pool.mode.backing is Backing.BASKET, inverse=inverse
    )
    symbols = {*[p.symbol for p in pool.positions], *[o.symbol for o in pool.orders]}
    entries = {symbol: rulebook.entry(symbol) for symbol in symbols}
    values = {p.symbol: entries[p.symbol][0].contract_value(_mark(p, marks)) for p in pool.positions}
    lines = tuple([_position_line(p, pool, marks, entries, values, policies) for p in pool.positions])
    if policies.closing_fee == "bankruptcy_price":
        lines = _with_fee_at_bankruptcy(lines, pool, policies)
    orders = tuple([_order_line(o, pool, marks, entries, policies) for o in pool.orders])
    if pool.mode.backing is Backing.BASKET:
        totals = _basket_totals(pool, policies, rulebook.levels, lines, orders)
        return with_requirement(totals, marks, rulebook, known) if scenarios else totals
    return _totals(pool, policies, rulebook.levels, lines, orders)


@exact
def assess_account(account: Account, marks: Marks, rulebook: Rulebook) -> tuple[Assessment, ...]:
    """Return the assessment of every pool of ``account``, isolated pools first."""
    return tuple(assess(pool, marks, rulebook) for pool in pools(account, rulebook.contract, rulebook.collateral))


def _mark(item: Position, marks: Marks) -> Price:
    price = marks.get(item.symbol)
    if price is None:
        raise BadAccount(
            f"no mark price for {item.symbol}", where=item.symbol, expected="a mark for every position held",
            found="none", hint=f"give mark_price, or --mark {item.symbol}=PRICE",
        )  # fmt: skip
    return price


def _position_line(
    position: Position,
    pool: Pool,
    marks: Marks,
    entries: dict[str, tuple[Contract, TierTable | None]],
    values: dict[str, UnitValue],
    policies: Policies,
) -> PositionLine:
    contract, table = entries[position.symbol]
    quantity = position.quantity
    size = abs(quantity)
    value = values[position.symbol]
    inverse = contract.inverse
    entry = contract.contract_value(position.entry_price)
    gross_entry = size * entry
    notional = size * value
    entry_value = -quantity * entry if inverse else quantity * entry
    pnl = (-quantity * value if inverse else quantity * value) - entry_value
    initial_basis = gross_entry if policies.initial_margin_at == "entry" else notional
    initial = _initial_margin(position, contract, table, initial_basis, gross_entry, policies)
    charge = _charge(position, pool, contract, table, entry, value, policies)
    frozen_at_entry = not charge.moving and policies.maintenance_at != "frozen_mark"
    tier, rate, deduction, maintenance = _maintenance(charge, entry if frozen_at_entry else value, policies)
    if not charge.moving:
        charge = charge._replace(fixed=maintenance)
    fee = charge.fee_slope * value + charge.fee
    return PositionLine(
        position,
        contract,
        marks[position.symbol],
        value,
        notional,
        gross_entry if policies.notional_at == "entry" else notional,
        entry_value,
        pnl,
        initial,
        maintenance if maintenance is None or not policies.closing_fee_in_maintenance else maintenance + fee,
        fee,
        None if maintenance is None else maintenance + fee,
        tier,
        rate,
        deduction,
        charge,
    )


def _initial_margin(
    position: Position,
    contract: Contract,
    table: TierTable | None,
    basis: Value,
    gross_entry: Value,
    policies: Policies,
) -> Value | None:
    """Return what the position ties up: value ÷ leverage, or value · rate; plus the fee its venue includes."""
    if policies.initial_rate_base is not None:
        slope = policies.rate_per_unit_of_base or ZERO
        size = abs(position.quantity)
        base_size = size * contract.contract_size if not contract.inverse else basis
        return basis * formulas.rate_by_size(policies.initial_rate_base, slope, base_size)
    leverage = position.leverage
    if leverage is None and policies.unleveraged_initial and table is not None and table.tiers:
        amount = abs(position.quantity) if table.unit == "contracts" else basis
        leverage = table.tiers[table.index_at(amount)].max_leverage
    if leverage is None:
        return None
    if policies.open_interest is not None:
        margin = basis * _open_interest_rate(position, leverage, basis, policies)
    else:
        margin = divide(basis, leverage, places=VALUE_PLACES, rounding=ROUND_CEILING)
    if policies.initial_margin_fee != "none" and contract.taker_fee_rate is not None:
        margin += contract.taker_fee_rate * (
            basis
            if policies.initial_margin_fee == "value"
            else _leverage_bankruptcy_value(position, contract, gross_entry, leverage)
        )
    return _rounded(margin, policies)


def _rounded(margin: Value, policies: Policies) -> Value:
    """Return ``margin`` rounded to the venue's step in the venue's direction, or as it is where it does not round."""
    if policies.initial_margin_rounding == "none":
        return margin
    return round_to(margin, policies.initial_margin_step, rounding=_ROUNDINGS[policies.initial_margin_rounding])


def _open_interest_rate(position: Position, leverage: Decimal, basis: Value, policies: Policies) -> Rate:
    """Return the initial rate after open-interest scaling, in whole parts per million, rounded down (dYdX v4)."""
    base = divide(ONE, leverage, places=6, rounding=ROUND_FLOOR)
    lower, upper = policies.open_interest_lower_cap, policies.open_interest_upper_cap
    if policies.open_interest is None or lower is None or upper is None or upper <= lower:
        return base
    contract_value = divide(basis, abs(position.quantity), places=UNIT_VALUE_PLACES)
    share, width = formulas.open_interest_share(policies.open_interest * contract_value, lower, upper)
    return base + divide((ONE - base) * share, width, places=6, rounding=ROUND_FLOOR)


def _leverage_bankruptcy_value(position: Position, contract: Contract, gross_entry: Value, leverage: Decimal) -> Value:
    """Return the value at which the margin of ``leverage`` is lost: entry value · (1 ∓ 1 ÷ leverage)."""
    margin = divide(gross_entry, leverage, places=VALUE_PLACES, rounding=ROUND_CEILING)
    direction = contract.orientation if position.quantity > 0 else -contract.orientation
    return formulas.bankruptcy_value(gross_entry, margin, direction)


def _charge(
    position: Position,
    pool: Pool,
    contract: Contract,
    table: TierTable | None,
    entry: UnitValue,
    value: UnitValue,
    policies: Policies,
) -> Charge:
    """Return how the leg's requirement moves with the value of one contract; what it is fixed at is not filled in."""
    size = abs(position.quantity)
    legs = [p for p in pool.positions if p.symbol == position.symbol] if pool.hedge else [position]
    charged = size if not pool.hedge or policies.hedge_charge == "both" or _is_larger(position, legs) else ZERO
    slope, offset = _tier_key(position, pool, contract, legs, table, policies)
    moving = policies.maintenance_at == "mark"
    flat: Rate | None = None
    if policies.maintenance_rate_base is not None:
        base_size = size * contract.contract_size if not contract.inverse else size * value
        flat = formulas.rate_by_size(policies.maintenance_rate_base, policies.rate_per_unit_of_base or ZERO, base_size)
    elif (
        policies.tier_type == "adjustment_factor"
        and policies.adjustment_factor is not None
        and position.leverage is not None
    ):
        flat = divide(policies.adjustment_factor, position.leverage, places=UNIT_VALUE_PLACES)
        moving = policies.initial_margin_at == "mark"
    fee_slope, fee = _closing_fee(position, pool, contract, charged, entry, value, policies)
    return Charge(charged, moving, None, table, slope, offset, flat, policies.funding_reserve_rate, fee_slope, fee)


def _is_larger(position: Position, legs: list[Position]) -> bool:
    """Whether ``position`` is the larger leg of its symbol; of equal legs the long one is."""
    return max(legs, key=lambda leg: (abs(leg.quantity), leg.quantity)) is position


def _tier_key(
    position: Position,
    pool: Pool,
    contract: Contract,
    legs: list[Position],
    table: TierTable | None,
    policies: Policies,
) -> tuple[Decimal, Decimal]:
    """Return (per contract value, constant) of the amount that is looked up in the tiers.

    Orders raise the tier where one rate holds for the whole value. Progressive tiers charge each slice of the value at
    its own rate, so that no order changes what the position needs; the rate and deduction of a tier above the
    position's own would even ask for less.
    """
    size = abs(position.quantity)
    if policies.tier_key == "net":
        size = abs(sum((leg.quantity for leg in legs), ZERO))
    elif policies.tier_key == "larger_side":
        size = max(abs(leg.quantity) for leg in legs)
    if table is not None and table.unit == "contracts":
        if policies.tier_key == "underlying_total" and not pool.isolated:
            own = stem(position.symbol)
            size = abs(sum((p.quantity for p in pool.positions if stem(p.symbol) == own), ZERO))
            size = max(size, abs(position.quantity))
        return ZERO, size
    offset = ZERO
    if policies.tier_key == "with_orders" and policies.tier_type != "progressive":
        for order in pool.orders:
            if order.symbol == position.symbol and not order.reduce_only and order.quantity * position.quantity > 0:
                offset += abs(order.quantity) * contract.contract_value(order.price)
    return size, offset


def stem(symbol: str) -> str:
    """Return what expiries of one underlying share in a symbol: ETH-USD of ETH-USD-210430 and of ETH-USD-SWAP."""
    return "-".join(symbol.split("-")[:2])


def _maintenance(
    charge: Charge, value: UnitValue, policies: Policies
) -> tuple[int | None, Rate | None, Value, Value | None]:
    """Return (tier, rate, deduction, maintenance margin without closing fee) at the value of one contract.

    Beyond the end of the last tier its rate goes on: a venue refuses to *open* so much, but a price can carry a
    position there.
    """
    table, charged = charge.table, charge.size * value
    if charge.flat_rate is not None:
        return None, charge.flat_rate, ZERO, charged * (charge.flat_rate + charge.funding)
    if table is None or not table.tiers:
        return None, None, ZERO, None
    amount = charge.tier_slope * value + charge.tier_offset
    index = table.index_at(amount)
    tier = table.tiers[index]
    tier_rate = tier.maintenance_rate
    deduction = tier.deduction if charge.size else ZERO
    if tier_rate is None:
        return index, None, deduction, None
    if policies.maintenance_from_initial:
        return index, tier_rate, deduction, _rounded_fraction(charged, tier_rate, tier.max_leverage, policies)
    margin = formulas.maintenance_margin(charged, tier_rate + charge.funding, deduction)
    return index, tier_rate, deduction, margin


def _rounded_fraction(value: Value, rate: Rate, max_leverage: Decimal | None, policies: Policies) -> Value:
    """Return maintenance as a fraction of the rounded base initial margin, rounded alike (dYdX v4: both up to 1e-6)."""
    if max_leverage is None:
        return _rounded(value * rate, policies)
    base_rate = divide(ONE, max_leverage, places=6, rounding=ROUND_FLOOR)
    fraction = divide(rate, base_rate, places=6, rounding=ROUND_FLOOR)
    return _rounded(_rounded(value * base_rate, policies) * fraction, policies)


def closing_rate(contract: Contract, policies: Policies) -> Rate:
    """Return the closing-fee rate by the venue's policy; 0 where the rate is not known."""
    if policies.closing_fee_rate == "liquidation" and contract.liquidation_fee_rate is not None:
        return contract.liquidation_fee_rate
    return contract.taker_fee_rate or ZERO


def _closing_fee(
    position: Position,
    pool: Pool,
    contract: Contract,
    size: Decimal,
    entry: UnitValue,
    value: UnitValue,
    policies: Policies,
) -> tuple[Decimal, Value]:
    """Return (per contract value, constant) of the closing fee inside the requirement."""
    policy = policies.closing_fee
    rate = closing_rate(contract, policies)
    if policy in {"none", "bankruptcy_price"} or not rate:
        return ZERO, ZERO  # at the bankruptcy price: added once the pool's equity is known
    if policy == "mark":
        return size * rate, ZERO
    if policy == "frozen_mark":
        return ZERO, size * rate * value
    gross_entry = size * entry
    if policy == "entry_and_margin":
        margin = next(iter(pool.balances.values())) if pool.isolated else None
        if margin is not None:
            own = divide(margin - rate * gross_entry, ONE + rate, places=VALUE_PLACES)
        elif position.leverage is not None:
            own = divide(gross_entry, position.leverage, places=VALUE_PLACES)
        else:
            own = ZERO
        return ZERO, rate * (gross_entry + own)
    if policy == "leverage_bankruptcy_price" and position.leverage is not None:
        return ZERO, rate * _leverage_bankruptcy_value(position, contract, gross_entry, position.leverage)
    return ZERO, rate * gross_entry


def _with_fee_at_bankruptcy(
    lines: tuple[PositionLine, ...], pool: Pool, policies: Policies
) -> tuple[PositionLine, ...]:
    """Return the lines with the fee to close at each symbol's bankruptcy price, other marks fixed.

    That price covers its own fee: ``equity(v) = rate · size · v`` (Bybit, inverse contracts in cross margin).
    """
    if pool.mode.backing is Backing.BASKET:
        raise BadRulebook(
            "a closing fee at the bankruptcy price in a basket", where=pool.name,
            expected="a pool that one asset backs", found=", ".join(pool.balances),
            hint="set collateral_mode to single_asset, or give another closing_fee policy",
        )  # fmt: skip
    balance = next(iter(pool.balances.values()), None)
    if balance is None:
        return lines
    total = sum((line.unrealised_pnl for line in lines), ZERO)
    priced = []
    for line in lines:
        rate = closing_rate(line.contract, policies)
        size = line.charge.size
        signed = line.position.quantity * line.contract.orientation
        cash = balance + total - line.unrealised_pnl - line.entry_value
        slope = rate * size - signed
        fee = ZERO
        if rate and slope and (cash > 0) == (slope > 0) and cash:
            fee = divide(rate * size * cash, slope, places=VALUE_PLACES)
        maintenance = line.maintenance_margin
        priced.append(
            line._replace(
                closing_fee=fee,
                charge=line.charge._replace(fee=fee),
                maintenance_margin=maintenance + fee
                if maintenance is not None and policies.closing_fee_in_maintenance
                else maintenance,
                liquidation_requirement=None if maintenance is None else maintenance + fee,
            )
        )
    return tuple(priced)


def _order_line(
    order: OpenOrder,
    pool: Pool,
    marks: Marks,
    entries: dict[str, tuple[Contract, TierTable | None]],
    policies: Policies,
) -> OrderLine:
    contract, table = entries[order.symbol]
    size = abs(order.quantity)
    at_price = contract.contract_value(order.price)
    value = size * at_price
    if order.reduce_only:
        return OrderLine(order, contract, value, ZERO, ZERO, ZERO, ZERO)
    leverage = order.leverage or _leverage_of_leg(order, pool)
    taker = contract.taker_fee_rate or ZERO
    margin = None if leverage is None else divide(value, leverage, places=VALUE_PLACES, rounding=ROUND_CEILING)
    cost = margin
    if margin is not None and policies.order_cost == "with_open_loss":
        mark = marks.get(order.symbol, order.reference_price or order.price)
        cost = margin + formulas.open_loss(order.quantity, contract.unit_value(mark), contract.unit_value(order.price))
    elif margin is not None and policies.order_cost == "with_fees":
        direction = contract.orientation if order.quantity > 0 else -contract.orientation
        cost = margin + taker * (value + formulas.bankruptcy_value(value, margin, direction))
    required = ZERO
    if policies.orders_in_requirement and table is not None and table.tiers:
        tier = table.tiers[table.index_at(size if table.unit == "contracts" else value)]
        required = value * ((tier.maintenance_rate or ZERO) + closing_rate(contract, policies)) - tier.deduction
    opening = taker * value if policies.opening_fees_deducted else ZERO
    return OrderLine(order, contract, value, margin, cost, required, opening)


def _leverage_of_leg(order: OpenOrder, pool: Pool) -> Decimal | None:
    """Return the leverage of the leg that the order works on, else of the other leg; None where neither has one."""
    side = order.position_side or ("long" if order.quantity > 0 else "short")
    held = [p for p in pool.positions if p.symbol == order.symbol]
    return next((p.leverage for p in sorted(held, key=lambda p: p.side != side)), None)


@exact
def order_margin_with(assessment: Assessment, order: OpenOrder, marks: Marks, rulebook: Rulebook) -> Value | None:
    """Return what the orders of an assessed pool would lock with one more of them; None when that is not known.

    The order margin of an assessment with that order, without assessing anew. For a pool that a single asset backs.
    """
    entries = {order.symbol: rulebook.entry(order.symbol)}
    line = _order_line(order, assessment.pool, marks, entries, assessment.policies)
    return _order_margin(assessment.pool, assessment.lines, (*assessment.orders, line))


def _order_margin(pool: Pool, lines: tuple[PositionLine, ...], orders: tuple[OrderLine, ...]) -> Value | None:
    """Return what open orders lock beyond the positions' own initial margin, symbol by symbol, by the worse side.

    One-way: the larger exposure after all buys or after all sells, against the position's own. Hedge mode: each leg on
    its own. Orders that only reduce are free.
    """
    total = ZERO
    for symbol in dict.fromkeys([line.order.symbol for line in orders]):
        held = [line for line in lines if line.position.symbol == symbol]
        working = [line for line in orders if line.order.symbol == symbol]
        sides = _order_sides(pool, held, working)
        if sides is None:
            return None
        total += sides
    return total


def _order_sides(pool: Pool, held: list[PositionLine], working: list[OrderLine]) -> Value | None:
    opening = [line for line in working if not line.order.reduce_only]
    if any(line.order_cost is None or line.initial_margin is None for line in opening):
        return None
    costs = {"buy": ZERO, "sell": ZERO}
    for line in opening:
        if pool.hedge and line.order.position_side not in (None, "long" if line.order.quantity > 0 else "short"):
            continue  # closes the other leg
        costs[line.order.side] += line.order_cost or ZERO
    if pool.hedge or not held:
        return costs["buy"] + costs["sell"] if pool.hedge else max(costs.values())
    against = "sell" if held[0].position.quantity > 0 else "buy"
    own = held[0].initial_margin
    if own is None:
        return max(costs.values())
    return max(costs["buy" if against == "sell" else "sell"], costs[against] - own - own, ZERO)


def _total(values: list[Value | None]) -> Value | None:
    """Return the sum, or None when any part is not known."""
    total = ZERO
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _totals(
    pool: Pool,
    policies: Policies,
    levels: Levels,
    lines: tuple[PositionLine, ...],
    orders: tuple[OrderLine, ...],
) -> Assessment:
    asset, wallet = next(iter(pool.balances.items()))
    pnl = closing = notional = net = order_requirement = opening_fees = ZERO
    for line in lines:
        pnl += line.unrealised_pnl
        closing += line.closing_fee
        notional += line.notional
        net += line.notional if line.position.quantity > 0 else -line.notional
    initial = _total([line.initial_margin for line in lines])
    order_margin: Value | None = ZERO
    if orders:
        order_margin = _order_margin(pool, lines, orders)
        for order in orders:
            order_requirement += order.liquidation_requirement
            opening_fees += order.opening_fee
    maintenance = _total([line.maintenance_margin for line in lines])
    required = _total([line.liquidation_requirement for line in lines])
    balance = None if wallet is None else wallet + pnl
    available = None
    if balance is not None and wallet is not None and initial is not None and order_margin is not None:
        usable = balance
        if policies.available_balance == "profit_excluded":
            usable = wallet + _countable_loss(lines, pool, policies)
        available = max(ZERO, usable - initial - order_margin)
    return Assessment(
        pool,
        policies,
        levels,
        asset,
        wallet,
        pnl,
        balance,
        _held_against(balance, order_margin, opening_fees, policies),
        initial,
        order_margin,
        maintenance,
        closing,
        None if required is None else required + order_requirement,
        available,
        notional,
        net,
        lines,
        orders,
        (),
    )


def _held_against(
    balance: Value | None, order_margin: Value | None, opening_fees: Value, policies: Policies
) -> Value | None:
    """Return what the requirement is held against: the margin balance less what the venue sets aside for orders."""
    if balance is None:
        return None
    if not policies.order_margin_deducted:
        return balance - opening_fees
    return None if order_margin is None else balance - opening_fees - order_margin


def _countable_loss(lines: tuple[PositionLine, ...], pool: Pool, policies: Policies) -> Value:
    """Return the unrealised loss (≤ 0) that reduces what can be opened where profit does not count.

    With ``hedged_loss_locked`` the loss that a hedged quantity has fixed is taken in full, and only the rest nets
    (Bybit, hedge mode since 2020).
    """
    open_pnl = sum((line.unrealised_pnl for line in lines), ZERO)
    if not (policies.hedged_loss_locked and pool.hedge):
        return min(ZERO, open_pnl)
    locked = ZERO
    for long in lines:
        if long.position.quantity < 0:
            continue
        for short in lines:
            if short.position.symbol != long.position.symbol or short.position.quantity > 0:
                continue
            hedged = min(long.position.quantity, -short.position.quantity)
            entry_long = long.contract.unit_value(long.position.entry_price)
            entry_short = short.contract.unit_value(short.position.entry_price)
            fixed = hedged * (entry_short - entry_long)
            open_pnl -= fixed
            locked += min(ZERO, fixed)
    return locked + min(ZERO, open_pnl)


def _basket_totals(
    pool: Pool,
    policies: Policies,
    levels: Levels,
    lines: tuple[PositionLine, ...],
    orders: tuple[OrderLine, ...],
) -> Assessment:
    """Return the totals of a basket: equity credited at the bid or charged at the ask, requirements at the ask.

    Source: Binance, Multi-Assets mode (FAQ c983a9268cfa4e70a4916c276bb3b7bc).
    """
    terms = pool.collateral
    charge = {asset: terms[asset].ask for asset in pool.balances}
    index = {asset: terms[asset].index for asset in pool.balances}
    assets = tuple([_asset_line(asset, charge[asset], pool, lines, orders) for asset in pool.balances])
    pnl = sum([_gained(line) for line in assets], ZERO)
    balance = _total([line.value for line in assets])
    initial = _total([line.initial_margin for line in assets])
    order_margin = _total([line.order_margin for line in assets])
    opening_fees = sum([line.opening_fees for line in assets], ZERO)
    available = None
    if balance is not None and initial is not None and order_margin is not None:
        available = max(ZERO, balance - initial - order_margin)
        assets = tuple([_with_available(line, available, charge[line.asset]) for line in assets])
    closing = notional = net = ZERO
    for line in lines:
        asset = line.contract.settle_asset
        value = line.notional * index[asset]
        closing += line.closing_fee * charge[asset]
        notional += value
        net += value if line.position.quantity > 0 else -value
    return Assessment(
        pool,
        policies,
        levels,
        None,
        None if balance is None else balance - pnl,
        pnl,
        balance,
        _held_against(balance, order_margin, opening_fees, policies),
        initial,
        order_margin,
        _total([line.maintenance_margin for line in assets]),
        closing,
        _total([line.liquidation_requirement for line in assets]),
        available,
        notional,
        net,
        lines,
        orders,
        assets,
    )


def _gained(line: AssetLine) -> Value:
    """Return what an asset's unrealised PnL adds to what the asset counts for; by itself where that is unknown."""
    if not line.unrealised_pnl and not line.premiums:
        return ZERO
    if line.balance is None or line.value is None:
        return line.terms.value(line.unrealised_pnl)
    return line.value - line.terms.value(line.balance)


def _with_available(line: AssetLine, available: Value, ask: Decimal) -> AssetLine:
    """Return an asset's line with what of it can open positions: the pool's available balance at the asset's ask."""
    asset = divide(available, ask, places=VALUE_PLACES, rounding=ROUND_FLOOR)
    return AssetLine(*line[:-1], asset)  # not `_replace`, which takes five times as long


def _asset_line(
    asset: str, ask: Decimal, pool: Pool, lines: tuple[PositionLine, ...], orders: tuple[OrderLine, ...]
) -> AssetLine:
    """Return what one asset of a basket counts for, and what is required in it at its ``ask``."""
    terms, held = pool.collateral[asset], pool.balances[asset]
    own = [line for line in lines if line.contract.settle_asset == asset]
    gained = premiums = ZERO
    for line in own:
        gained += line.unrealised_pnl
        if line.contract.option:
            premiums += line.entry_value  # paid: the whole value counts
    equity = None if held is None else held + gained + premiums
    required = [line.liquidation_requirement for line in own]
    working = tuple([line for line in orders if line.contract.settle_asset == asset])
    required += [line.liquidation_requirement for line in working]
    return AssetLine(
        asset,
        held,
        gained,
        None if equity is None else terms.value(equity),
        _charged(_total([line.initial_margin for line in own]), ask),
        _charged(_total(required), ask),
        _charged(_order_margin(pool, lines, working), ask),
        ask * sum([line.opening_fee for line in working], ZERO),
        terms,
        premiums,
        _charged(_total([line.maintenance_margin for line in own]), ask),
    )


def _charged(amount: Value | None, ask: Decimal) -> Value | None:
    return None if amount is None else amount * ask


__all__ = [
    "assess",
    "assess_account",
    "closing_rate",
    "order_margin_with",
    "stem",
]
