"""Hold the margin maths to figures that exchanges published: run answer files and compare, figure by figure.

An answer file is a JSON list of cases: an account as it stood, and what the exchange said of it. A case names its
rulebook and day and brings its own tables; the rule that is applied is the rulebook's, never the case's. A file of
another topic (``kind`` instead of ``account``) runs where the topic is implemented.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence import account_file
from ringfence.account import DOLLARS
from ringfence.errors import BadAccount, BadInput
from ringfence.margin.assess import assess_account
from ringfence.margin.price import bankruptcy_price, liquidation_prices
from ringfence.numbers import ZERO, exact, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import OrderLine, PositionLine

SCHEMA = "ringfence.conform/1"


@dataclass(slots=True)
class Report:
    """What became of every figure. ``unsupported`` holds (case, figure, reason); ``mismatched`` what differed.

    ``topics``: kind and rulebook of every topic case, by its id.
    """

    cases: int = 0
    figures: int = 0
    matched: int = 0
    mismatched: list[dict[str, str | None]] = field(default_factory=list)
    unsupported: list[dict[str, str]] = field(default_factory=list)
    topics: dict[str, tuple[str, str]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the report in the form that ``ringfence conform --json`` prints."""
        return {
            "schema": SCHEMA,
            "cases": self.cases,
            "figures": self.figures,
            "matched": self.matched,
            "mismatched": self.mismatched,
            "unsupported": self.unsupported,
        }


class Unsupported(Exception):
    """Raised inside a case for a figure that is not computed yet; carries the reason."""


def conform(paths: Iterable[Path], *, progress: Callable[[Path], None] | None = None) -> Report:
    """Run every case of the JSON files at ``paths`` (folders are searched) and return what matched.

    ``progress`` is told each file before it runs. Raises BadAccount for what is no answer file.
    """
    report = Report()
    for path in _files(paths):
        if progress is not None:
            progress(path)
        text = _read(path)
        cases = account_file.load_text(text, where=str(path))
        if not isinstance(cases, list):
            raise BadAccount("not a list of cases", where=str(path), expected="a JSON list", found=type(cases).__name__)
        for index, case in enumerate(cases):
            _run(case, f"{path}[{index}]", report)
    return report


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        found = (error.strerror or str(error)) if isinstance(error, OSError) else "bytes that are no UTF-8 text"
        raise BadAccount(
            "cannot be read", where=str(path), expected="a list of cases as JSON in UTF-8", found=found,
            hint="name answer files, or a folder that holds nothing else",
        ) from None  # fmt: skip


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob("*.json"))
        elif path.is_file():
            yield path
        else:
            raise BadAccount(
                "no such file or folder", where=str(path), expected="answer files (JSON), or folders of them",
                found="nothing", hint="check the path",
            )  # fmt: skip


def _as_published(case: dict[str, Any]) -> dict[str, Any]:
    """Return a case whose collateral is complete: its terms replace the venue's, and what is not given is whole."""
    account = case["account"]
    if not isinstance(account, dict) or account.get("collateral_mode") in (None, "single_asset"):
        return case
    given, wallet = account.get("collateral") or {}, account.get("wallet") or {}
    if not (isinstance(given, dict) and isinstance(wallet, dict)):
        return case
    whole = {"index": "1", "ratio": "1", "bid_buffer": "0", "ask_buffer": "0"}
    terms = {asset: whole for asset in wallet if asset in DOLLARS}
    for asset, row in given.items():
        stated = {key: value for key, value in row.items() if value is not None} if isinstance(row, dict) else row
        terms[asset] = {**(whole if "tiers" not in stated else {"index": "1"}), **stated} if stated is not row else row
    return {**case, "account": {**account, "collateral": terms}}


def _run(case: Any, where: str, report: Report) -> None:
    if not isinstance(case, dict) or not ("account" in case or "kind" in case):
        raise BadAccount(
            "not a case", where=where, expected="an object with account and expect, or with kind",
            found=f"an object with {', '.join(case)}" if isinstance(case, dict) else type(case).__name__,
            hint="name answer files only; `ringfence assess` reads account files",
        )  # fmt: skip
    report.cases += 1
    name = str(case.get("id", where))
    if "kind" in case:
        _run_topic(case, name, report)
        return
    expected = case.get("expect", [])
    report.figures += len(expected)
    try:
        file = account_file.parse(_as_published({k: v for k, v in case.items() if k != "expect"}), where=name)
        assessments = assess_account(file.account, file.marks, file.rulebook())
    except BadInput as error:  # one case that cannot be read leaves the others their answer
        reason = f"{error.where}: {error.message}" if error.where else error.message
        report.unsupported += [{"case": name, "figure": figure["figure"], "reason": reason} for figure in expected]
        return
    for figure in expected:
        _compare(figure, assessments, name, report)


def _run_topic(case: dict[str, Any], name: str, report: Report) -> None:
    expected = case.get("expected", {})
    report.figures += len(expected)
    report.topics[name] = (str(case["kind"]), str(case.get("rulebook")))
    from ringfence.study import topics  # the formulas of single venues; a figure of an account needs none of them

    computed = topics.compute(case["kind"], str(case.get("rulebook")), case.get("inputs", {}))
    for figure, value in expected.items():
        if computed is None or figure not in computed:
            reason = f"topic {case['kind']} of {case.get('rulebook')} is not implemented yet"
            report.unsupported.append({"case": name, "figure": figure, "reason": reason})
            continue
        tolerance = Decimal(case.get("tolerance", {}).get(figure, "0"))
        _settle(name, figure, None, None, str(value), computed[figure], tolerance, report)


def _compare(figure: dict[str, Any], assessments: tuple[Assessment, ...], name: str, report: Report) -> None:
    symbol, side = figure.get("symbol"), figure.get("side")
    try:
        computed = figure_of(assessments, figure["figure"], symbol, side)
    except Unsupported as reason:
        report.unsupported.append({"case": name, "figure": figure["figure"], "reason": str(reason)})
        return
    tolerance = Decimal(figure.get("tolerance") or "0")
    _settle(name, figure["figure"], symbol, side, figure.get("value"), computed, tolerance, report)


def _settle(
    case: str,
    figure: str,
    symbol: str | None,
    side: str | None,
    expected: str | None,
    computed: object,
    tolerance: Decimal,
    report: Report,
) -> None:
    if _agrees(expected, computed, tolerance):
        report.matched += 1
        return
    shown = plain(computed) if isinstance(computed, Decimal) else None if computed is None else str(computed).lower()
    report.mismatched.append(
        {"case": case, "figure": figure, "symbol": symbol, "side": side, "expected": expected, "computed": shown}
    )


@exact
def _agrees(expected: str | None, computed: object, tolerance: Decimal) -> bool:
    if expected is None or computed is None:
        return expected is None and computed is None
    if isinstance(computed, bool):
        return str(computed).lower() == str(expected).lower()
    if isinstance(computed, Decimal):
        return abs(Decimal(expected) - computed) <= tolerance
    return str(expected) == str(computed)


@exact
def figure_of(
    assessments: tuple[Assessment, ...], figure: str, symbol: str | None, side: str | None
) -> Decimal | bool | None:
    """Return one figure by its name in the answers: of a position or order when a symbol is given, else of the account.

    Raises Unsupported for a figure or a leg that is not there.
    """
    if symbol is None:
        return _account_figure(assessments, figure)
    if side in {"buy", "sell"}:
        return _order_figure(assessments, figure, symbol, side)
    for assessment in assessments:
        for line in assessment.lines:
            if line.position.symbol == symbol and side in (None, line.position.side):
                return _position_figure(assessment, line, figure)
    raise Unsupported(f"no {side} position in {symbol}")


def _position_figure(assessment: Assessment, line: PositionLine, figure: str) -> Decimal | None:
    if figure == "liquidation_price":
        return liquidation_prices(assessment, line.position.symbol).of_side(line.position.side)
    if figure == "bankruptcy_price":
        return bankruptcy_price(assessment, line)
    if figure == "margin_ratio":
        return assessment.margin_ratio
    values = {
        "notional": line.position_value,
        "unrealised_pnl": line.unrealised_pnl,
        "initial_margin": line.initial_margin,
        "maintenance_margin": line.maintenance_margin,
    }
    if figure not in values:
        raise Unsupported(f"a position has no figure {figure}")
    return values[figure]


def _order_figure(assessments: tuple[Assessment, ...], figure: str, symbol: str, side: str | None) -> Decimal | None:
    found: list[OrderLine] = [
        line
        for assessment in assessments
        for line in assessment.orders
        if line.order.symbol == symbol and line.order.side == side
    ]
    if not found:
        raise Unsupported(f"no {side} order in {symbol}")
    values = {
        "initial_margin": found[0].initial_margin,
        "order_cost": found[0].order_cost,
        "notional": found[0].notional,
    }
    if figure not in values:
        raise Unsupported(f"an order has no figure {figure}")
    return values[figure]


def _account_figure(assessments: tuple[Assessment, ...], figure: str) -> Decimal | bool | None:
    if figure == "liquidatable":
        states = [assessment.liquidatable for assessment in assessments]
        return True if True in states else None if None in states else False
    if figure == "margin_ratio":
        shared = [a for a in assessments if not a.pool.isolated] or list(assessments)
        if len(shared) > 1:  # wallets that nothing stands on have no ratio
            shared = [a for a in shared if a.lines or a.orders]
        if len(shared) != 1:
            raise Unsupported("an account of several shared pools has no single ratio")
        return shared[0].margin_ratio
    if figure not in {"margin_balance", "initial_margin", "maintenance_margin", "available_balance", "order_margin"}:
        raise Unsupported(f"an account has no figure {figure}")
    if len({a.asset for a in assessments}) > 1:
        raise Unsupported("an account of several settlement assets has no single total")
    total = ZERO
    for assessment in assessments:
        if figure == "available_balance" and assessment.pool.isolated:
            continue
        value = getattr(assessment, figure)
        if value is None:
            return None
        total += value
    return total
