"""Very many accounts under one rulebook: kept in Arrow and Parquet, screened and stressed by the compiled fast lane.

    >>> from ringfence.fleet import Fleet
    >>> fleet = Fleet.open("book.fleet.parquet")
    >>> fleet.account("A-17").account.positions

The fast lane (:mod:`ringfence.screen`) says of nearly all pools that they are safe; the exact lane decides the rest and
gives every figure that is shown of a single account. Needs the extra ``fleet``; Ray, only for several machines, the
extra ``ray``.

Modules: ``schema`` what a fleet's file holds; ``fleet`` a fleet, opened or made of Arrow tables; ``tables`` flat tables
on their way in; ``numbers_in`` columns of numbers to exact decimals; ``sources`` files of any producer; ``intake`` what
comes in from them, checked and put together; ``build`` from there to a file; ``example`` a fleet drawn from a seed.
"""

from ringfence.fleet.fleet import Fleet
from ringfence.fleet.schema import Terms

__all__ = ["Fleet", "Terms"]
