"""`python -m include.backfill`."""

from __future__ import annotations

import os
import sys

from include.backfill.command import main

sys.exit(main(sys.argv[1:], os.environ))
