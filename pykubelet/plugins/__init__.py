"""The I/O with plugins of the node: storage drivers, and how plugins make themselves known."""
