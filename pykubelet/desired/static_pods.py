"""The Pods of files in a folder: read when the folder changes, and every `period` anyway."""

import asyncio
import hashlib
import logging
import time
from pathlib import Path
from typing import Any

import msgspec

from nodekit import yamltree
from nodekit.aio.inotify import FolderWatch
from nodekit.objects import codec, times
from pykubelet.decide import static_uid
from pykubelet.desired.merge import Desired, Source
from pykubelet.model.container import Container
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod, PodSpec, Toleration

HASH = "kubernetes.io/config.hash"
SOURCE = "kubernetes.io/config.source"
SEEN = "kubernetes.io/config.seen"
LARGEST = 10 * 1024 * 1024
"""Bytes of a file; maxConfigLength in pkg/kubelet/config."""
NOT_THERE = 5.0
"""Seconds until a folder that is not there is looked for again."""

log = logging.getLogger(__name__)


class BadManifest(Exception):
    """A file that is not a Pod this node can run."""


class StaticPods:
    """Run it as a task. A file that cannot be read keeps the Pod it last gave. Without a path there are none."""

    def __init__(self, path: Path | None, desired: Desired, *, node_name: str, period: float = 20.0) -> None:
        self._path = path
        self._desired = desired
        self._node_name = node_name
        self._period = period
        self._seen: dict[Path, tuple[tuple[int, ...], Pod | None]] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        if self._path is None:
            self._desired.source_synced(Source.FILE)
            return
        while True:
            try:
                with FolderWatch(_folder(self._path)) as watch:
                    while True:
                        self._read(self._stamps(self._path))
                        self._desired.source_synced(Source.FILE)
                        await watch.changes(timeout=self._period)
            except OSError as error:
                # A folder that is not there holds no Pods, and may come yet.
                log.debug("static Pods: %s", error)
                self._read(self._stamps(self._path))
                self._desired.source_synced(Source.FILE)
                await asyncio.sleep(min(self._period, NOT_THERE))

    def _stamps(self, path: Path) -> dict[Path, tuple[int, ...]]:
        files = sorted(path.glob("[!.]*")) if path.is_dir() else [path]
        stamps: dict[Path, tuple[int, ...]] = {}
        for file in files:
            try:
                found = file.stat()
            except OSError:
                continue
            if file.is_file():
                stamps[file] = (found.st_ino, found.st_mtime_ns, found.st_size)
        return stamps

    def _read(self, stamps: dict[Path, tuple[int, ...]]) -> None:
        before = {pod.uid: pod for _, pod in self._seen.values() if pod is not None}
        for file in self._seen.keys() - stamps.keys():
            del self._seen[file]
        for file, stamp in stamps.items():
            known = self._seen.get(file)
            if known is not None and known[0] == stamp:
                continue
            try:
                pod = parse(file.read_bytes(), path=str(file), node_name=self._node_name)
                self._seen[file] = (stamp, _since(before.get(pod.uid), pod))
            except (OSError, BadManifest) as error:
                log.error("static Pod %s: %s", file, error)
                self._seen[file] = (stamp, known[1] if known else None)
            except Exception:
                # Whatever is in one file, the Pods of the others are read.
                log.exception("static Pod %s", file)
                self._seen[file] = (stamp, known[1] if known else None)
        pods = {pod.uid: pod for _, pod in self._seen.values() if pod is not None}
        for uid in before.keys() - pods.keys():
            self._desired.drop(uid, Source.FILE)
        for uid, pod in pods.items():
            # A manifest that names its UID keeps it when it changes.
            if self._desired.get(uid) is None or pod != before.get(uid, pod):
                self._desired.put(pod, Source.FILE)


def _since(first: Pod | None, pod: Pod) -> Pod:
    """A Pod as of its changed file, first seen when it was first seen."""
    if first is None:
        return pod
    annotations = {**pod.metadata.annotations, SEEN: first.metadata.annotations[SEEN]}
    return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, annotations=annotations))


def _folder(path: Path) -> Path:
    return path.parent if path.is_file() else path


def parse(body: bytes, *, path: str, node_name: str) -> Pod:
    """A Pod of a manifest in YAML or JSON, named and marked as static Pods are. Raises BadManifest.

    Its UID is a hash of the Pod and of the file's place, so that a changed file is another Pod: the genuine kubelet's.
    """
    if len(body) > LARGEST:
        raise BadManifest(f"larger than {LARGEST} bytes")
    try:
        tree: Any = yamltree.plain(body, file=path)
        if not isinstance(tree, dict) or tree.get("kind") != "Pod" or tree.get("apiVersion") != "v1":
            raise BadManifest("not a v1 Pod")
        pod = codec.of_builtins(Pod, tree)
    except (yamltree.YamlError, codec.DecodeError) as error:
        raise BadManifest(str(error)) from error
    meta = pod.metadata
    if not meta.name or not pod.spec.containers:
        raise BadManifest("a Pod needs a name and at least one container")
    uid = meta.uid or _uid(tree, body, path=path, node_name=node_name)
    annotations = {**meta.annotations, HASH: uid, SOURCE: Source.FILE.value, SEEN: _stamp()}
    metadata = msgspec.structs.replace(
        meta,
        uid=Uid(uid),
        name=f"{meta.name}-{node_name.lower()}",
        namespace=meta.namespace or "default",
        annotations=annotations,
    )
    return msgspec.structs.replace(pod, metadata=metadata, spec=_defaulted(pod.spec, node_name=node_name))


def _uid(tree: static_uid.Tree, body: bytes, *, path: str, node_name: str) -> str:
    try:
        return static_uid.of(tree, node_name=node_name, path=path)
    except static_uid.Unprintable as error:
        log.info("static Pod %s: a genuine kubelet would start it anew, as its UID cannot be told: %s", path, error)
        return hashlib.md5(body + f"host:{node_name}file:{path}".encode(), usedforsecurity=False).hexdigest()


def _defaulted(spec: PodSpec, *, node_name: str) -> PodSpec:
    """What the API server's defaulting does to a Pod, as far as our structs do not do it themselves."""
    return msgspec.structs.replace(
        spec,
        node_name=node_name,
        containers=tuple(_with_policy(c) for c in spec.containers),
        init_containers=tuple(_with_policy(c) for c in spec.init_containers),
        tolerations=(*spec.tolerations, Toleration(operator="Exists", effect="NoExecute")),
    )


def _with_policy(container: Container) -> Container:
    if container.image_pull_policy:
        return container
    name = container.image.rpartition("/")[2]
    latest = "@" not in name and (":" not in name or name.endswith(":latest"))
    return msgspec.structs.replace(container, image_pull_policy="Always" if latest else "IfNotPresent")


def _stamp() -> str:
    return times.text(times.of(time.time()))
