"""Where what a fleet is built of stood: file and row (or line) of every account and of every entry of its lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class Stood(NamedTuple):
    """Where the accounts of a batch stood. ``file``: an index into ``files``; ``row``: from 1, 0 where it is the file.

    ``word``: what a row is called, ``row`` or ``line``.
    """

    files: Sequence[str]
    file: NDArray[np.int32]
    row: NDArray[np.int64]
    word: str = "row"

    def place(self, account: int) -> str:
        """Return file and row of an account of the batch."""
        name, row = self.files[int(self.file[account])], int(self.row[account])
        return f"{name}: {self.word} {row}" if row else name


class Places(Protocol):
    """Where the accounts of a batch, and the entries of their lists, stood."""

    @property
    def accounts(self) -> Stood:
        """Where each account stood, or the first row of it."""

    def entry(self, name: str, entry: int) -> str:
        """Return the place of an entry of the list ``name``, counted through the batch."""


class ByAccount(NamedTuple):
    """Places of accounts that came whole: an entry stands in its account, in that account's row."""

    batch: Any
    accounts: Stood

    def entry(self, name: str, entry: int) -> str:
        """Return the account's place, its name, and which of its entries it is."""
        import numpy as np

        offsets = self.batch.column(name).offsets.to_numpy()
        parent = int(np.searchsorted(offsets - offsets[0], entry, side="right")) - 1
        number = entry - int(offsets[parent] - offsets[0])
        return f"{self.accounts.place(parent)}, account {self.batch.column('account')[parent]}, {name}[{number}]"


def one_file(name: str, rows: Sequence[int] | NDArray[np.int64], *, word: str = "row") -> Stood:
    """Return the places of accounts that stood in these rows of one file."""
    import numpy as np

    return Stood((name,), np.zeros(len(rows), np.int32), np.asarray(rows, np.int64), word)


__all__ = ["ByAccount", "Places", "Stood", "one_file"]
