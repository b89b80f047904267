"""What the recorded data make of each venue's tables: one module per venue, and what they share.

``pack`` is read, ``folder`` is written; ``rows`` and ``sources`` make the one of the other.
"""
