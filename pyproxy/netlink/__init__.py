"""Netlink as bytes, below whoever speaks it."""
