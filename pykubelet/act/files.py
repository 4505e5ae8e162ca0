"""A Pod's files on the node that are not volumes: its folder, hosts file, termination logs, safe sub-paths."""

import os
import secrets
import stat
from pathlib import Path

from pykubelet.act import mount, removal
from pykubelet.decide import hostname
from pykubelet.decide.environment import ConfigError
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod

_ENV_FILE = 64 * 1024
_PARTS = ("", "volumes", "plugins", "containers")
"""Made in this order, so that the last tells that all were."""


class PodFiles:
    """Below `<root>/pods/<uid>`, laid out as the genuine kubelet does."""

    def __init__(self, root: Path, *, cluster_domain: str) -> None:
        self._pods = root / "pods"
        self._cluster_domain = cluster_domain

    def folder(self, uid: Uid) -> Path:
        """The Pod's folder; it may not exist."""
        return self._pods / uid

    def known(self) -> list[Uid]:
        """The Pods that have a folder here."""
        try:
            return [Uid(entry.name) for entry in os.scandir(self._pods) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []

    def make(self, uid: Uid) -> Path:
        """Make the Pod's folder if it is not there."""
        folder = self.folder(uid)
        if not (folder / _PARTS[-1]).exists():
            for part in _PARTS:
                (folder / part).mkdir(parents=True, exist_ok=True, mode=0o750)
        return folder

    def remove(self, uid: Uid) -> None:
        """Remove the Pod's folder; OSError while something is still mounted in it, so that no volume is emptied."""
        folder = self.folder(uid)
        if busy := mount.below(folder):
            raise OSError(f"{busy[0]} is still mounted: the Pod's folder is kept")
        removal.remove_tree(folder)

    def etc_hosts(self, pod: Pod, pod_ips: tuple[str, ...]) -> str:
        """Write the Pod's hosts file; its path."""
        path = self.make(pod.uid) / "etc-hosts"
        node_hosts = _read("/etc/hosts") if pod.spec.host_network else ""
        text = hostname.hosts_file(pod, pod_ips, cluster_domain=self._cluster_domain, node_hosts=node_hosts)
        # Written in place: running containers have this very file mounted.
        path.write_text(text)
        path.chmod(0o644)
        return str(path)

    def termination_log(self, pod: Pod, container: str) -> str:
        """A new empty file that one run of a container may write its last words to; its path."""
        folder = self.make(pod.uid) / "containers" / container
        folder.mkdir(exist_ok=True, mode=0o750)
        path = folder / secrets.token_hex(4)
        path.touch()
        path.chmod(0o666)  # the container's user, whoever that is, writes it
        return str(path)

    def sub_path(self, pod: Pod, container: str, mount_index: int, *, volume: str, path: str) -> str:
        """Bind-mount a path inside a volume where nobody but root can swap it for a link; the mount's path.

        Every step is opened without following links, so that a container that writes to the volume cannot lead the
        mount out of it (CVE-2017-1002101, CVE-2021-25741). A missing path is made as a folder.
        """
        name = _container_mount(pod, container, mount_index)
        target = self.make(pod.uid) / "volume-subpaths" / name / container / str(mount_index)
        failed = f'failed to prepare subPath for volumeMount "{name}" of container "{container}"'
        try:
            opened = _open_beneath(volume, path)
        except ConfigError as error:
            raise ConfigError(f"{failed}: {error}") from error
        except OSError as error:
            raise ConfigError(failed) from error
        try:
            if target.exists():
                mount.unmount(target)
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            if os.path.isdir(f"/proc/self/fd/{opened}"):
                target.mkdir(exist_ok=True, mode=0o750)
            else:
                target.touch(mode=0o640)
            mount.bind(Path(f"/proc/self/fd/{opened}"), target)
        except OSError as error:
            # No detail for the user: it could tell of the node's file system.
            raise ConfigError(failed) from error
        finally:
            os.close(opened)
        return str(target)

    def read_inside(self, volume: str, path: str) -> str:
        """The text of a file of environment variables in a volume, 64 KiB at most. ConfigError when there is none.

        Whoever fills the volume cannot have a file of the node read.
        """
        try:
            opened = _open_beneath(volume, path, make=False)
            try:
                if not stat.S_ISREG(os.fstat(opened).st_mode):
                    raise ConfigError("couldn't parse env file")  # a pipe would be waited for
                with open(f"/proc/self/fd/{opened}", "rb") as file:
                    return file.read(_ENV_FILE).decode("utf-8", "surrogateescape")
            finally:
                os.close(opened)
        except OSError as error:
            raise ConfigError("couldn't parse env file") from error


def _container_mount(pod: Pod, container: str, index: int) -> str:
    """The volume's name of a container's mount."""
    spec = pod.spec
    for one in (*spec.init_containers, *spec.containers, *spec.ephemeral_containers):
        if one.name == container:
            return one.volume_mounts[index].name
    raise ConfigError(f"the Pod has no container {container}")


def _open_beneath(volume: str, path: str, *, make: bool = True) -> int:
    """An O_PATH descriptor of a path below a volume, missing folders made if told so. ConfigError when it leads out.

    Links that stay inside are followed first, as the files of a configMap volume are links; the walk then follows none,
    so a link that is swapped in meanwhile is met, and refused.
    """
    base = os.path.realpath(volume)
    path = os.path.relpath(os.path.realpath(f"{base}/{path}"), base)
    if path.split("/", 1)[0] == "..":
        raise ConfigError("subPath leads out of its volume")
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    current = os.open(base, flags | os.O_DIRECTORY)
    try:
        mode = os.fstat(current).st_mode & 0o7777
        for step in (step for step in path.split("/") if step not in ("", ".")):
            try:
                inner = os.open(step, flags, dir_fd=current)
            except FileNotFoundError:
                if not make:
                    raise
                os.mkdir(step, mode & 0o777, dir_fd=current)
                inner = os.open(step, flags | os.O_DIRECTORY, dir_fd=current)
                os.chmod(f"/proc/self/fd/{inner}", mode)
            os.close(current)
            current = inner
            if stat.S_ISLNK(os.fstat(current).st_mode):
                raise ConfigError(f"subPath {path} goes through a symbolic link")
        return current
    except BaseException:
        os.close(current)
        raise


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
