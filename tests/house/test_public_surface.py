"""``ringfence.__all__`` is a promise: docs/reference/python.md is the one list of what it holds."""

from __future__ import annotations

import re

import pytest

import ringfence
from tests.house.source_tree import REPOSITORY

REFERENCE = REPOSITORY / "docs" / "reference" / "python.md"
# A documented name is a heading (### `assess(pool, …)`) or the first cell of a table row (| `Pool` | …).
DOCUMENTED = re.compile(r"^(?:#{2,}\s+|\|\s*)`(?:ringfence\.)?([A-Za-z_]\w*)(?=[`(\[:])", re.MULTILINE)


def test_the_public_names_are_sorted_and_there() -> None:
    assert list(ringfence.__all__) == sorted(ringfence.__all__)
    assert [name for name in ringfence.__all__ if not hasattr(ringfence, name)] == []


def test_the_public_names_are_the_documented_ones() -> None:
    if not REFERENCE.exists():
        pytest.skip("docs/reference/python.md is not written yet")
    documented = set(DOCUMENTED.findall(REFERENCE.read_text(encoding="utf-8")))
    assert set(ringfence.__all__) - {"__version__"} == documented


def test_a_documented_name_is_read_from_headings_and_tables() -> None:
    text = "### `assess(pool, marks)`\n| `Pool` | a pool |\n| word | `Other` |\n## `ringfence.Marks`\n"
    assert DOCUMENTED.findall(text) == ["assess", "Pool", "Marks"]
