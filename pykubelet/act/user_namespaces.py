"""Gives Pods with `hostUsers: false` ranges of user ids that no other Pod has, remembered in the Pod's folder.

The file `<root>/pods/<uid>/userns` is the genuine kubelet's, so either goes on with what the other gave.
Source: pkg/kubelet/userns.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from nodekit import whole_file
from pykubelet.decide.environment import ConfigError
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.model.runtime_config import IdMapping, NamespaceMode, UserNamespace

USER_IDS: Final = 65_536
"""How many ids a Pod gets unless the configuration says more."""
_ALL = 1 << 32
_USER = "kubelet"


class Range(NamedTuple):
    """Ids of the node that may be handed out."""

    first: int
    length: int


class _Mapping(msgspec.Struct, frozen=True, rename="camel"):
    host_id: int
    container_id: int
    length: int


class _File(msgspec.Struct, frozen=True, rename="camel"):
    uid_mappings: list[_Mapping]
    gid_mappings: list[_Mapping]


class UserNamespaces:
    """`root` is the kubelet's; `ids` the node's range, cut into pieces of `per_pod`."""

    def __init__(self, root: Path, *, ids: Range | None = None, per_pod: int = USER_IDS) -> None:
        self._pods = root / "pods"
        self._per_pod = per_pod
        self._ids = ids or Range(per_pod, _ALL - per_pod)
        if self._ids.first < per_pod or self._ids.first % per_pod or self._ids.length % per_pod:
            raise ValueError(f"user ids {self._ids.first}+{self._ids.length} are not whole pieces of {per_pod} above 0")
        self._used: dict[Uid, int] = {}
        for uid in _folders(self._pods):
            if (first := self._read(uid)) is not None:
                self._used[uid] = first

    def of(self, pod: Pod, *, supported: bool) -> UserNamespace:
        """The Pod's ids, the same as long as it lives. ConfigError when the runtime or the range cannot give it any."""
        if pod.spec.host_users:
            return UserNamespace(NamespaceMode.NODE)
        if not supported:
            raise ConfigError("can't set `spec.hostUsers: false`, runtime does not support user namespaces")
        first = self._used.get(pod.uid)
        if first is None:
            first = self._free()
            self._write(pod.uid, first)
            self._used[pod.uid] = first
        mapping = (IdMapping(host_id=first, container_id=0, length=self._per_pod),)
        return UserNamespace(NamespaceMode.POD, uids=mapping, gids=mapping)

    def release(self, uid: Uid) -> None:
        """The Pod is gone: its ids may be given to another."""
        (self._pods / uid / "userns").unlink(missing_ok=True)
        self._used.pop(uid, None)

    def _free(self) -> int:
        taken = set(self._used.values())
        for first in range(self._ids.first, self._ids.first + self._ids.length, self._per_pod):
            if first not in taken:
                return first
        raise ConfigError("could not find an empty slot to allocate a user namespace")

    def _read(self, uid: Uid) -> int | None:
        try:
            found = msgspec.json.decode((self._pods / uid / "userns").read_bytes(), type=_File)
        except (OSError, msgspec.DecodeError):
            return None
        return found.uid_mappings[0].host_id if found.uid_mappings else None

    def _write(self, uid: Uid, first: int) -> None:
        folder = self._pods / uid
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        mapping = [_Mapping(host_id=first, container_id=0, length=self._per_pod)]
        # Ids that two Pods share after a crash would let one into the other's files.
        whole_file.write(folder / "userns", msgspec.json.encode(_File(mapping, mapping)), mode=0o644, flush=True)


def subordinate_ids() -> Range | None:
    """The ids set aside for the user `kubelet` (getsubids); None if this machine has no such user or tool."""
    tool = shutil.which("getsubids")
    if tool is None or not any(line.startswith(f"{_USER}:") for line in _lines("/etc/passwd")):
        return None
    outputs = {
        subprocess.run([tool, *flag, _USER], check=True, capture_output=True, text=True, timeout=10).stdout
        for flag in ([], ["-g"])
    }
    words = next(iter(outputs)).split()
    if len(outputs) != 1 or len(words) != 4:
        raise ValueError(f"getsubids {_USER} must give one range, the same for users and groups, not {outputs}")
    return Range(int(words[2]), int(words[3]))


def _folders(pods: Path) -> list[Uid]:
    try:
        return [Uid(entry.name) for entry in os.scandir(pods) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
