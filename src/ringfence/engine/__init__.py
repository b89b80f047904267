"""The venue as an event-sourced state machine: a command is decided into events, and the state is the fold of them.

Pure and single-threaded: the clock, ids, chance and prices are inputs, and nothing here reads or writes a file, a
socket or a log. The same commands give the same bytes on every machine. A newcomer starts at :mod:`.commands` and
:mod:`.events`, then :mod:`.decide`, which names the decider of each command, and :mod:`.evolve`.

The frame::

    commands, events    what can be asked, what can happen
    messages, wire      how both are made, and as bytes
    setup, setup_text   what a venue is set up with before the first command, and as text
    decide, evolve      from a command to events; from an event to the state, its only writer
    state, trader       what a venue knows, and what of one trader
    items, snapshot     what the state's digest is a sum over; the state as bytes
    refuse              refusals as events

Orders::

    orders              from placing to filling
    orderbook           the book of one symbol, and what an order or a price would do to it
    liquidity, impact   what the tape's market offers; how forced orders move its prices
    matching, settle    fill by fill, and what a trade does to both sides
    triggers            stops that wait for a price

Money and choices::

    funds, vouchers     deposits, withdrawals, bonus, isolated margin, funding; vouchers
    settings            leverage, margin mode, position mode, replenishment
    collateral          multi-asset accounts: the mode, debts and their exchange
    portfolio           portfolio accounts: the mode, what they may hold, debts repaid early
    expiry              a dated contract's end at its settlement price
    adoption            positions taken over from elsewhere, as they are

Prices and danger::

    prices, doubt       what is believed of a new price, and of one that jumped
    review              margin calls, and whether to liquidate
    plain, bankrupt     traders with nothing but positions; their pools that nobody takes fall in one go
    replenishment       margin topped up before that
    liquidation         step by step, as the rulebook orders it
    reduction           the steps of a portfolio account
    closing             forced orders, clearance fees, handing over to the fund
    deleveraging        what the fund does with it, up to auto-deleveraging
"""
