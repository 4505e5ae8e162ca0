"""The sync loop and what it writes to."""
