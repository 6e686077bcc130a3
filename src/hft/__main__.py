"""`python -m hft` is the `hft` command."""

import sys

from hft.cli import main

sys.exit(main())
