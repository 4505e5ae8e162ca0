"""Images as files: layers, stores, archives, and the registry's folders."""

import hashlib
import json
import tarfile

import pytest

from devcluster import oci, recipes
from devcluster.oci import Store, Tree

NAME = "registry.k8s.io/e2e-test-images/busybox:1.37.0-2"


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    tree = Tree({"bin/sh": b"#!"}, links={"bin/ash": "sh"}, folders={"tmp": 0o1777}, modes={"bin/sh": 0o4755})
    made.add_image([NAME, "docker.io/library/busybox:latest"], {"Cmd": ["sh"]}, [made.add_layer(tree)])
    return made


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        pytest.param(NAME, ("registry.k8s.io", "e2e-test-images/busybox", "1.37.0-2"), id="a path of two"),
        pytest.param("h:5000/pause:3.10", ("h:5000", "pause", "3.10"), id="a host with a port"),
    ],
)
def test_a_name_has_a_host_a_repository_and_a_tag(name, parts):
    assert oci.split(name) == parts


def test_every_blob_is_named_by_its_content(store):
    for blob in store.blobs.iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_a_layer_keeps_modes_links_and_folders(store):
    layer = store.parts(store.images()[NAME])[2]
    with tarfile.open(store.blob(layer)) as tar:
        found = {member.name: (member.mode, member.linkname, member.type) for member in tar}
    assert found["bin/sh"] == (0o4755, "", tarfile.REGTYPE)
    assert found["bin/ash"] == (0o777, "sh", tarfile.SYMTYPE)
    assert found["tmp"] == (0o1777, "", tarfile.DIRTYPE)


def test_the_same_tree_gives_the_same_bytes(store, tmp_path):
    tree = Tree({"b": b"2", "a": b"1"})
    oci.pack(tree, tmp_path / "one.tar")
    oci.pack(Tree({"a": b"1", "b": b"2"}), tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_an_archive_holds_one_image_and_all_its_blobs(store):
    with tarfile.open(oci.archive(store, NAME)) as tar:
        names = set(tar.getnames())
        index = json.load(tar.extractfile("index.json"))
    assert [entry["annotations"][oci.NAME] for entry in index["manifests"]] == [NAME]
    digests = store.parts(store.images()[NAME])
    assert {f"blobs/sha256/{digest.removeprefix('sha256:')}" for digest in digests} <= names


def test_every_link_in_the_registry_leads_to_a_blob(store, tmp_path):
    oci.export_to_registry(store, tmp_path / "registry")
    oci.export_to_registry(store, tmp_path / "registry")  # again changes nothing
    base = tmp_path / "registry/docker/registry/v2"
    links = list(base.rglob("link"))
    assert len(links) == 2 * 5  # two names: config and layer, the revision, and its tag twice
    for link in links:
        value = link.read_text().removeprefix("sha256:")
        assert hashlib.sha256((base / "blobs/sha256" / value[:2] / value / "data").read_bytes()).hexdigest() == value
    tag = base / "repositories/e2e-test-images/busybox/_manifests/tags/1.37.0-2/current/link"
    assert tag.read_text() == store.images()[NAME].digest


def test_a_published_name_appears_and_goes_again(store, tmp_path):
    manifest, root = store.images()[NAME], tmp_path / "registry"
    oci.publish(store, manifest, "registry.k8s.io/late/image:1", root)
    tag = root / "docker/registry/v2/repositories/late/image/_manifests/tags/1"
    assert (tag / "current/link").read_text() == manifest.digest
    assert oci.unpublish("registry.k8s.io/late/image:1", root) is True
    assert not tag.exists()
    assert oci.unpublish("registry.k8s.io/late/image:1", root) is False


def test_every_name_that_would_be_pulled_is_also_built(tmp_path):
    file = tmp_path / "file"
    names = ("agnhost", "nnp", "regression-issue-74839", "sample-apiserver", "etcd")
    of = recipes.Ingredients(dict.fromkeys(names, file), tmp_path, file, file, file, ("sh", "wget"))
    built = [name for recipe in recipes.every(of) for name in recipe.names]
    assert set(recipes.names()) <= set(built)
    assert len(set(built)) == len(built)
