"""ringfence: the margin of crypto-futures accounts, exact, by each exchange's own dated rules.

    >>> from ringfence import read_account, assess_account
    >>> file = read_account("account.json")
    >>> for pool in assess_account(file.account, file.marks, file.rulebook()):
    ...     print(pool.pool.name, pool.health, pool.status)

``docs/reference/python.md`` lists what is public. Start reading the maths at :mod:`ringfence.margin.formulas`.
"""

from ringfence.account import Account, Collateral, MarginMode, OpenOrder, Pool, Position, PositionMode, pools
from ringfence.account_file import AccountFile
from ringfence.account_file import read as read_account
from ringfence.contract import Contract, ContractKind
from ringfence.errors import BadAccount, BadInput, BadRulebook, BadTape, RingfenceError
from ringfence.margin.assess import Assessment, PositionLine, assess, assess_account
from ringfence.margin.price import LiquidationPrices, bankruptcy_price, break_even_price, liquidation_price
from ringfence.rulebook import Rulebook
from ringfence.rulebooks import load as load_rulebook

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
