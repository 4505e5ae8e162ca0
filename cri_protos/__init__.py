"""The Container Runtime Interface v1: a .proto of our own writing and the modules generated from it."""
