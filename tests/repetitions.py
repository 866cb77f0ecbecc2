"""How often the tests repeat what only shows now and then: docs/decisions/0043-time-of-ci.md."""

import os

# Every commit runs them with 1, and the weekly run with 5.
TIMES = int(os.environ.get("FAULT_TIMES", "1"))
