"""Compiling with numba (extra ``fleet``), imported here and only when something compiled is used."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from ringfence.errors import BadConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., object]")


def available() -> bool:
    """Whether what the compiled screen needs is installed."""
    return find_spec("numba") is not None and find_spec("numpy") is not None


def require() -> None:
    """Raise BadConfiguration, naming the extra, unless numba and numpy are installed."""
    if not available():
        raise BadConfiguration(
            "the compiled screen needs numba and numpy", expected="the extra fleet", found="not installed",
            hint="pip install 'ringfence[fleet]'",
        )  # fmt: skip


def compiled(function: F) -> F:
    """Compile ``function`` for one thread; it lets go of the interpreter lock. The machine code is cached on disk.

    No fast-math: every operation rounds as IEEE 754 says, which the error bounds count on.
    """
    import numba

    return numba.njit(nogil=True, cache=True, error_model="numpy")(function)  # type: ignore[no-any-return]


def compiled_parallel(function: F) -> F:
    """Compile ``function`` so that its ``prange`` loops use all of numba's threads. Cached on disk."""
    import numba

    return numba.njit(nogil=True, cache=True, parallel=True, error_model="numpy")(function)  # type: ignore[no-any-return]


def inlined(function: F) -> F:
    """Compile a function as a part of the kernels that call it: those of the formula sheet, and what a leg needs."""
    import numba

    return numba.njit(nogil=True, forceinline=True, error_model="numpy")(function)  # type: ignore[no-any-return]


def borrowing(function: F) -> F:
    """Compile as :func:`inlined` does a function that makes no arrays, and only looks into those it is handed.

    It need not count who holds them, which costs more than a pool's arithmetic where a kernel hands tuples of them on.
    """
    import numba

    return numba.njit(nogil=True, forceinline=True, error_model="numpy", _nrt=False)(function)  # type: ignore[no-any-return]


__all__ = ["available", "borrowing", "compiled", "compiled_parallel", "inlined", "require"]
