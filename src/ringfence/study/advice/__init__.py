"""Which positions to ring-fence and which to pool: begin at ``advise``.

::

    advise             the verdicts, decided by what happens to this book
    circumstances      who asks and what for
    desk               where it is worked out: what each position is, what is fixed, the ways there are
    holding, groups    ways to hold one book; which positions hedge one another
    moves, scene       how prices are taken to move; the book on very many paths
    search, trials     the search among ways, and what each comes to
    crashes, follow    the book through past crashes; accounts that act when they are called
    closings, alert    what of a portfolio book to close; at which health to act
    beginning, stake   somebody new: guard rails, and how large a position may be
    options            a book with options: ``option_curves`` it is read off, ``option_table`` it is played at
    verdict            what advice comes to for one position
    words, steps       what is said, and what to do; ``account_words`` of the account, ``option_words`` of options
    figures            shares, results and leverages as it writes them
    page, as_json      as one HTML file, as JSON
"""
