"""Very many accounts under one rulebook: kept in Arrow and Parquet, screened and stressed by the compiled fast lane.

    >>> from ringfence.fleet import Fleet
    >>> fleet = Fleet.open("book.fleet.parquet")
    >>> fleet.account("A-17").account.positions

The fast lane (:mod:`ringfence.screen`) says of nearly all pools that they are safe; the exact lane decides the rest and
gives every figure that is shown of a single account. Needs the extra ``fleet``; Ray, only for several machines, the
extra ``ray``.

What a fleet is::

    schema                      what its file holds
    fleet                       a fleet, opened or made of Arrow tables
    accounts                    one of its accounts as the exact lane has it, and back
    marks, scenarios, indices   prices to look at it with, moves of them, and the index prices that follow
    stand_ins                   which of its symbols a tape of other names moves
    example                     a fleet drawn from a seed

From sources to a file::

    sources                     files of any producer
    tables, nested              flat tables, and tables with lists, on their way in
    numbers_in                  columns of numbers to exact decimals
    checks, faults, places      what rows are held to, every fault named, and where it stood
    intake                      all of that: taken in, put together account by account
    assembly, spill             rows that become accounts; rows too many for memory
    build                       written whole or not at all

Computed, unit by unit::

    market, models              its symbols as arrays, and what portfolio margin asks for of them
    pooling, parts, books       its pools as arrays, what backs baskets, and portfolio margin by scenarios
    pooling_kernel              compiled: positions put in the order of their pools, amounts as floats
    scenario_kernel             compiled: balance and requirement in many scenarios at once
    book_kernel                 compiled: ends of them for portfolio margin, in a box of prices
    judging                     what the kernel is sure of, and what the exact lane decides
    screening                   who is called or liquidatable now
    stress                      what scenarios do
    unknown                     why the state of some pools is not known
    watching                    a tape through a fleet: at every price, whose pool falls
    watched                     what that found
    apart, apart_kernel         pools that do not fit into columns, on a tape
    in_turn, ray_units          threads of this machine; workers of a cluster
    ray_address                 whether a cluster answers
    results                     as JSON and Parquet
"""

from ringfence.fleet.fleet import Fleet
from ringfence.fleet.schema import Terms

__all__ = ["Fleet", "Terms"]
