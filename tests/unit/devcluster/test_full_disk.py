"""A disk that fills up while files are written: what is cut off is never taken for whole."""

import contextlib
import errno
import functools
import hashlib
import http.server
import os
import resource
import threading
from pathlib import Path

import pytest

from devcluster import oci, pki, pull, releases, tools
from devcluster.errors import DevClusterError
from devcluster.oci import Store, Tree


@contextlib.contextmanager
def room_for(size):
    """While this is open no file of this process grows beyond so many bytes: OSError, with its beginning written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def refuse_other_disk(*args, **kwargs):
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def test_a_certificate_that_was_cut_off_is_made_again(tmp_path):
    with pytest.raises(OSError), room_for(300):  # noqa: PT011 - enough for the key, not for the certificate
        pki.authority(tmp_path, "ca", "kubernetes")
    assert not (tmp_path / "ca.crt").exists()
    authority = pki.authority(tmp_path, "ca", "kubernetes")
    assert pki.client(authority, pki.pair(tmp_path, "admin"), pki.Subject("admin")).cert.stat().st_size > 300
    assert authority.key.stat().st_mode & 0o777 == 0o600


def test_a_blob_that_was_cut_off_on_its_way_to_the_registry_is_copied_again(tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    manifest = store.add_image(["h/a:1"], {}, [store.add_layer(Tree({"a": b"a" * 20_000}))])
    monkeypatch.setattr(os, "link", refuse_other_disk)
    with pytest.raises(OSError), room_for(10_000):  # noqa: PT011
        oci.publish(store, manifest, "h/a:1", tmp_path / "registry")
    oci.publish(store, manifest, "h/a:1", tmp_path / "registry")
    blobs = list((tmp_path / "registry").rglob("data"))
    assert len(blobs) == 3
    for blob in blobs:
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.parent.name


def test_a_blob_that_was_cut_off_on_its_way_into_the_store_is_not_there(tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    (tmp_path / "layer.tar").write_bytes(b"a" * 20_000)
    monkeypatch.setattr(os, "rename", refuse_other_disk)
    with pytest.raises(OSError), room_for(10_000):  # noqa: PT011
        store.add_file(tmp_path / "layer.tar", oci.LAYER)
    assert [path for path in store.blobs.iterdir() if not path.name.endswith(".part")] == []
    added = store.add_file(tmp_path / "layer.tar", oci.LAYER)
    assert store.blob(added.digest).stat().st_size == 20_000


@pytest.fixture
def site(tmp_path):
    """A server of the files below a folder, and that folder."""
    (tmp_path / "site").mkdir()
    serve = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", tmp_path / "site"
        server.shutdown()
        thread.join()


def full_when_written(monkeypatch, suffix):
    """Files so named go to /dev/full, where every write fails with ENOSPC."""
    genuine = Path.open

    def open_(path, mode="r", **kwargs):
        return genuine(Path("/dev/full") if path.name.endswith(suffix) and "w" in mode else path, mode, **kwargs)

    monkeypatch.setattr(Path, "open", open_)


def test_a_download_for_which_there_is_no_room_is_not_built_instead(site, tmp_path, monkeypatch):
    url, folder = site
    tool = tools.BY_NAME["kubectl"]
    for path, data in ((tool.release.path, b"k"), (tool.release.checksums, hashlib.sha256(b"k").hexdigest().encode())):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    full_when_written(monkeypatch, ".part")
    with pytest.raises(DevClusterError, match=r"the disk is full: no room for .*/kubectl\.part") as caught:
        releases.fetch(releases.Site(f"{url}/{{host}}/{{path}}"), tool, tmp_path / "bin" / "kubectl")
    assert not isinstance(caught.value, releases.UnreachableError)
    assert "df -h" in caught.value.hint


def test_a_pulled_image_for_which_there_is_no_room_is_not_built_instead(site, tmp_path, monkeypatch):
    url, folder = site
    digest = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    image = folder / "v2" / "a"
    for path, data in (
        ("manifests/1", f'{{"config": {{"digest": "{digest}"}}, "layers": []}}'.encode()),
        (f"blobs/{digest}", b"{}"),
    ):
        (image / path).parent.mkdir(parents=True, exist_ok=True)
        (image / path).write_bytes(data)
    store = Store(tmp_path / "store")
    full_when_written(monkeypatch, ".part")
    with pytest.raises(DevClusterError, match="the disk is full: no room for ") as caught:
        pull.Registry(url).pull("h/a:1", store)
    assert not isinstance(caught.value, pull.PullError)
