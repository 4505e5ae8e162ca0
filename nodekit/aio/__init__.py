"""Asynchronous tools that know nothing of Kubernetes."""
