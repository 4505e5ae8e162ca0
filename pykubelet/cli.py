"""The command line."""


def main() -> int:
    """Run the agent; the exit code."""
    raise SystemExit("not built yet")
