"""The only gRPC I/O: the container runtime, as plain values."""
