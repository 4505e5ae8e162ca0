"""Images pulled from a registry, here a local one in memory."""

import hashlib
import http.server
import json
import threading

import pytest

from devcluster import oci, pull
from devcluster.errors import DevClusterError
from devcluster.oci import Store

NAME = "registry.k8s.io/e2e-test-images/busybox:1.37.0-2"
REPOSITORY = "e2e-test-images/busybox"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class InMemory(http.server.ThreadingHTTPServer):
    """A registry with one image for two architectures; `token` is asked for unless empty."""

    def __init__(self, prefix: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.token = ""
        self.blobs = {digest(data): data for data in (b"{}", b"layer")}
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": oci.MANIFEST,
                "config": {"mediaType": oci.CONFIG, "digest": digest(b"{}"), "size": 2},
                "layers": [{"mediaType": oci.LAYER, "digest": digest(b"layer"), "size": 5}],
            }
        ).encode()
        architecture = oci.architecture()
        self.index = json.dumps(
            {
                "manifests": [
                    {"digest": digest(b"other"), "platform": {"os": "linux", "architecture": "s390x"}},
                    {"digest": digest(self.manifest), "platform": {"os": "linux", "architecture": architecture}},
                ]
            }
        ).encode()
        self.tag = self.index

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def find(self, path: str) -> tuple[bytes, str] | None:
        kind, _, reference = path.removeprefix(f"/v2/{REPOSITORY}/").partition("/")
        if kind == "blobs" and reference in self.blobs:
            return self.blobs[reference], "application/octet-stream"
        if kind == "manifests" and reference == "1.37.0-2":
            return self.tag, pull._INDEXES[0] if self.tag is self.index else oci.MANIFEST
        if kind == "manifests" and reference == digest(self.manifest):
            return self.manifest, oci.MANIFEST
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    server: InMemory

    def do_GET(self) -> None:
        if self.path.startswith("/token?"):
            assert "scope=repository" in self.path
            self.answer(200, json.dumps({"token": self.server.token}).encode(), "application/json")
        elif self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self.answer(401, b"", "text/plain")
        elif found := self.server.find(self.path):
            self.answer(200, *found)
        else:
            self.answer(404, b"", "text/plain")

    def answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        if status == 401:
            scope = f"repository:{REPOSITORY}:pull"
            self.send_header("WWW-Authenticate", f'Bearer realm="{self.server.url}/token",service="s",scope="{scope}"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server():
    with InMemory() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_the_image_for_this_machine_is_taken_with_all_its_blobs(server, store):
    pull.Registry(server.url).pull(NAME, store)
    manifest = store.images()[NAME]
    assert manifest.digest == digest(server.manifest)
    assert [store.blob(part).exists() for part in store.parts(manifest)] == [True, True, True]


def test_a_tag_of_one_architecture_needs_no_index(server, store):
    server.tag = server.manifest
    pull.Registry(server.url).pull(NAME, store)
    assert NAME in store.images()


def test_a_registry_that_wants_a_token_gets_one(server, store):
    server.token = "secret"
    pull.Registry(server.url).pull(NAME, store)
    assert NAME in store.images()


def test_a_corrupt_blob_is_refused_and_not_kept(server, store):
    server.blobs[digest(b"layer")] = b"evil!"
    with pytest.raises(DevClusterError, match="it is not used") as caught:
        pull.Registry(server.url).pull(NAME, store)
    assert not isinstance(caught.value, pull.PullError)
    assert store.images() == {}
    assert not store.blob(digest(b"layer")).exists()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("registry.k8s.io/e2e-test-images/busybox:9", id="no such tag"),
        pytest.param("registry.k8s.io/none:1", id="no such repository"),
    ],
)
def test_what_the_registry_lacks_may_come_from_elsewhere(server, store, name):
    with pytest.raises(pull.PullError, match="404"):
        pull.Registry(server.url).pull(name, store)


def test_an_image_for_other_machines_only_is_said_so(server, store):
    server.tag = server.index = server.index.replace(f'"{oci.architecture()}"'.encode(), b'"mips"')
    with pytest.raises(pull.PullError, match="not made for linux"):
        pull.Registry(server.url).pull(NAME, store)


def test_a_registry_that_is_not_there_is_a_pull_error(store):
    with pytest.raises(pull.PullError):
        pull.Registry("http://127.0.0.1:1").pull(NAME, store)


@pytest.mark.parametrize(
    ("base", "api"),
    [
        pytest.param("https://registry.k8s.io", "https://registry.k8s.io/v2", id="a registry"),
        pytest.param("http://h:5000/mirror/k8s/", "http://h:5000/v2/mirror/k8s", id="a prefix in a registry"),
    ],
)
def test_where_the_api_of_a_registry_is(base, api):
    assert pull._api(base) == api
