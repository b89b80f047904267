"""Questions asked of an account: does it match the venue's figures, which architecture, how it fared in a crash.

Each is a room; ``*_page`` beside it draws the answer as one HTML file (``page`` is their frame).

::

    compare                    the same book under every margin architecture
    distance                   how far an account is from its death, in every sense with a number
    stress                     what moves of prices, past crashes, haircuts and funding do to it
    replay                     one account through real prices
    crowd                      a crowd through real prices
    advice                     which positions to ring-fence and which to pool
    rescue                     the ways out of danger, ranked by cost
    size                       the calculators traders know; ``size_curve`` what their pictures show
    edit                       what a change that a trader has in mind leads to
    conform                    held to published figures
    topics, unsupported        those of them that are no assessment; those that are not computed, and why
    examples                   account files to start from

What they share::

    architecture               one book held isolated or cross, from the same capital
    surface, portfolio_curve   a pool at many prices, without assessing it whole at each
    likelihood                 how likely each pool dies: simulated paths
    volatility                 volatilities, correlations and betas, from a tape
    stand_in                   what stands in for a coin that a tape lacks
    unknown                    what of an account is not known and decides
    wording, portfolio_words   figures as people read them; what is said beside a portfolio's
    cores                      work on several cores, the same results in the same order
"""
