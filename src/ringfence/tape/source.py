"""What a tape's name or path means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ringfence.errors import BadTape, nearest
from ringfence.tape.csv_file import read_csv_text
from ringfence.tape.packaged import packaged_windows
from ringfence.tape.parquet_file import read_parquet

if TYPE_CHECKING:
    from ringfence.tape.bars import Tape

_PARQUET_MAGIC = b"PAR1"
_GZIP_MAGIC = b"\x1f\x8b"


def load_tape(spec: str | Path) -> Tape:
    """Return the tape of a packaged window's name, or of a path to a CSV or Parquet file.

    A text that is the name of a packaged window means that window; a file of the same name is reached as
    ``./NAME``. The format is told by the file's first bytes, and by the suffix ``.parquet`` or ``.pq``.
    Raises BadTape, which names the file, the line or row, the column, what was expected and what to do.
    """
    if isinstance(spec, str):
        for window in packaged_windows():
            if window.name == spec:
                return window.load()
    path = Path(spec)
    file = str(spec)
    start = _content(path, file=file, size=len(_PARQUET_MAGIC))
    if start == _PARQUET_MAGIC or path.suffix in {".parquet", ".pq"}:
        return read_parquet(path, name=path.stem, file=file)
    if start.startswith(_GZIP_MAGIC):
        raise BadTape(
            "the file is compressed",
            where=file,
            expected="plain CSV or Parquet",
            found="gzip",
            hint=f"decompress it first: gunzip {file}",
        )
    content = _content(path, file=file, size=-1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadTape(
            "the file is neither text nor Parquet",
            where=file,
            expected="UTF-8 text or Parquet",
            found=f"byte 0x{content[error.start]:02x} at offset {error.start}",
            hint="write the tape as CSV in UTF-8",
        ) from None
    return read_csv_text(text, name=path.stem, file=file)


def _content(path: Path, *, file: str, size: int) -> bytes:
    """Return the file's first ``size`` bytes, all of them when it is -1."""
    try:
        with path.open("rb") as stream:
            return stream.read(size)
    except FileNotFoundError:
        names = [window.name for window in packaged_windows()]
        raise BadTape(
            "there is no such tape",
            where=file,
            expected=f"a file, or one of the packaged windows {', '.join(names)}",
            found="neither",
            hint=nearest(file, names) or "list the packaged windows with: ringfence tape list",
        ) from None
    except OSError as error:
        raise BadTape(
            "the file cannot be read",
            where=file,
            expected="a readable CSV or Parquet file",
            found=error.strerror or str(error),
            hint="name a file, not a directory, and check its permissions",
        ) from None
