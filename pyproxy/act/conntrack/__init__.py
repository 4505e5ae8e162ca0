"""Stale flows removed from the kernel's connection table."""
