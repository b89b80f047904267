"""Deribit: terms of BTC-PERPETUAL, whose margin has no tiers."""

from __future__ import annotations

from recorded_tables.folder import Folder
from recorded_tables.pack import Pack, number
from recorded_tables.rows import contract, in_contracts
from recorded_tables.sources import MEDIUM, spec_source


def deribit(pack: Pack) -> list[Folder]:
    """Terms of BTC-PERPETUAL; margin there is linear in size, so there are no tiers."""
    spec = pack.specs_of("deribit")["BTC-PERPETUAL"]
    folder = Folder("deribit", "2025-12-09", "partial", "Terms of BTC-PERPETUAL; the venue's margin has no tiers.")
    folder.contracts = [
        contract(
            "BTC-PERPETUAL",
            kind="inverse",
            size=spec["contract_size"],
            asset="BTC",
            coverage="partial",
            spec=spec,
            own={
                "quantity_step": in_contracts(spec, "step_size"),
                "minimum_quantity": in_contracts(spec, "min_qty"),
                "liquidation_fee_rate": number(spec["max_liquidation_commission"]),
            },
        )
    ]
    folder.sources = [
        spec_source(
            [spec],
            "all columns",
            MEDIUM,
            "Test network. Recorded in USD; steps and minimum are counted in contracts of 10 USD here. "
            "liquidation_fee_rate is the largest liquidation commission.",
            "2025-12-09",
        )
    ]
    return [folder]


__all__ = ["deribit"]
