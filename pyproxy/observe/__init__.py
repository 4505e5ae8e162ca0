"""Foreign edits and address changes, by netlink."""
