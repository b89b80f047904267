"""Live exchanges, read only, through ccxt (the extra ``live``): current tables, and accounts turned into files.

Nothing here can place an order: every request that would change something at the exchange is stopped before it
leaves (:func:`ringfence.watch.clients.reading`), and a key that may trade or withdraw is refused where the exchange
tells what a key may do. ccxt is imported when it is first needed, never before.

Modules: ``clients`` ccxt, opened for reading only; ``keys`` keys by reference; ``venues`` which exchange answers for
which rulebook. Tables: ``contracts`` and ``tiers`` as an exchange has them, ``tables`` both as a rulebook's,
``folders`` written, ``changes`` between two days. Accounts: ``accounts`` live or from a saved reply, ``replies`` what
a reply says, ``binance``, ``bybit`` and ``unified`` what it means, ``book`` in an account file's words, ``figures``
digit by digit.
"""
