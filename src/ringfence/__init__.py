"""ringfence: the margin of crypto-futures accounts, exact, by each exchange's own dated rules.

    >>> from ringfence import read_account, assess_account
    >>> file = read_account("account.json")
    >>> for pool in assess_account(file.account, file.marks, file.rulebook()):
    ...     print(pool.pool.name, pool.health, pool.status)

``docs/reference/python.md`` lists what is public. Start reading the maths at :mod:`ringfence.margin.formulas`.

A public name is imported from its module when it is first used: whoever needs one part of the package, such as a
command of the command line, does not wait for the others.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringfence.account import Account, Collateral, MarginMode, OpenOrder, Pool, Position, PositionMode, pools
    from ringfence.account_file import AccountFile
    from ringfence.account_file import read as read_account
    from ringfence.contract import Contract, ContractKind
    from ringfence.errors import BadAccount, BadInput, BadRulebook, BadTape, RingfenceError
    from ringfence.margin.assess import assess, assess_account
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.margin.price import LiquidationPrices, bankruptcy_price, break_even_price, liquidation_price
    from ringfence.rulebook import Rulebook
    from ringfence.rulebooks import load as load_rulebook
else:
    _MODULES = {
        "account": "Account Collateral MarginMode OpenOrder Pool Position PositionMode pools",
        "account_file": "AccountFile read_account=read",
        "contract": "Contract ContractKind",
        "errors": "BadAccount BadInput BadRulebook BadTape RingfenceError",
        "margin.assess": "Assessment PositionLine assess assess_account",
        "margin.price": "LiquidationPrices bankruptcy_price break_even_price liquidation_price",
        "rulebook": "Rulebook",
        "rulebooks": "load_rulebook=load",
    }
    _HOMES = {
        public: (module, name or public)
        for module, names in _MODULES.items()
        for public, _, name in (entry.partition("=") for entry in names.split())
    }

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'ringfence' has no attribute {name!r}")
        from importlib import import_module

        module, inside = _HOMES[name]
        found = globals()[name] = getattr(import_module(f"ringfence.{module}"), inside)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__version__ = "0.1.0"

__all__ = [
    "Account",
    "AccountFile",
    "Assessment",
    "BadAccount",
    "BadInput",
    "BadRulebook",
    "BadTape",
    "Collateral",
    "Contract",
    "ContractKind",
    "LiquidationPrices",
    "MarginMode",
    "OpenOrder",
    "Pool",
    "Position",
    "PositionLine",
    "PositionMode",
    "RingfenceError",
    "Rulebook",
    "assess",
    "assess_account",
    "bankruptcy_price",
    "break_even_price",
    "liquidation_price",
    "load_rulebook",
    "pools",
    "read_account",
]
