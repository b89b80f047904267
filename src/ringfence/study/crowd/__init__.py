"""A crowd of accounts on one tape under every architecture: begin at ``crowd``.

::

    crowd        the same accounts isolated, cross and mixed, each on an engine of its own
    population   the accounts, drawn from a seed
    contracts    what they trade on a tape
    run          one architecture: every price, every event counted
    result       what became of them under one, and under all
    table        the comparison as rows
    words        the comparison in a paragraph
    report       as one HTML file
"""
