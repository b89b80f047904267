"""What a name or path means, and files that are no tapes."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from ringfence.errors import BadTape
from ringfence.tape import load_tape

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "ts,symbol,open,high,low,close\n1760119200,A,1,1,1,1\n"


def test_the_name_of_a_packaged_window_means_it_even_beside_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2025-10-10").write_text(TEXT)
    assert len(load_tape("2025-10-10")) == 6 * 480
    assert len(load_tape("./2025-10-10")) == 1


def test_a_csv_may_begin_with_a_byte_order_mark_and_end_lines_in_any_way(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    tape = load_tape(path)
    assert (tape.name, tape.symbols, tape.provenance.file) == ("t", ("A",), str(path))


def test_a_tape_that_is_nowhere_is_refused_with_the_nearest_window() -> None:
    with pytest.raises(BadTape, match="no such tape") as caught:
        load_tape("2025-10-11")
    assert caught.value.where == "2025-10-11"
    assert "2025-10-10" in str(caught.value.hint)
    assert "2021-05-19" in str(caught.value.expected)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadTape, match="cannot be read") as caught:
        load_tape(tmp_path)
    assert caught.value.where == str(tmp_path)


def test_a_compressed_file_is_refused_with_how_to_decompress_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    with pytest.raises(BadTape, match="compressed") as caught:
        load_tape(path)
    assert caught.value.hint == f"decompress it first: gunzip {path}"


def test_bytes_that_are_neither_text_nor_parquet_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"ts\xff\xfe")
    with pytest.raises(BadTape, match="neither text nor Parquet") as caught:
        load_tape(path)
    assert caught.value.found == "byte 0xff at offset 2"
