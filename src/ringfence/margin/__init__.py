"""The margin maths, exact. A newcomer starts at :mod:`.formulas`, then :mod:`.assess`.

formulas   every formula once, operators only
assess     what a pool holds and is held to: totals, and a line per position, order and asset
price      at which prices it is called, liquidated and bankrupt
move       the combined move of all its marks at which that happens
walk       how both are found: along a line, tier by tier
restore    the smallest deposit and the smallest reduction that bring its health back
order      whether an order is accepted: before and after
scenario   what a book gains and loses under each of a grid of moves, and the worst of it
portfolio  what a portfolio account is required to hold by such scenarios, for four venues' models
refusal    the numbered reasons for a no
change     what an account looks like after a change of margin, leverage, mode or position, or why it is refused
"""
