"""What comes in from sources: read once, checked, and put together account by account.

Flat tables are read once and checked; when they hold more rows than fit a fixed budget, they are spilled to files
(:mod:`.spill`), parted by account, and put together part by part. So a fleet larger than memory can be built. Its
order of accounts is then by part, else that in which accounts are first named.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ringfence import rulebooks
from ringfence.account import CollateralMode
from ringfence.errors import BadConfiguration
from ringfence.fleet.accounts import batch_of
from ringfence.fleet.assembly import assemble
from ringfence.fleet.checks import RuleChecks
from ringfence.fleet.faults import MOST, Faults
from ringfence.fleet.nested import conformed
from ringfence.fleet.places import ByAccount, one_file
from ringfence.fleet.schema import KEY, UNIT, Terms, arrow_schema, canonical, pyarrow, schema_of_file, terms_of
from ringfence.fleet.sources import account_files, batches_of, columns_of
from ringfence.fleet.spill import Spill
from ringfence.fleet.tables import Names, Rows, TableReader, kind_of
from ringfence.margin.portfolio.marks import INDEX
from ringfence.numbers import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from ringfence.account import RiskInputs
    from ringfence.account_file import AccountFile
    from ringfence.fees import AccountFees
    from ringfence.fleet.places import Places
    from ringfence.fleet.sources import Source
    from ringfence.numbers import Price

ROWS_AT_ONCE = 6_000_000  #: rows of flat tables held in memory; beyond, they are spilled


class Risk(NamedTuple):
    """What portfolio margin needs of a market (:class:`ringfence.fleet.schema.Terms`), as far as it is known."""

    time: datetime | None
    prices: dict[str, Price]
    rates: dict[str, Decimal]
    volatility: dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Request:
    """What a fleet is to be: its rulebook and day (None: as the sources say), marks, columns, sizes.

    ``marks``: among them index prices, as ``index:BTC``; ``time``: of the marks (portfolio margin).
    ``stand_in``: ``coin`` where the marks are a tape's, of whatever venue's names: symbols on the same coin take them
    (:mod:`ringfence.fleet.stand_ins`).
    """

    rulebook: str | None = None
    as_of: date | None = None
    marks: Mapping[str, Price] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    most_faults: int = MOST
    rows_at_once: int = ROWS_AT_ONCE
    unit: int = UNIT
    time: datetime | None = None
    stand_in: Literal["coin"] | None = None


def taken_in(
    given: Mapping[str, Any],
    *,
    rulebook: str | None,
    as_of: date | None,
    marks: Mapping[str, Price],
    columns: Mapping[str, str],
) -> tuple[Terms, Any]:
    """Return the terms and the one table with lists that Arrow tables make, by kind (``Fleet.from_arrow``)."""
    pa = pyarrow()
    tables = {kind: _table(kind, data) for kind, data in given.items()}
    check_prices(marks)
    if as_of is not None and not isinstance(as_of, date):
        raise BadConfiguration("not a day", where="as_of", expected="a datetime.date", found=repr(as_of),
                               hint="write date(2025, 10, 10)")  # fmt: skip
    if not tables:
        raise BadConfiguration(
            "no table", where="from_arrow", expected="a table with lists, or positions", found="nothing"
        )
    work = Intake([], Request(rulebook, as_of, marks, Names(columns)), Path(), tables)
    batches = list(work.batches())
    table = pa.Table.from_batches(batches, schema=arrow_schema())
    terms = work.terms()
    return terms, table.replace_schema_metadata({KEY: terms.to_json().encode()})


def _table(kind: str, data: Any) -> Any:
    """Return Arrow data as a table. Raises BadConfiguration for anything else."""
    pa = pyarrow()
    try:
        return pa.table(data)
    except (TypeError, ValueError, pa.ArrowException):
        raise BadConfiguration(
            "no Arrow data", where=f"{kind}=", expected="a Polars or pandas frame, a pyarrow table, or anything of the "
            "Arrow PyCapsule interface", found=f"a {type(data).__name__}",
            hint="files are read by `ringfence fleet build`, or by polars.read_csv and its like",
        ) from None  # fmt: skip


def check_prices(marks: Mapping[str, Any]) -> None:
    """Raise BadConfiguration for a mark that is no exact price above 0: a float has no digits of its own."""
    for symbol, price in marks.items():
        exact = isinstance(price, (Decimal, int)) and not isinstance(price, bool)
        if not exact or not Decimal(price).is_finite() or price <= 0:
            raise BadConfiguration(
                f"no mark for {symbol}", where="marks", expected="a Decimal above 0", found=repr(price),
                hint='write Decimal("60350.5")',
            )  # fmt: skip


class Intake:
    """One taking in: reads sources in turn, and keeps what the terms will say.

    Raises BadRulebook at once for a rulebook that is not known, or not on that day.
    """

    def __init__(
        self, sources: Sequence[Source], request: Request, folder: Path, tables: Mapping[str, Any] | None = None
    ) -> None:
        self.request, self.folder = request, folder
        self.faults = Faults(request.most_faults)
        self.sources, self.tables = sources, tables or {}
        self.rulebook, self.as_of = request.rulebook, request.as_of
        if request.rulebook is not None:
            rulebooks.load(request.rulebook, request.as_of)  # an unknown one is told before millions of rows are read
        self.policy: Mapping[str, Any] | None = None
        self.contracts: dict[str, Any] = {}
        self.fees: AccountFees | None = None
        given = Terms("", marks={}).at(request.marks)
        self.marks: dict[str, Price] = dict(given.marks)
        self.risk = Risk(request.time, dict(given.index), {}, {})
        self.exact = True
        self._disagreed: dict[str, None] = {}
        self._notes: list[str] = []
        self._checks: RuleChecks | None = None

    def terms(self) -> Terms:
        """Return the terms as far as they are known. Raises BadConfiguration without a rulebook."""
        if self.rulebook is None:
            raise BadConfiguration(
                "whose rules hold is not known", where="rulebook", expected="the name of a rulebook", found="nothing",
                hint="name one (rulebook=NAME in Python, --rulebook NAME on the command line); "
                "`ringfence rulebooks list` lists them",
            )  # fmt: skip
        return Terms(self.rulebook, self.as_of, self.marks, self.policy or {}, self.contracts, self.fees, self.exact,
                     self.notes(), (), *self.risk)  # fmt: skip

    def notes(self) -> tuple[str, ...]:
        """Return what was assumed or left out."""
        found = list(self._notes)
        if not self.exact:
            found.append("some amounts came as binary floats and are taken at their shortest decimal text")
        if self._disagreed:
            found.append(
                f"no mark kept for {', '.join(self._disagreed)}: the sources state different ones; give --marks"
            )
        return tuple(dict.fromkeys(found))

    def batches(self) -> Iterator[Any]:
        """Yield checked batches of accounts; raise BadFleet at the end when anything was wrong."""
        flat: list[tuple[TableReader, Iterable[Any]]] = []
        nested: list[tuple[str, Iterable[Any]]] = []
        for source in self.sources:
            if source.form in {"accounts", "account"}:
                yield from self._accounts(source)
                continue
            names = columns_of(source)
            kind = kind_of(names, self.request.names, where=source.name)
            if kind == "fleet":
                self._take_terms(source)
                nested.append((source.name, batches_of(source, self.faults)))
            else:
                reader = TableReader(names, self.request.names, where=source.name, file=len(flat))
                flat.append((reader, batches_of(source, self.faults)))
        for kind, table in self.tables.items():
            if kind == "fleet":
                self._take_table_terms(table)
                nested.append(("fleet", table.to_batches()))
            else:
                reader = TableReader(table.schema.names, self.request.names, where=kind, file=len(flat), kind=kind)
                flat.append((reader, table.combine_chunks().to_batches()))
        for where, parts in nested:
            first = 1
            for part in parts:
                batch, exact = conformed(part, self.faults, where=where, first=first)
                self.exact = self.exact and exact
                stood = one_file(where, range(first, first + part.num_rows))
                first += part.num_rows
                yield from self._checked(batch, ByAccount(batch, stood))
        if flat:
            kinds = {reader.kind for reader, _ in flat}
            if "positions" in kinds and "wallets" not in kinds:
                self._notes.append("no table of wallets was given: shared wallets are taken to be empty")
            yield from self._flat(flat)
        if self._checks is not None:
            self._checks.finish()
        self.faults.raise_any()

    def _checked(self, batch: Any, where: Places) -> Iterator[Any]:
        """Check a batch by the rules and yield it, unless something is wrong with this or an earlier one."""
        if self.faults.found:  # of values: rules are asked of what can be read
            return
        if self._checks is None:
            terms = self.terms()
            self._checks = RuleChecks(terms, terms.rulebook(), self.faults)
        self._checks.check(batch, self.marks, where)
        if not self.faults.found:
            yield batch

    # ── Account files ────────────────────────────────────────────────────────────────────────────────────────────

    def _accounts(self, source: Source) -> Iterator[Any]:
        for files in account_files(source, self.faults):
            for told in files:
                self._agree(told.name, told.file)
            batch, lost = batch_of((told.name, told.file.account) for told in files)
            for at, said in lost:
                self.faults.add(
                    "an amount that cannot be kept",
                    where=files[at].file.where,
                    expected="18 decimal places",
                    found=said,
                )
            stood = one_file(source.name, [told.line for told in files], word="line")
            yield from self._checked(batch, ByAccount(batch, stood))

    def _agree(self, name: str, file: AccountFile) -> None:
        """Take the rulebook, day, policy and contracts of the first file, and hold the others to them."""
        if self.rulebook is None:
            self.rulebook = file.rulebook_name
        if self.policy is None:
            self.policy, self.fees = file.policy, file.fees
            self.as_of = self.as_of or file.as_of
        stated: dict[str, tuple[object, object]] = {
            "rulebook": (self.rulebook, file.rulebook_name),
            "as_of": (self.as_of, self.as_of if self.request.as_of else file.as_of),
            "policy": (dict(self.policy), dict(file.policy)),
            "fees": (self.fees, file.fees),
        }
        for symbol, contract in file.contracts.items():
            stated[f"contracts.{symbol}"] = (self.contracts.setdefault(symbol, contract), contract)
        if file.account.collateral_mode is CollateralMode.PORTFOLIO and file.account.risk is not None:
            stated |= self._risk_of(file.account.risk)
        for what, (first, own) in stated.items():
            if first != own:
                self.faults.add(
                    f"another {what} than the fleet's", where=f"{file.where}: {what}", expected=str(first),
                    found=str(own), hint=f"build a fleet of its own for {name} and its like",
                )  # fmt: skip
        for symbol, price in file.marks.items():
            if symbol not in file.marks_assumed:
                self._mark(symbol, price)

    def _risk_of(self, told: RiskInputs) -> dict[str, tuple[object, object]]:
        """Take the market that a portfolio account states; return each figure as known and as this account has it."""
        if self.risk.time is None:
            self.risk = self.risk._replace(time=told.time)
        stated: dict[str, tuple[object, object]] = {
            "time": (self.risk.time, told.time or self.risk.time if self.request.time is None else self.risk.time)
        }
        for name, known in (("index", self.risk.prices), ("rates", self.risk.rates)):
            for key, number in getattr(told, name).items():
                fixed = name == "index" and f"{INDEX}{key}" in self.request.marks
                stated[f"{name}.{key}"] = (known.setdefault(key, number), known[key] if fixed else number)
        for symbol, rate in told.volatility.items():
            stated[f"implied_volatility of {symbol}"] = (self.risk.volatility.setdefault(symbol, rate), rate)
        return stated

    def _mark(self, symbol: str, price: Price) -> None:
        if symbol in self.request.marks or symbol in self._disagreed:
            return
        if self.marks.setdefault(symbol, price) != price:
            self._disagreed[symbol] = None
            del self.marks[symbol]

    # ── Tables with lists ────────────────────────────────────────────────────────────────────────────────────────

    def _take_terms(self, source: Source) -> None:
        if source.form == "parquet":
            schema = schema_of_file(source.path)
            if KEY in (schema.metadata or {}):
                self._adopt(terms_of(schema, where=source.name))

    def _take_table_terms(self, table: Any) -> None:
        if KEY in (table.schema.metadata or {}):
            self._adopt(terms_of(table.schema, where="fleet"))

    def _adopt(self, terms: Terms) -> None:
        self.rulebook, self.as_of = self.rulebook or terms.rulebook_name, self.as_of or terms.as_of
        self.policy, self.contracts = self.policy or terms.policy, {**terms.contracts, **self.contracts}
        self.fees = self.fees or terms.fees
        self.risk = Risk(
            self.risk.time or terms.time, {**terms.index, **self.risk.prices}, {**terms.rates, **self.risk.rates},
            {**terms.volatility, **self.risk.volatility},
        )  # fmt: skip
        self.exact = self.exact and terms.exact
        self._notes += terms.notes
        for symbol, price in terms.marks.items():
            self._mark(symbol, price)

    # ── Flat tables ──────────────────────────────────────────────────────────────────────────────────────────────

    def _flat(self, tables: Sequence[tuple[TableReader, Iterable[Any]]]) -> Iterator[Any]:
        files = [reader.where for reader, _ in tables]
        with ExitStack() as stack:
            held: list[Rows] = []
            count = 0
            spill: Spill | None = None
            for reader, batches in tables:
                self._notes += reader.notes()
                for batch in batches:
                    rows = reader.read(batch, self.faults)
                    self.exact = self.exact and rows.exact
                    for symbol, price in _told(rows, rows.marks):
                        self._mark(symbol, price)
                    for symbol, rate in _told(rows, rows.volatility):
                        if self.risk.volatility.setdefault(symbol, rate) != rate:
                            self.faults.add(
                                f"two implied volatilities for {symbol}",
                                where=f"{reader.where}: column {reader.used['implied_volatility']}",
                                expected=plain(self.risk.volatility[symbol]), found=plain(rate),
                                hint="one market stands behind a fleet: give one volatility per option",
                            )  # fmt: skip
                    count += len(rows.row)
                    held.append(rows._replace(marks=None, volatility=None))
                    if count > self.request.rows_at_once and spill is None:
                        spill = stack.enter_context(Spill(self.folder))
                    if spill is not None:
                        for part in held:
                            spill.add(part)
                        held.clear()
            if self.faults.found:
                return
            for rows_of_part in [held] if spill is None else spill.parts():
                batch, origin = assemble(rows_of_part, files, self.faults)
                yield from self._checked(batch, origin)


def _told(rows: Rows, column: Any) -> Iterator[tuple[str, Decimal]]:
    """Yield every (symbol, number) that rows of positions state of their market, each once."""
    pa = pyarrow()
    if column is None:
        return
    pairs = pa.table({"symbol": rows.columns["symbol"], "told": column}).filter(pa.compute.is_valid(column))
    for pair in pairs.group_by(["symbol", "told"], use_threads=False).aggregate([]).to_pylist():
        number = canonical(pair["told"])
        if number is not None and number > 0 and pair["symbol"] is not None:
            yield pair["symbol"], number


__all__ = ["ROWS_AT_ONCE", "Intake", "Request", "Risk", "taken_in"]
