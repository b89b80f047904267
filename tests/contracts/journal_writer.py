"""A process that writes a journal until it is killed, and says after every group up to where it was acknowledged.

``python -m tests.contracts.journal_writer URL SEED``
"""

from __future__ import annotations

import sys
from random import Random

from ringfence.journal import Batch, open_journal


def batch(sequence: int, *, group_ends: int) -> Batch:
    """The batch that anybody expects under this number; its digest tells the last of its group."""
    events = tuple(b"event %d of %d" % (number, sequence) * (sequence % 7) for number in range(sequence % 4))
    return Batch(sequence, b"command %d" % sequence, events, b"%d" % group_ends)


def write_until_killed(url: str, seed: int) -> None:
    """Append groups of 1 to 60 batches, for ever."""
    random = Random(seed)  # noqa: S311 - sizes of groups
    with open_journal(url) as journal:
        last = journal.head().sequence
        print(last, flush=True)  # noqa: T201 - the acknowledgement
        while True:
            ends = last + random.randint(1, 60)
            group = [batch(sequence, group_ends=ends) for sequence in range(last + 1, ends + 1)]
            journal.append(group, after=last)
            last = ends
            print(last, flush=True)  # noqa: T201


if __name__ == "__main__":
    write_until_killed(sys.argv[1], int(sys.argv[2]))
