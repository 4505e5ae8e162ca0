"""The node's own certificates: asked for, kept in files and renewed before they end."""
