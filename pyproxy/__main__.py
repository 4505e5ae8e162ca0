"""Runs the command line: `python -m pyproxy`."""

import sys

from pyproxy import cli

sys.exit(cli.main())
