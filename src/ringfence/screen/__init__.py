"""The fast lane: who need not be looked at when a price moves.

It may only say "nothing can have happened" or "look". Whoever it does not name would have been found as before, so that
events, digests and journals are the same with it and without.

Exact, for a host's traders::

    bands                 between which prices a pool cannot do anything
    plain_bands           the same for very many pools of positions alone
    by_bands              whom a price concerns, by where those bands end

Compiled (extra ``fleet``), for very many pools::

    instruments           what the rules say of each symbol, as arrays
    columns               pools as packed columns, 10 bytes a position
    packing               the loops that fill them
    sweep                 every pool revalued at new prices
    kernels               its loops, with the bound of what floats may err
    rings                 nearly every pool proved safe without being read
    outlooks              what it keeps of each pool: how low it can come
    ring_kernels          its loops
    triggers              pools of one position, each found at its own price
    trigger_kernels       its loops
    by_columns            a host's screen over such columns, with exact bands for the rest
    compiled, compiling   numba where it is installed; when it compiles, and for how long
"""

from ringfence.screen.bands import Band, PoolBands
from ringfence.screen.by_bands import BandScreen

__all__ = ["Band", "BandScreen", "PoolBands"]
