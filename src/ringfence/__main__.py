"""``python -m ringfence``: the command line."""

from __future__ import annotations

import sys

from ringfence.cli import main

sys.exit(main())
