"""The fast lane: who need not be looked at when a price moves.

It may only say "nothing can have happened" or "look". Whoever it does not name would have been found as before, so that
events, digests and journals are the same with it and without.
"""

from ringfence.screen.bands import Band, PoolBands
from ringfence.screen.by_bands import BandScreen

__all__ = ["Band", "BandScreen", "PoolBands"]
