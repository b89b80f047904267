"""The margin maths, exact. A newcomer starts at :mod:`.formulas`, then :mod:`.assess`.

What is held and required::

    formulas     every formula once, operators only
    assess       what a pool holds and is held to: totals, and a line per position, order and asset
    plain        what decides about a pool of positions alone, without the lines that explain it
    lines        those lines: what each keeps of the tier, rate and fee it came from
    assessment   the answer: totals, health, status, the venue's own ratio
    bonus        what bonus credit, vouchers and trial funds pay of a charge
    portfolio    what a portfolio account is required to hold, for four venues' models
    scenario     what a book gains and loses under each of a grid of moves, and the worst of it

How far it is from its end::

    price        at which prices it is called, liquidated and bankrupt
    move         the combined move of all its marks at which that happens
    walk         how both are found: along a line, tier by tier
    basket       what a basket's assets count for along that line
    forced       where a position is filled that is liquidated without a takeover, and how much of it

What may be changed::

    order        whether an order is accepted: before and after
    change       what an account looks like after a change of margin, leverage, mode or position, or why it is refused
    exchange     debts in a basket: when collateral is sold for them, how much, and what may leave
    restore      the smallest deposit and the smallest reduction that bring health back
    rails        orders held to guard rails of one's own
    refusal      the numbered reasons for a no
"""
