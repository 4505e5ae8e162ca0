"""What a container left behind when it ended: its termination message file, or the end of its log.

Source: getTerminationMessage in pkg/kubelet/kuberuntime/kuberuntime_container.go.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from pykubelet.decide import labels
from pykubelet.model.ids import ContainerId
from pykubelet.model.observed import Container, ContainerState

LONGEST: Final = 4096
LONGEST_LOG: Final = 2048
MOST_LINES: Final = 80
_KEPT: Final = 2_000
_TAIL: Final = 64 * 1024


class TerminationMessages:
    """Each is read once, when its container is first seen to have ended."""

    def __init__(self) -> None:
        self._read: OrderedDict[ContainerId, str] = OrderedDict()

    def of(self, containers: Iterable[Container]) -> Mapping[ContainerId, str]:
        """The messages of those that have ended and left one."""
        found = {}
        for container in containers:
            if container.state is not ContainerState.EXITED or not container.detailed:
                continue
            message = self._read.get(container.id)
            if message is None:
                message = self._read[container.id] = read(container)
                while len(self._read) > _KEPT:
                    self._read.popitem(last=False)
            if message:
                found[container.id] = message
        return found


def read(container: Container) -> str:
    """The message; empty if there is none. A container that failed may have the end of its log stand in for it."""
    path = container.annotations.get(labels.TERMINATION_MESSAGE_PATH, "")
    policy = container.annotations.get(labels.TERMINATION_MESSAGE_POLICY, "File")
    host = next((m.host_path for m in container.mounts if path and m.container_path == path), "")
    message = _start_of(Path(host)) if host else ""
    if message or policy != "FallbackToLogsOnError" or container.exit_code == 0 or not container.log_path:
        return message
    return _end_of_log(Path(container.log_path))


def _start_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LONGEST).decode(errors="replace")
    except OSError:
        return ""


def _end_of_log(path: Path) -> str:
    """The last lines of a CRI log: `<time> <stream> <P|F> <text>` each."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            lines = file.read().splitlines(keepends=True)
    except OSError:
        return ""
    texts = []
    for line in lines[-MOST_LINES:]:
        parts = line.split(b" ", 3)
        if len(parts) == 4:
            texts.append(parts[3] if parts[2].startswith(b"F") else parts[3].removesuffix(b"\n"))
    return b"".join(texts)[-LONGEST_LOG:].decode(errors="replace")
