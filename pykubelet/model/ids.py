"""The names things go by, as types that cannot be mixed up."""

from typing import NewType

Uid = NewType("Uid", str)
"""A Pod's UID. A static Pod's is the hash of its file; its mirror Pod in the API has another."""
ContainerId = NewType("ContainerId", str)
"""A container's id in the runtime, without the `containerd://` prefix."""
SandboxId = NewType("SandboxId", str)
ImageRef = NewType("ImageRef", str)
"""An image as a Pod names it: `registry/name:tag` or `name@sha256:...`."""
