"""One account through real prices: begin at ``on_engine``, or ``side_by_side`` for every architecture at once.

::

    on_engine                 isolated and cross at once, with the venue's own liquidation sequence
    replay                    the same with takeovers whole, which needs no engine
    side_by_side              every architecture that the venue offers, measured alike
    engine_run, engine_tape   a venue driven by commands alone; a tape as its prices
    result, ways              what was found: of one replay; of each way, and all of them
    verdict                   the result in a paragraph: ``verdict_takeover``, ``verdict_venue`` by what liquidations do
    words                     what happens, in words
    report*, ways_page        as one HTML file
"""
