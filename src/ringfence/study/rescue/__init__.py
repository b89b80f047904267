"""The ways out of danger: what lifts a pool's health above a wanted one, solved exactly and ranked by cost.

Every way is tried on the account by the venue's rules (:mod:`ringfence.margin.change`) and held to what the account
then is: its amount is the smallest multiple of a step with which the pool's health is *above* the target and no other
pool falls below it; one step less does not do. Ways that cannot do it say why.

Ranked by what is paid for good (fees), then by the cash that has to come from outside, then by what is tied up.
Realising a loss is no cost: the equity is the same before and after.

Modules: ``ways`` every endangered pool and its ways out in their order; ``case`` a pool, and what counts as saved;
``cash`` paid in, added or taken from elsewhere; ``trades`` close, cancel, hedge, switch; ``architectures`` another
architecture; ``result`` what is said.
"""

from __future__ import annotations

from ringfence.study.rescue.case import STEP
from ringfence.study.rescue.result import SCHEMA, Endangered, Rescue, Way, as_json
from ringfence.study.rescue.ways import HIGHEST, rescue

__all__ = ["HIGHEST", "SCHEMA", "STEP", "Endangered", "Rescue", "Way", "as_json", "rescue"]
