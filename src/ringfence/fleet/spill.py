"""Rows that are too many for memory, in files beside the output until their part's turn comes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from zlib import crc32

from ringfence.fleet.schema import pyarrow
from ringfence.fleet.tables import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTS = 64


class Spill:
    """Rows parted by account into files of a folder beside the output, which goes when the build ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=".fleet-", dir=folder)
        self._writers: dict[tuple[str, int, int], Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers.values():
            writer.close()
        self._folder.cleanup()

    def _path(self, kind: str, file: int, part: int) -> Path:
        return Path(self._folder.name) / f"{kind}-{file}-{part}.arrow"

    def add(self, rows: Rows) -> None:
        """Put rows into the files of their accounts' parts."""
        import numpy as np
        from pyarrow import ipc

        pa = pyarrow()
        coded = rows.account.dictionary_encode()
        parts = np.array([crc32((name or "").encode()) % _PARTS for name in coded.dictionary.to_pylist()], np.int64)
        of_row = parts[coded.indices.to_numpy(zero_copy_only=False)]
        batch = pa.record_batch({"account": rows.account, **rows.columns, "row": pa.array(rows.row)})
        for part in np.unique(of_row).tolist():
            key = (rows.kind, rows.file, part)
            if key not in self._writers:
                options = ipc.IpcWriteOptions(compression="lz4")
                self._writers[key] = ipc.new_stream(str(self._path(*key)), batch.schema, options=options)
            self._writers[key].write_batch(batch.take(pa.array(np.flatnonzero(of_row == part))))

    def parts(self) -> Iterator[list[Rows]]:
        """Yield the rows of one part after the other."""
        from pyarrow import ipc

        for writer in self._writers.values():
            writer.close()
        keys, self._writers = sorted(self._writers), {}
        for part in range(_PARTS):
            found = []
            for kind, file, number in keys:
                if number == part:
                    with ipc.open_stream(str(self._path(kind, file, part))) as reader:
                        table = reader.read_all().combine_chunks()
                    columns = {name: table.column(name).combine_chunks() for name in table.schema.names}
                    account, row = columns.pop("account"), columns.pop("row")
                    found.append(Rows(kind, account, columns, row.to_numpy(), file, exact=True))
            if found:
                yield found


__all__ = ["Spill"]
