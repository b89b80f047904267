"""Live exchanges, read only, through ccxt (the extra ``live``): current tables, and accounts turned into files.

Nothing here can place an order: every request that would change something at the exchange is stopped before it
leaves (:func:`ringfence.watch.clients.reading`), and a key that may trade or withdraw is refused where the exchange
tells what a key may do. ccxt is imported when it is first needed, never before.
"""
