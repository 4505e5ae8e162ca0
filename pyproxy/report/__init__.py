"""Health, metrics, events."""
