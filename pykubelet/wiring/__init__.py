"""Puts the parts together: `pods` the Pod loop, with a map of the others; `node` the Node around it."""
