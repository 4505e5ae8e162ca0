"""What is remembered of a cluster between commands: its spec and where its binaries are."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from devcluster import layout
from devcluster.errors import DevClusterError
from devcluster.layout import Layout
from devcluster.spec import ClusterSpec


def load(cluster: Layout) -> ClusterSpec | None:
    """The spec of a cluster that was brought up, or None."""
    try:
        return msgspec.json.decode(cluster.spec.read_bytes(), type=ClusterSpec)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise DevClusterError(
            f"cluster {cluster.name}", f"{cluster.spec} is damaged: {error}", hint="run down, then up"
        ) from error


def need(cluster: Layout) -> ClusterSpec:
    """The spec, or an error that says how to get a cluster."""
    spec = load(cluster)
    if spec is None:
        known = ", ".join(names()) or "none"
        hint = f"`make up NAME={cluster.name}`; clusters that are up: {known}"
        raise DevClusterError(f"cluster {cluster.name}", "it is not up", hint=hint)
    return spec


def save(cluster: Layout, spec: ClusterSpec) -> None:
    cluster.root.mkdir(parents=True, exist_ok=True)
    part = cluster.spec.with_suffix(".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(spec)))
    part.replace(cluster.spec)


def names() -> list[str]:
    """Clusters that have state on this machine."""
    return sorted(path.parent.name for path in layout.state_home().glob("*/cluster.json"))


def programs(cluster: Layout) -> list[Path]:
    """The pid files of everything that was started and not stopped."""
    return sorted(path for path in cluster.pids.glob("*") if path.suffix != ".new")


@contextmanager
def exclusive(cluster: Layout) -> Iterator[None]:
    """Hold off a second up or down of the same cluster."""
    folder = layout.state_home()
    folder.mkdir(parents=True, exist_ok=True)
    fd = os.open(folder / f".{cluster.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DevClusterError(
                f"cluster {cluster.name}", "another command is changing it", hint="wait until that has ended"
            ) from None
        yield
    finally:
        os.close(fd)
