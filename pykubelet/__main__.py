"""Runs the command line: `python -m pykubelet`."""

import sys

from pykubelet import cli

sys.exit(cli.main())
