"""Constructs and wires the agent: the one place that does."""
