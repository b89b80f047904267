"""Seeded worlds of traders, prices and faults, run on the engine under the eyes of an independent auditor.

The worlds::

    run                          worlds, step by step, and what came of them
    world                        one: its venue, its traders and their temper, what goes wrong
    venues                       the venues it can be
    paths, sizes                 prices; how big accounts are and how hard they lean
    chance                       chance by arithmetic, the same on every machine
    shrink                       a failure made small

The auditor, who shares no code with what it watches::

    auditor                      holds what happened to the laws, event by event
    laws                         every law by name
    shadow                       its own books, in fractions
    reckoning                    what a pool is worth and required, from the venues' words
    scenarios                    the same for portfolio margin
    charges                      what each trade should cost, and who should pay
    beliefs, adoptions           what it asks of prices, and of positions taken over
    exchanges                    what it asks of collateral that is sold
    deliveries                   what it asks of a contract that is settled
    liquidations, deleveraging   what it asks of a liquidation, and who is next
"""

from ringfence.sim.auditor import Auditor
from ringfence.sim.laws import LAWS, LawBroken
from ringfence.sim.run import Failure, SimReport, run

__all__ = ["LAWS", "Auditor", "Failure", "LawBroken", "SimReport", "run"]
