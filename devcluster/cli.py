"""Brings the development cluster up and down."""


def main() -> int:
    """Run one command of the development cluster; the exit code."""
    raise SystemExit("not built yet")
