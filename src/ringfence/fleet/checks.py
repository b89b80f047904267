"""What an account file is held to, held to by whole batches: symbols, legs, modes, sizes, leverage, collateral prices.

Sizes and leverage are looked over in floating point, with a margin; only what comes close to a limit is asked exactly,
by the same functions that check an account file. So a fleet takes what `ringfence assess` takes, and refuses what it
refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence import account_file
from ringfence.account import DOLLARS, Account
from ringfence.errors import BadInput
from ringfence.fleet.accounts import account_file_of
from ringfence.fleet.numbers_in import floats
from ringfence.fleet.schema import pyarrow
from ringfence.margin.portfolio.requirement import rules_of
from ringfence.numbers import ONE, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.contract import Contract
    from ringfence.fleet.faults import Faults
    from ringfence.fleet.places import Places, Stood
    from ringfence.fleet.schema import Terms
    from ringfence.numbers import Price
    from ringfence.rulebook import Rulebook, TierTable

_NEAR = 1e-9  # relative: far beyond what float64 loses in three operations


class RuleChecks:
    """Checks batches of a fleet against its rulebook, and that no account comes twice in all of them."""

    def __init__(self, terms: Terms, rulebook: Rulebook, faults: Faults) -> None:
        self.terms, self.rulebook, self.faults = terms, rulebook, faults
        self._entries: dict[str, tuple[Contract, TierTable | None] | None] = {}
        self._ids: list[Any] = []
        self._stood: list[Stood] = []

    def check(self, batch: Any, marks: Mapping[str, Price], where: Places) -> None:
        """Note every fault of a batch, each with its place."""
        self._ids.append(batch.column("account"))
        self._stood.append(where.accounts)
        lists = batch.column("positions")
        entries = lists.flatten()
        if len(entries):
            self._positions(batch, entries, marks, where)
        self._symbols(batch.column("orders").flatten(), "orders", where)
        self._wallets(batch, where)
        self._tiers(batch, where)
        self._portfolios(batch, marks, where)

    def finish(self) -> None:
        """Note accounts that came twice, in one batch or in different ones."""
        pa = pyarrow()
        if not self._ids:
            return
        ids = pa.chunked_array(self._ids)
        if pa.compute.count_distinct(ids).as_py() == len(ids):
            return
        counted = pa.compute.value_counts(ids)
        for pair in counted.filter(pa.compute.greater(counted.field("counts"), 1)).to_pylist():
            first, *others = self._places(pair["values"])
            for other in others:
                self.faults.add(
                    f"account {pair['values']} comes more than once", where=other, expected="each account once",
                    found=f"also {first}", hint="give it one line or row, or another name",
                )  # fmt: skip

    def _places(self, account: str) -> list[str]:
        """Return every place of an account's name, in the order in which it came."""
        pa = pyarrow()
        found = []
        for ids, stood in zip(self._ids, self._stood, strict=True):
            mask = pa.compute.equal(ids, pa.scalar(account, pa.string())).to_numpy(zero_copy_only=False)
            found += [stood.place(at) for at in mask.nonzero()[0].tolist()]
        return found

    def _symbols(self, entries: Any, name: str, where: Places) -> tuple[Any, list[str]]:
        """Return entries' symbol codes and the symbols; a symbol without a table is a fault, at its first row."""
        pa = pyarrow()
        if not len(entries):
            return None, []
        coded = entries.field("symbol").dictionary_encode()
        symbols: list[str] = coded.dictionary.to_pylist()
        for code, symbol in enumerate(symbols):
            if symbol in self._entries:
                continue
            try:
                self._entries[symbol] = self.rulebook.entry(symbol)
            except BadInput as error:
                self._entries[symbol] = None
                count = int(pa.compute.sum(pa.compute.equal(coded.indices, code)).as_py())
                first = int(pa.compute.index(coded.indices, pa.scalar(code, coded.indices.type)).as_py())
                more = f" (and in {count - 1:,} more)" if count > 1 else ""
                self.faults.add(error.message, where=f"{where.entry(name, first)}, column symbol{more}",
                                expected=error.expected or "", found=symbol, hint=error.hint)  # fmt: skip
        return coded.indices.to_numpy(zero_copy_only=False), symbols

    def _positions(self, batch: Any, entries: Any, marks: Mapping[str, Price], where: Places) -> None:
        import numpy as np

        codes, symbols = self._symbols(entries, "positions", where)
        counts = np.diff(batch.column("positions").offsets.to_numpy())
        parents = np.repeat(np.arange(batch.num_rows), counts)
        quantity = floats(entries.field("quantity"))
        self._legs(batch, codes, parents, quantity, symbols, where)
        basket = _basket(batch)
        isolated = ~entries.field("isolated_margin").is_null().to_numpy(zero_copy_only=False)
        said = self.rulebook.refusals.get("isolated_margin_in_basket")
        if said is not None:
            for entry in np.flatnonzero(isolated & basket[parents]).tolist():
                self.faults.add(
                    "an isolated position in a basket account",
                    where=f"{where.entry('positions', entry)}, column isolated_margin",
                    expected=f"cross: {said}", found="isolated", hint="leave isolated_margin out",
                )  # fmt: skip
        suspects = self._beyond_limits(entries, codes, symbols, quantity, marks)
        self._ask_exactly(batch, suspects, parents, counts, marks, where)

    def _legs(
        self, batch: Any, codes: Any, parents: Any, quantity: NDArray[np.float64], symbols: list[str], where: Places
    ) -> None:
        """The same leg twice in an account, and both legs of a symbol in one-way mode."""
        import numpy as np

        pa = pyarrow()
        keys = (parents.astype(np.int64) * len(symbols) + codes) * 2 + (quantity > 0)
        hedged = pa.compute.fill_null(pa.compute.equal(batch.column("position_mode"), "hedge"), fill_value=False)
        hedge = hedged.to_numpy(zero_copy_only=False)[parents]
        wide = np.where(hedge, keys, keys | 1)
        order = np.argsort(wide, kind="stable")
        same = np.flatnonzero(np.diff(wide[order]) == 0)
        for at in same.tolist():
            before, entry = int(order[at]), int(order[at + 1])
            twice = keys[before] == keys[entry]
            symbol, side = symbols[int(codes[entry])], "long" if quantity[entry] > 0 else "short"
            self.faults.add(
                f"{symbol} {side} is there twice in one account" if twice
                else f"a long and a short of {symbol} in one-way mode",
                where=f"{where.entry('positions', entry)}, column symbol",
                expected="one row per account, symbol and side" if twice else "one net position per symbol",
                found=f"also {where.entry('positions', before)}",
                hint="add the quantities up, with their average entry price" if twice
                else "net the two, or give the account position_mode hedge",
            )  # fmt: skip

    def _beyond_limits(
        self, entries: Any, codes: Any, symbols: list[str], quantity: NDArray[np.float64], marks: Mapping[str, Price]
    ) -> NDArray[np.int64]:
        """Return the positions that may be larger, or at more leverage, than their tier allows."""
        import numpy as np

        size, entry = np.abs(quantity), floats(entries.field("entry_price"))
        leverage = floats(entries.field("leverage"))
        found = []
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(symbols)))
        for code, symbol in enumerate(symbols):
            known = self._entries.get(symbol)
            if known is None:
                continue
            contract, table = known
            if table is None or not table.tiers:
                continue
            rows = order[(ends[code - 1] if code else 0) : ends[code]]
            own, prices = size[rows], entry[rows]
            in_contracts = table.unit == "contracts"
            unit = float(contract.contract_size)
            at_entry = own if in_contracts else own * (unit / prices if contract.inverse else unit * prices)
            # A leverage is wrong where it is above what the tier of the entry value allows, a little later or earlier.
            floors = np.array([float(tier.floor) for tier in table.tiers]) * (1 - _NEAR)
            most = np.array([np.inf if t.max_leverage is None else float(t.max_leverage) for t in table.tiers])
            tier = np.maximum(np.searchsorted(floors, at_entry, side="right") - 1, 0)
            suspect = leverage[rows] > most[tier] * (1 - _NEAR)
            if suspect.any():  # mostly those at the very highest leverage, which is allowed
                asked = np.flatnonzero(suspect)
                suspect[asked] = _above(entries.field("leverage"), rows[asked], table, tier[asked])
            cap = table.tiers[-1].cap
            if cap is not None:
                mark = marks.get(symbol)
                amount = at_entry
                if mark is not None and not in_contracts:
                    amount = np.maximum(amount, own * float(contract.contract_value(mark)))
                # Legs of a hedge are looked up by the larger or the net one, neither beyond the sum: ask a little more.
                suspect |= amount > float(cap) * 0.49
            found.append(rows[suspect])
        return np.sort(np.concatenate(found)) if found else np.zeros(0, np.int64)

    def _ask_exactly(
        self,
        batch: Any,
        suspects: NDArray[np.int64],
        parents: Any,
        counts: Any,
        marks: Mapping[str, Price],
        where: Places,
    ) -> None:
        import numpy as np

        starts = np.cumsum(counts) - counts
        for parent in np.unique(parents[suspects]).tolist():
            row = batch.slice(parent, 1).to_pylist()[0]
            file = account_file_of(row, self.terms, marks, where="")
            for entry in suspects[parents[suspects] == parent].tolist():
                position = file.account.positions[entry - int(starts[parent])]
                legs = tuple(p for p in file.account.positions if p.symbol == position.symbol)
                account = Account(legs, collateral_mode=file.account.collateral_mode)
                one = account_file.AccountFile(file.rulebook_name, file.as_of, account, file.marks)
                for check, column in (
                    (account_file.check_sizes, "quantity"),
                    (account_file.check_leverage, "leverage"),
                ):
                    try:
                        check(one, self.rulebook)
                    except BadInput as error:
                        self.faults.add(error.message, where=f"{where.entry('positions', entry)}, column {column}",
                                        expected=error.expected or "", found=error.found or "",
                                        hint=error.hint)  # fmt: skip

    def _wallets(self, batch: Any, where: Places) -> None:
        """One balance per asset; in a basket a collateral price for every asset that is held or settled in."""
        import numpy as np

        numbers: dict[str, int] = {}
        wallet, _ = self._assets(batch, "wallet", numbers, where)
        balances = len(wallet)
        terms, _ = self._assets(batch, "collateral", numbers, where)
        basket = _basket(batch)
        if not basket.any():
            return
        self._venue_terms(batch, basket, where)
        positions = batch.column("positions").flatten()
        settled_in = np.zeros(0, np.int64)
        if len(positions):
            coded = positions.field("symbol").dictionary_encode()
            settle = []
            for symbol in coded.dictionary.to_pylist():
                known = self._entries.get(symbol)
                settle.append(-1 if known is None else numbers.setdefault(known[0].settle_asset, len(numbers)))
            parents = np.repeat(np.arange(batch.num_rows), np.diff(batch.column("positions").offsets.to_numpy()))
            assets = np.array(settle)[coded.indices.to_numpy(zero_copy_only=False)]
            shared = positions.field("isolated_margin").is_null().to_numpy(zero_copy_only=False) & (assets >= 0)
            settled_in = np.flatnonzero(shared)
            wallet = np.concatenate([wallet, (parents * _ASSETS + assets)[shared]])
        named = list(numbers)
        dollars = [number for asset, number in numbers.items() if asset in DOLLARS]
        needed, at = np.unique(wallet, return_index=True)
        asked = basket[needed // _ASSETS] & ~np.isin(needed % _ASSETS, dollars) & ~np.isin(needed, terms)
        if asked.any():
            asked &= ~np.isin(needed, self._nothing_held(batch, numbers))
        for key, entry in zip(needed[asked].tolist(), at[asked].tolist(), strict=True):
            place = (
                f"{where.entry('wallet', entry)}, column asset" if entry < balances
                else f"{where.entry('positions', int(settled_in[entry - balances]))}, column symbol"
            )  # fmt: skip
            self.faults.add(
                f"no collateral price for {named[key % _ASSETS]}", where=place,
                expected="a collateral entry for every asset that a basket holds, owes or settles in", found="none",
                hint=f"give a table of collateral with account, asset {named[key % _ASSETS]}, index and ratio",
            )  # fmt: skip

    def _nothing_held(self, batch: Any, numbers: dict[str, int]) -> Any:
        """Return the keys of balances of 0 in assets that nothing of their account is settled in: no price is asked."""
        import numpy as np

        entries, owner = _entries(batch, "wallet")
        held = floats(entries.field("balance"))
        loan = np.nan_to_num(floats(entries.field("loan")))
        keys = owner * _ASSETS + np.array([numbers[asset] for asset in entries.field("asset").to_pylist()], np.int64)
        empty = keys[(held == 0) & (loan == 0)] if len(keys) else keys
        positions, of = _entries(batch, "positions")
        known = {
            symbol: -1 if found is None else numbers.get(found[0].settle_asset, -1)
            for symbol, found in self._entries.items()
        }
        settled = of * _ASSETS + np.array([known[symbol] for symbol in positions.field("symbol").to_pylist()], np.int64)
        return empty[~np.isin(empty, settled)]

    def _venue_terms(self, batch: Any, basket: NDArray[np.bool_], where: Places) -> None:
        """Assets that a basket lists without terms of its own count as the venue says: it must have terms for them."""
        import numpy as np

        entries, owner = _entries(batch, "collateral")
        if not len(entries):
            return
        sliced = _sliced(batch)
        stated = ~entries.field("index").is_valid().to_numpy(zero_copy_only=False)
        for name in ("ratio", "bid_buffer", "ask_buffer", "tier_unit", "moves_with"):
            stated |= entries.field(name).is_valid().to_numpy(zero_copy_only=False)
        names = entries.field("asset").to_pylist()
        said: set[str] = set()
        for entry in np.flatnonzero(basket[owner] & ~stated).tolist():
            asset = names[entry]
            if asset in said or (int(owner[entry]), asset) in sliced:
                continue
            said.add(asset)
            hint = f"give {asset} terms of its own: a ratio beside its index"
            try:
                if self.rulebook.collateral(asset) is None and asset not in DOLLARS:
                    self.faults.add(f"how {asset} counts as collateral is not known", hint=hint, found="an index alone",
                                    where=f"{where.entry('collateral', entry)}, column ratio",
                                    expected="an asset of the venue's collateral list, or a ratio")  # fmt: skip
            except BadInput as error:
                self.faults.add(error.message, where=f"{where.entry('collateral', entry)}, column asset", hint=hint,
                                expected=error.expected or "", found=asset)  # fmt: skip

    def _tiers(self, batch: Any, where: Places) -> None:
        """Discount tiers follow one another from 0, never rise, and belong to an asset that is listed without ratio."""
        entries, owner = _entries(batch, "tiers")
        if not len(entries):
            return
        listed = {
            (int(row), entry["asset"]): entry["ratio"]
            for entry, row in zip(*(part.tolist() for part in _entries(batch, "collateral")), strict=True)
        }
        before: dict[tuple[int, str], Any] = {}
        for number, (entry, row) in enumerate(zip(entries.to_pylist(), owner.tolist(), strict=True)):
            key, last = (row, entry["asset"]), before.get((row, entry["asset"]))
            place = where.entry("tiers", number)
            begins = 0 if last is None else last["cap"]
            if begins is None or entry["floor"] != begins:
                self.faults.add("tiers that do not follow one another", where=f"{place}, column floor",
                                expected="a cap of the tier before" if begins is None else plain(ONE * begins),
                                found=plain(entry["floor"]), hint="the first tier starts at 0, and each next one where "
                                "the one before it ends")  # fmt: skip
            if last is not None and entry["ratio"] > last["ratio"]:
                self.faults.add("a collateral ratio that rises", where=f"{place}, column ratio",
                                expected=f"at most {plain(last['ratio'])}", found=plain(entry["ratio"]),
                                hint="more of an asset never counts for more per unit")  # fmt: skip
            if last is None and (key not in listed or listed[key] is not None):
                self.faults.add("a ratio and tiers" if key in listed else f"tiers of {entry['asset']}, without a price",
                                where=f"{place}, column asset", found="both" if key in listed else "no collateral row",
                                expected="a collateral row with an index and without a ratio",
                                hint=f"give {entry['asset']} one row of collateral: account, asset, index")  # fmt: skip
            before[key] = entry

    def _portfolios(self, batch: Any, marks: Mapping[str, Price], where: Places) -> None:
        """Portfolio accounts need what their positions are valued by; options stand in them alone."""
        import numpy as np

        pc = pyarrow().compute
        portfolio = pc.fill_null(pc.equal(batch.column("collateral_mode"), "portfolio"), fill_value=False)
        chosen = portfolio.to_numpy(zero_copy_only=False)
        options = [name for name, found in self._entries.items() if found is not None and found[0].option]
        if options:
            entries, owner = _entries(batch, "positions")
            optional = pc.is_in(entries.field("symbol"), pyarrow().array(options)).to_numpy(zero_copy_only=False)
            chosen = chosen | np.isin(np.arange(batch.num_rows), owner[optional])
        rows = np.flatnonzero(chosen).tolist()
        if not rows:
            return
        if self.rulebook.portfolio is None and bool(portfolio.to_numpy(zero_copy_only=False).any()):
            try:
                rules_of(self.rulebook)
            except BadInput as error:
                first = int(portfolio.to_numpy(zero_copy_only=False).argmax())
                self.faults.add(error.message, where=_account(batch, first, where),
                                expected=error.expected or "", found=error.found or "", hint=error.hint)  # fmt: skip
            return
        for row in rows:
            one = batch.slice(row, 1).to_pylist()[0]
            if any(self._entries.get(entry["symbol"]) is None for entry in one["positions"] or ()):
                continue
            name = _account(batch, row, where)
            try:
                account_file.check_risk(account_file_of(one, self.terms, marks, where=name), self.rulebook)
            except BadInput as error:
                self.faults.add(error.message, where=error.where or name, expected=error.expected or "",
                                found=error.found or "", hint=_IN_TABLES.get(error.message.split(" for ")[0],
                                                                             error.hint))  # fmt: skip

    def _assets(self, batch: Any, name: str, numbers: dict[str, int], where: Places) -> tuple[Any, Any]:
        """Return a key per entry, account · many + number of the asset; an asset that comes twice is a fault."""
        import numpy as np

        entries = batch.column(name).flatten()
        if not len(entries):
            return np.zeros(0, np.int64), None
        coded = entries.field("asset").dictionary_encode()
        own = np.array([numbers.setdefault(asset, len(numbers)) for asset in coded.dictionary.to_pylist()])
        parents = np.repeat(np.arange(batch.num_rows), np.diff(batch.column(name).offsets.to_numpy()))
        keys = parents * _ASSETS + own[coded.indices.to_numpy(zero_copy_only=False)]
        order = np.argsort(keys, kind="stable")
        for at in np.flatnonzero(np.diff(keys[order]) == 0).tolist():
            before, entry = int(order[at]), int(order[at + 1])
            self.faults.add(
                f"{entries[entry]['asset']} is there twice in one account",
                where=f"{where.entry(name, entry)}, column asset", expected="one row per account and asset",
                found=f"also {where.entry(name, before)}", hint="add the two up",
            )  # fmt: skip
        return keys, None


def _above(column: Any, rows: NDArray[np.int64], table: TierTable, tier: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether the leverage in ``rows`` is above the highest of ``tier``, compared exactly."""
    pa = pyarrow()
    most = pa.array([t.max_leverage for t in table.tiers], column.type).take(pa.array(tier))
    above = pa.compute.fill_null(pa.compute.greater(column.take(pa.array(rows)), most), fill_value=False)
    found: NDArray[np.bool_] = above.to_numpy(zero_copy_only=False)
    return found


_ASSETS = 1 << 20  # more assets than there are
_IN_TABLES = {  # what to do where an account did not come as an account file
    "no index price": 'give its price with --marks: a row "index:COIN,PRICE"',
    "no implied volatility": "add a column implied_volatility to the positions",
}


def _entries(batch: Any, name: str) -> tuple[Any, Any]:
    """Return the entries of a list, and the row of each one's account."""
    import numpy as np

    lists = batch.column(name)
    return lists.flatten(), np.repeat(np.arange(batch.num_rows), np.diff(lists.offsets.to_numpy()))


def _sliced(batch: Any) -> set[tuple[int, str]]:
    """Return (row, asset) of whatever has discount tiers of its own."""
    entries, owner = _entries(batch, "tiers")
    return set(zip(owner.tolist(), entries.field("asset").to_pylist(), strict=True))


def _basket(batch: Any) -> NDArray[np.bool_]:
    pa = pyarrow()
    mode = pa.compute.fill_null(batch.column("collateral_mode"), "single_asset")
    found: NDArray[np.bool_] = pa.compute.not_equal(mode, "single_asset").to_numpy(zero_copy_only=False)
    return found


def _account(batch: Any, row: int, where: Places) -> str:
    """Return the place of an account, with its name."""
    return f"{where.accounts.place(row)}, account {batch.column('account')[row]}"


__all__ = ["RuleChecks"]
