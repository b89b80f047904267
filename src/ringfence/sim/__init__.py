"""Seeded worlds of traders, prices and faults, run on the engine under the eyes of an independent auditor."""

from ringfence.sim.auditor import Auditor
from ringfence.sim.laws import LAWS, LawBroken
from ringfence.sim.run import Failure, SimReport, run

__all__ = ["LAWS", "Auditor", "Failure", "LawBroken", "SimReport", "run"]
