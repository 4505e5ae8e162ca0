"""Carries decisions out: the Pod workers and what they call."""
