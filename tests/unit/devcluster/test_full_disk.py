"""A disk that fills up while files are written: what is cut off is never taken for whole."""

import contextlib
import errno
import hashlib
import os
import resource

import pytest

from devcluster import oci, pki
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
