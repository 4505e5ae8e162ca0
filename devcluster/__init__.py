"""A genuine control plane and nodes of our own on one machine, inside network namespaces."""
