"""OCI images as files: layers made of files, a store of named images, archives, and docker-registry's folder layout.

A store is an OCI image layout (oci-layout, index.json, blobs/sha256/...) whose index entries carry full image names.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
NAME = "io.containerd.image.name"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob in a store: `digest` as sha256:..., `size` in bytes."""

    media_type: str
    digest: str
    size: int

    def as_json(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True)
class Tree:
    """The content of one layer: files by their path in it (a file to copy, or bytes), links, folders, modes."""

    files: Mapping[str, Path | bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, int] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)


def pack(tree: Tree, target: Path) -> None:
    """Write a layer's tar; the same tree gives the same bytes."""
    with tarfile.open(target, "w") as tar:
        for path, mode in sorted(tree.folders.items()):
            tar.addfile(_info(path, tarfile.DIRTYPE, mode))
        for path, source in sorted(tree.files.items()):
            info = _info(path, tarfile.REGTYPE, tree.modes.get(path, 0o755))
            if isinstance(source, bytes):
                info.size = len(source)
                tar.addfile(info, io.BytesIO(source))
            else:
                info.size = source.stat().st_size
                with source.open("rb") as file:
                    tar.addfile(info, file)
        for path, link in sorted(tree.links.items()):
            info = _info(path, tarfile.SYMTYPE, 0o777)
            info.linkname = link
            tar.addfile(info)


def _info(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type = kind
    info.mode = mode
    return info


class Store:
    """Images in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = folder / "blobs" / "sha256"
        self.blobs.mkdir(parents=True, exist_ok=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    @property
    def _index(self) -> Path:
        return self.folder / "index.json"

    def images(self) -> dict[str, Descriptor]:
        """Manifests by full image name."""
        if not self._index.exists():
            return {}
        index = json.loads(self._index.read_bytes())
        return {
            entry["annotations"][NAME]: Descriptor(entry["mediaType"], entry["digest"], entry["size"])
            for entry in index["manifests"]
        }

    def blob(self, digest: str) -> Path:
        return self.blobs / digest.removeprefix("sha256:")

    def add_bytes(self, data: bytes, media_type: str) -> Descriptor:
        digest = hashlib.sha256(data).hexdigest()
        _replace(self.blobs / digest, data)
        return Descriptor(media_type, f"sha256:{digest}", len(data))

    def add_file(self, path: Path, media_type: str) -> Descriptor:
        """Take a file into the store; it is moved."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        part = self.blobs / f"{digest}.{os.getpid()}.part"
        shutil.move(path, part)  # a copy if it comes from another disk
        part.replace(self.blobs / digest)
        return Descriptor(media_type, f"sha256:{digest}", size)

    def add_layer(self, tree: Tree) -> Descriptor:
        scratch = self.folder / f"layer-{os.getpid()}.tar"
        pack(tree, scratch)
        return self.add_file(scratch, LAYER)

    def add_image(self, names: Iterable[str], config: Mapping[str, Any], layers: Iterable[Descriptor]) -> Descriptor:
        """An image of uncompressed layers under these names; `config` as in the image's `config` object."""
        layers = list(layers)
        whole = {
            "architecture": architecture(),
            "os": "linux",
            "config": {"Env": [_PATH], **config},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        }
        described = self.add_bytes(json.dumps(whole).encode(), CONFIG)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described.as_json(),
            "layers": [layer.as_json() for layer in layers],
        }
        made = self.add_bytes(json.dumps(manifest).encode(), MANIFEST)
        self.name(names, made)
        return made

    def name(self, names: Iterable[str], manifest: Descriptor) -> None:
        """Give a manifest in the store these full names."""
        images = self.images() | dict.fromkeys(names, manifest)
        entries = [
            {
                **descriptor.as_json(),
                "annotations": {NAME: name, "org.opencontainers.image.ref.name": split(name)[2]},
            }
            for name, descriptor in sorted(images.items())
        ]
        _replace(self._index, json.dumps({"schemaVersion": 2, "manifests": entries}, indent=1).encode())

    def parts(self, manifest: Descriptor) -> list[str]:
        """Digests of an image's blobs, its manifest first."""
        content = json.loads(self.blob(manifest.digest).read_bytes())
        return [manifest.digest, content["config"]["digest"], *(layer["digest"] for layer in content["layers"])]


def archive(store: Store, name: str) -> Path:
    """One image as a tar that `ctr images import` takes; kept in the store's folder."""
    manifest = store.images()[name]
    target = store.folder / f"{manifest.digest.removeprefix('sha256:')}.tar"
    if target.exists():
        return target
    index = {"schemaVersion": 2, "manifests": [{**manifest.as_json(), "annotations": {NAME: name}}]}
    files: dict[str, Path | bytes] = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps(index).encode(),
    }
    files |= {f"blobs/sha256/{digest.removeprefix('sha256:')}": store.blob(digest) for digest in store.parts(manifest)}
    scratch = target.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
    pack(Tree(files), scratch)
    return scratch.replace(target)


def export_to_registry(store: Store, root: Path) -> None:
    """Lay the store's images out as docker-registry's file-system driver keeps them; blobs are hard-linked."""
    for name, manifest in store.images().items():
        publish(store, manifest, name, root)


def publish(store: Store, manifest: Descriptor, name: str, root: Path) -> None:
    """Put one image into a registry's folder under this name. A running registry serves it at once."""
    base = root / "docker" / "registry" / "v2"
    _, repository, tag = split(name)
    folder = base / "repositories" / repository
    for digest in store.parts(manifest):
        value = digest.removeprefix("sha256:")
        _share(store.blob(digest), base / "blobs" / "sha256" / value[:2] / value / "data")
        if digest != manifest.digest:
            _link(folder / "_layers" / "sha256" / value / "link", digest)
    value = manifest.digest.removeprefix("sha256:")
    _link(folder / "_manifests" / "revisions" / "sha256" / value / "link", manifest.digest)
    tags = folder / "_manifests" / "tags" / tag
    _link(tags / "index" / "sha256" / value / "link", manifest.digest)
    _link(tags / "current" / "link", manifest.digest)


def unpublish(name: str, root: Path) -> bool:
    """Take a name away from a registry's folder; False if it had none. Its blobs stay."""
    _, repository, tag = split(name)
    folder = root / "docker" / "registry" / "v2" / "repositories" / repository / "_manifests" / "tags" / tag
    if not folder.exists():
        return False
    shutil.rmtree(folder)
    return True


def split(name: str) -> tuple[str, str, str]:
    """registry.k8s.io/e2e-test-images/agnhost:2.66.1 -> (registry.k8s.io, e2e-test-images/agnhost, 2.66.1)."""
    host, _, rest = name.partition("/")
    repository, _, tag = rest.rpartition(":")
    return host, repository, tag


def architecture() -> str:
    """This machine's, as Go and OCI name it."""
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _share(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk
        part = target.with_name(f"{target.name}.part")
        shutil.copyfile(source, part)
        part.replace(target)


def _link(path: Path, digest: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(digest)


def _replace(path: Path, data: bytes) -> None:
    scratch = path.with_name(f"{path.name}.{os.getpid()}.part")
    scratch.write_bytes(data)
    scratch.replace(path)
