"""The only gRPC I/O: the container runtime, as plain values."""

import os

# gRPC reads this when it is first imported. Its newer engine hands reads and writes to threads of a pool: 62 wake-ups
# of threads for each start of a Pod where the older one has 28, and a third more CPU for a call. A gRPC that no longer
# knows the word leaves it aside.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client")
