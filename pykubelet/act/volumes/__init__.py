"""One file per kind of volume: how its content gets on disk."""
