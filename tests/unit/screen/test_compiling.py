"""Compiling is told when it begins, and no clock counts it."""

from __future__ import annotations

from time import perf_counter

import numba

from ringfence.screen.compiling import clock, compile_seconds, compiling_told


def test_compiling_is_told_once_and_counted_apart_from_the_work() -> None:
    calls: list[str] = []
    inner = numba.njit(lambda x: x + 1)
    outer = numba.njit(lambda x: inner(x) * 2)  # compiles two kernels, one on the way
    before, wall, working = compile_seconds(), perf_counter(), clock()
    with compiling_told(lambda: calls.append("told")):
        assert outer(1) == (1 + 1) * 2
        assert outer(1.5) == (1.5 + 1) * 2
    working, compiled, wall = clock() - working, compile_seconds() - before, perf_counter() - wall  # wall last: longest
    assert calls == ["told"]
    assert compiled > 0
    assert working + compiled <= wall + 1e-6  # nothing is counted twice
    assert compiled > working


def test_what_is_compiled_already_is_not_told() -> None:
    calls: list[str] = []
    again = numba.njit(lambda x: x - 1)
    again(1)
    before = compile_seconds()
    with compiling_told(lambda: calls.append("told")):
        again(2)
    assert (calls, compile_seconds()) == ([], before)
