"""Scenario files: what is given, what happens, and what must come of it, one thing a line.

::

    # Any line may end with a comment.
    rules binance-usdm                      the packaged rulebook; ``rules bybit-uta as of 2025-06-01``
    contract X step 0.01 clearance 0.01     its terms (linear, size 1, USDT) and, below, its tiers: floor:rate:leverage
    tiers X 0:0.01:50 10000:0.02:20
    fund 1000                               what the insurance fund begins with
    market depth 500                        the tape's market has contracts for so much; without it, for everything
    guard jump 0.5 agreement 0.05           what is believed of prices; without it, everything
    given
    marks X 100
    ann deposits 1000                       also: leverage X 10 · isolates X · hedges · bonus 50 · replenishes X
    ann deposits 2 BTC                      also: withdraws 1 BTC; pools: one pool of all assets; index BTC 60000
    ann portfolio                           that pool, held to the requirement of portfolio margin
    ann buys 99 X                           also: sells … at 95 · named exit · reduces · long
    when
    marks X 90.5                            also: last X 90 · wait 31s · funding X 0.01 · feed X 90 last 91 index 90
    then
    call ann margin_call                    every event since ``when`` that matters, in order
    end safe
    wallet ann = 1000-99*9.5                and what there is afterwards, as arithmetic without spaces

``let name = 5*90.5`` gives arithmetic a name. A file may have several rounds of when and then.
"""

from __future__ import annotations

import ast
import operator
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

from ringfence import rulebooks
from ringfence.contract import Contract, ContractKind
from ringfence.engine import commands as asked
from ringfence.engine import events as happened
from ringfence.engine.decide import handle
from ringfence.engine.evolve import evolve
from ringfence.engine.setup import Fees, Market, PriceGuard, Setup
from ringfence.engine.state import State
from ringfence.ledger import EXTERNAL, INSURANCE, move
from ringfence.rulebook import Tier, TierTable, continuous_deductions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event

_SECOND = 1_000_000
_CLOSE = Decimal("1e-15")  # a share that a division rounded
_OPERATORS: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Failed(AssertionError):
    """A scenario whose expectations do not hold; the text says which line and what was found."""


def value(text: str, names: dict[str, Decimal]) -> Decimal:
    """Return what arithmetic of numbers and names comes to; ValueError for anything else."""

    def of(node: ast.expr) -> Decimal:
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](of(node.left), of(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -of(node.operand)
        if isinstance(node, ast.Constant):
            return Decimal(ast.get_source_segment(text, node) or "")
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        raise ValueError(text)

    try:
        with localcontext(prec=60):
            return of(ast.parse(text, mode="eval").body)
    except (SyntaxError, ArithmeticError) as error:
        raise ValueError(text) from error


@dataclass
class Scenario:
    """A scenario while it runs: the venue it is played on and the names its arithmetic uses."""

    path: Path
    rulebook: str = ""
    as_of: date | None = None
    contracts: dict[str, Contract] = field(default_factory=dict)
    tiers: dict[str, list[list[str]]] = field(default_factory=dict)
    fund: Decimal = Decimal(0)
    depth: Decimal = Decimal(10) ** 12
    guard: PriceGuard = field(default_factory=lambda: PriceGuard(jump=None, from_index=None, stale_after=None))
    names: dict[str, Decimal] = field(default_factory=dict)
    happened: list[Event] = field(default_factory=list)
    number: int = 0
    at: int = 0
    state: State = field(init=False)

    # ── Setting the venue up ─────────────────────────────────────────────────────────────────────────────────────

    def set_up(self, words: list[str]) -> None:
        """Take one line of what stands before ``given``."""
        match words:
            case ["rules", name, *more]:
                self.rulebook, self.as_of = name, date.fromisoformat(more[-1]) if more else None
            case ["contract", symbol, *terms]:
                self.contracts[symbol] = _contract(symbol, dict(zip(terms[::2], terms[1::2], strict=True)))
            case ["tiers", symbol, *rows]:
                self.tiers[symbol] = [row.split(":") for row in rows]
            case ["fund", amount]:
                self.fund = Decimal(amount)
            case ["market", "depth", amount]:
                self.depth = Decimal(amount)
            case ["guard", *figures]:
                self.guard = _guard(dict(zip(figures[::2], figures[1::2], strict=True)))
            case _:
                raise ValueError(" ".join(words))

    def begin(self) -> None:
        """Open the venue."""
        book = rulebooks.load(self.rulebook, self.as_of)
        tables = {
            symbol: (contract, _table(self.tiers[symbol], progressive=book.cross.tier_type == "progressive"))
            for symbol, contract in self.contracts.items()
        }
        setup = Setup(
            self.rulebook,
            given=book.with_tables(tables),
            fees=Fees(Decimal(0), Decimal(0), Decimal("0.0125")),
            market=Market(Decimal(0), Decimal(0), self.depth, 1),
            guard=self.guard,
        )
        self.state = State(setup)
        if self.fund:
            postings = move("USDT", self.fund, out_of=EXTERNAL, into=INSURANCE)
            evolve(self.state, happened.MoneyMoved("fund", 0, "@insurance", "start_fund", postings))

    # ── What is done ─────────────────────────────────────────────────────────────────────────────────────────────

    def act(self, words: list[str]) -> None:
        """Do one line of ``given`` or ``when``."""
        match words:
            case ["marks", *pairs]:
                self._do(asked.UpdatePrices, self._prices(pairs))
            case ["index", *pairs]:
                self._do(asked.UpdatePrices, (), (), self._prices(pairs))
            case ["last", *pairs]:
                self._do(asked.UpdatePrices, (), self._prices(pairs))
            case ["feed", symbol, mark, "last", last, "index", index]:
                said = (self._prices([symbol, price]) for price in (mark, last, index))
                self._do(asked.UpdatePrices, *said)
            case ["funding", symbol, rate]:
                self._do(asked.SettleFunding, symbol, Decimal(rate))
            case ["wait", seconds]:
                self.at += int(seconds.removesuffix("s")) * _SECOND
            case ["let", name, "=", text]:
                self.names[name] = value(text, self.names)
            case [name, *rest]:
                self._trader(name, rest)

    def _trader(self, name: str, words: list[str]) -> None:
        match words:
            case ["deposits" | "withdraws" as verb, amount, *asset]:
                kind = asked.Deposit if verb == "deposits" else asked.Withdraw
                self._do(kind, name, *asset or ["USDT"], value(amount, self.names))
            case ["pools" | "separates" | "portfolio" as verb]:
                modes = {"pools": "multi_asset", "separates": "single_asset", "portfolio": "portfolio"}
                self._do(asked.SetCollateralMode, name, modes[verb])
            case ["bonus", amount]:
                self._do(asked.CreditBonus, name, "USDT", Decimal(amount))
            case ["voucher", voucher, kind, amount, *more]:
                self._voucher(name, voucher, kind, Decimal(amount), dict(zip(more[::2], more[1::2], strict=True)))
            case ["level", *level]:
                self._do(asked.SetFeeLevel, name, " ".join(level))
            case ["discount", discount]:
                self._do(asked.SetFeeDiscount, name, discount, "on")
            case ["leverage", symbol, number]:
                self._do(asked.SetLeverage, name, symbol, Decimal(number))
            case ["isolates", symbol]:
                self._do(asked.SetMarginMode, name, symbol, "isolated")
            case ["hedges"]:
                self._do(asked.SetPositionMode, name, "hedge")
            case ["replenishes", symbol, *amount]:
                self._do(asked.SetReplenishment, name, symbol, "on", Decimal(amount[0]) if amount else None)
            case ["buys" | "sells" as verb, quantity, symbol, *more]:
                self._order(name, verb.removesuffix("s"), quantity, symbol, more)
            case _:
                raise ValueError(f"{name} {' '.join(words)}")

    def _voucher(self, name: str, voucher: str, kind: str, amount: Decimal, more: dict[str, str]) -> None:
        """``share``: of a charge; ``ends``: seconds from now."""
        share = value(more.get("share", "1"), self.names)
        until = self.at + _SECOND + int(more["ends"].removesuffix("s")) * _SECOND if "ends" in more else None
        self._do(asked.CreditVoucher, name, voucher, kind, "USDT", amount, share, until)

    def _order(self, name: str, side: str, quantity: str, symbol: str, more: list[str]) -> None:
        given = iter(more)
        fields: dict[str, Any] = {"type": "market"}
        order = f"o{self.number + 1}"
        for word in given:
            if word == "at":
                fields |= {"type": "limit", "price": Decimal(next(given))}
            elif word == "named":
                order = next(given)
            elif word == "reduces":
                fields["reduce_only"] = True
            else:
                fields["position_side"] = word
        self._do(asked.PlaceOrder, name, order, symbol, side, Decimal(quantity), **fields)

    def _prices(self, pairs: list[str]) -> tuple[tuple[str, Decimal], ...]:
        return tuple((symbol, value(price, self.names)) for symbol, price in zip(pairs[::2], pairs[1::2], strict=True))

    def _do(self, kind: type[Command], *given: Any, **named: Any) -> None:
        self.number += 1
        self.at += _SECOND
        events = handle(self.state, kind(f"c{self.number}", self.at, *given, **named))
        assert not any(self.state.ledger.trial_balance().values())
        self.happened += events

    # ── What came of it ──────────────────────────────────────────────────────────────────────────────────────────

    def told(self) -> list[str]:
        """Return the events since the last ``when`` that a scenario speaks of, a line each."""
        lines = [line for event in self.happened if (line := tell(event)) is not None]
        self.happened = []
        return lines

    def there_is(self, what: str, of: list[str]) -> Decimal:
        """Return one figure of the venue."""
        ledger = self.state.ledger
        match [what, *of]:
            case ["wallet", name, *asset]:
                return ledger.balance(f"wallet:{name}", *asset or ["USDT"])
            case ["voucher", name, voucher]:
                return ledger.balance(f"voucher:{name}:{voucher}", "USDT")
            case ["bonus", name]:
                return ledger.balance(f"bonus:{name}", "USDT")
            case ["margin", name, symbol]:
                legs = ("net", "long", "short")
                return sum((ledger.balance(f"isolated:{name}:{symbol}:{leg}", "USDT") for leg in legs), Decimal(0))
            case ["held", name, symbol, *leg]:
                held = self.state.trader(name).held.get((symbol, leg[0] if leg else "net"))
                return Decimal(0) if held is None else held.quantity
            case ["orders", name]:
                return Decimal(len(self.state.trader(name).orders))
            case ["fund"]:
                return ledger.balance(INSURANCE, "USDT")
            case ["fees"]:
                return ledger.balance("fees", "USDT")
        raise ValueError(f"{what} {' '.join(of)}")


def _guard(figures: dict[str, str]) -> PriceGuard:
    counts: dict[str, Any] = {name: int(figures[name]) for name in ("confirmations", "witnessed") if name in figures}
    rates: dict[str, Any] = {
        name: Decimal(figures[name]) for name in ("jump", "agreement", "from_index") if name in figures
    }
    stale = int(figures["stale_after"].removesuffix("s")) * _SECOND if "stale_after" in figures else None
    return replace(PriceGuard(jump=None, from_index=None, stale_after=stale), **rates, **counts)


def _contract(symbol: str, terms: dict[str, str]) -> Contract:
    rate = terms.get("clearance")
    return Contract(
        symbol,
        ContractKind(terms.get("kind", "linear")),
        Decimal(terms.get("size", "1")),
        terms.get("settles", "USDT"),
        quantity_step=Decimal(terms.get("step", "0.01")),
        taker_fee_rate=None if terms.get("taker") == "schedule" else Decimal(terms.get("taker", "0")),
        maker_fee_rate=None if terms.get("taker") == "schedule" else Decimal(0),
        liquidation_fee_rate=None if rate is None else Decimal(rate),
    )


def _table(rows: list[list[str]], *, progressive: bool) -> TierTable:
    floors = tuple((Decimal(floor), Decimal(rate)) for floor, rate, _ in rows)
    deductions = continuous_deductions(floors) if progressive else tuple(Decimal(0) for _ in floors)
    return TierTable(
        tuple(
            Tier(floor, rate, deduction, Decimal(row[2]))
            for (floor, rate), deduction, row in zip(floors, deductions, rows, strict=True)
        )
    )


def _number(number: Decimal) -> str:
    return format(number, "f")


def tell(event: Event) -> str | None:
    """Return an event in a scenario's words, or None where scenarios do not speak of it."""
    return _tell_liquidation(event) or _tell_order_or_money(event)


def _tell_liquidation(event: Event) -> str | None:
    match event:
        case happened.MarginCalled():
            return f"call {event.account} {event.level}"
        case happened.LiquidationStarted():
            margin = f"{_number(event.margin_balance)} of {_number(event.liquidation_requirement)}"
            return f"start {event.account} {event.pool} {margin}"
        case happened.LiquidationStep():
            return f"step {event.step}"
        case happened.LiquidationEnded():
            return f"end {event.outcome.partition(' ')[0]}"
        case happened.PriceRejected():
            return f"rejected {event.symbol} {_number(event.price)} {event.reason}"
        case happened.CollateralExchanged():
            sold = " ".join(f"{_number(amount)} {asset}" for asset, amount in event.sold)
            return f"exchange {event.account} {event.cause} {_number(event.debt)} {event.asset} for {sold}"
        case happened.InsuranceUsed():
            return f"{event.cause} {event.account} {_number(event.amount)}"
    return None


def _tell_order_or_money(event: Event) -> str | None:
    match event:
        case happened.Refused():
            return f"refused {event.reason}"
        case happened.OrderClosed() if event.reason != "filled":
            return f"cancel {event.account} {event.order} {event.reason}"
        case happened.Traded() if event.cause != "order":
            traded = f"{_number(event.quantity)} {event.symbol} at {_number(event.price)}"
            return f"{event.cause} {event.seller} sells {traded} to {event.buyer}"
        case happened.VoucherClosed():
            return f"voucher {event.account} {event.voucher} {event.reason}"
        case happened.MoneyMoved() if event.cause in {"replenishment", "bonus_used"}:
            return f"{event.cause} {event.account} {_number(event.postings[-1].amount)}"
    return None


def play(path: Path) -> int:
    """Play a scenario file and hold everything it expects; return how many lines it expected. Failed says the first."""
    scenario, section, checked = Scenario(path), "", 0
    expected: list[tuple[int, str]] = []
    lines = [
        *((number, line.partition("#")[0].strip()) for number, line in enumerate(path.read_text().splitlines(), 1)),
        (0, "end of file"),
    ]
    for number, line in lines:
        if line in {"given", "when", "then", "end of file"}:
            if section == "then":
                _compare(scenario, expected, path)
                checked += len(expected)
                expected = []
            if line == "given":
                scenario.begin()
            if line == "when":
                scenario.happened = []
            section = line
        elif line and section == "then":
            expected.append((number, line))
        elif line:
            try:
                (scenario.act if section else scenario.set_up)(line.split())
            except ValueError as error:
                raise Failed(f"{path.name}:{number}: not understood: {line} ({error})") from error
    return checked


def _compare(scenario: Scenario, expected: list[tuple[int, str]], path: Path) -> None:
    told = scenario.told()
    events = [(number, line) for number, line in expected if " = " not in line]
    for index, (number, line) in enumerate(events):
        found = told[index] if index < len(told) else "nothing more"
        if not _same(line, found, scenario.names):
            raise Failed(
                f"{path.name}:{number}: expected {line!r}, found {found!r}; all of it:\n  " + "\n  ".join(told)
            )
    if len(told) > len(events):
        raise Failed(
            f"{path.name}: more happened than it says: {told[len(events)]!r}; all of it:\n  " + "\n  ".join(told)
        )
    for number, line in expected:
        what, equals, text = line.partition(" = ")
        words = what.split()
        if not equals:
            continue
        if words[0] == "let":
            scenario.names[words[1]] = value(text, scenario.names)
            continue
        there, wanted = scenario.there_is(words[0], words[1:]), value(text, scenario.names)
        if abs(there - wanted) > _CLOSE:
            raise Failed(f"{path.name}:{number}: {what} is {there}, not {text} = {wanted}")


def _same(line: str, found: str, names: dict[str, Decimal]) -> bool:
    left, right = line.split(), found.split()
    return len(left) == len(right) and all(
        _same_word(one, other, names) for one, other in zip(left, right, strict=True)
    )


def _same_word(expected: str, found: str, names: dict[str, Decimal]) -> bool:
    if expected == found:
        return True
    try:
        return abs(value(expected, names) - Decimal(found)) <= _CLOSE
    except (ValueError, ArithmeticError):
        return False


__all__ = ["Failed", "Scenario", "play", "tell", "value"]
