"""Metrics in the Prometheus convention."""
