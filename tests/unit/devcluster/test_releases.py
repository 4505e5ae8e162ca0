"""Official releases, fetched from a local server laid out like the release sites."""

import hashlib
import http.server
import io
import tarfile
import threading
import time
from dataclasses import replace

import pytest

from devcluster import binaries, releases, tools
from devcluster.errors import DevClusterError
from devcluster.progress import Reporter
from devcluster.releases import Site
from devcluster.tools import Release, Tool

BARE = tools.BY_NAME["kubectl"]
PACKED = tools.BY_NAME["containerd"]
LISTED = tools.BY_NAME["etcd"]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class Releases(http.server.ThreadingHTTPServer):
    """Serves `files` by path; `pace` seconds between pieces of 1000 bytes; `cut` bytes are left out at the end."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.pace = 0.0
        self.cut = 0
        self.asked: list[str] = []

    @property
    def site(self) -> Site:
        url = f"http://127.0.0.1:{self.server_port}/{{host}}/{{path}}"
        # A server that is quick may still be held up by the machine.
        return Site(url, stall=0.5, grace=0.3) if self.pace else Site(url)

    def publish(self, tool: Tool, data: bytes, *, checksum: str = "") -> None:
        assert tool.release is not None
        self.files[tool.release.path] = data
        name = tool.release.path.rpartition("/")[2]
        self.files[tool.release.checksums] = (checksum or f"{digest(data)}  {name}\n").encode()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Releases

    def do_GET(self) -> None:
        location = self.path.lstrip("/")
        self.server.asked.append(location)
        data = self.server.files.get(location)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        spoiled = not location.endswith((".sha256", ".sha256sum"))
        end = len(data) - self.server.cut * spoiled
        for start in range(0, end, 1000):
            time.sleep(self.server.pace * spoiled)
            try:
                self.wfile.write(data[start : min(start + 1000, end)])
            except OSError:
                return

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server():
    with Releases() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_good_binary_is_installed_and_executable(server, tmp_path):
    server.publish(BARE, b"#!kubectl")
    seen = []
    path = releases.fetch(server.site, BARE, tmp_path / "kubectl", seen=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == b"#!kubectl"
    assert path.stat().st_mode & 0o111
    assert seen[-1] == (9, 9)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("{digest}", id="the digest alone, as dl.k8s.io has it"),
        pytest.param("{digest}  {name}\n", id="a sha256sum line"),
        pytest.param("{digest} *{name}\n", id="a sha256sum line in binary mode"),
        pytest.param("0000  other\n{other}  other2\n{digest}  {name}\n", id="one of many lines"),
        pytest.param("{digest}  ./release/{name}\n", id="a line with a folder"),
    ],
)
def test_every_form_of_checksum_file_is_understood(server, tmp_path, form):
    name = BARE.release.path.rpartition("/")[2]
    server.publish(BARE, b"k", checksum=form.format(digest=digest(b"k"), other=digest(b"o"), name=name))
    assert releases.fetch(server.site, BARE, tmp_path / "kubectl").read_bytes() == b"k"


def test_a_corrupt_binary_is_refused_and_not_kept(server, tmp_path):
    server.publish(BARE, b"evil", checksum=digest(b"good"))
    with pytest.raises(DevClusterError, match=f"but {digest(b'good')} was published") as caught:
        releases.fetch(server.site, BARE, tmp_path / "kubectl")
    assert not isinstance(caught.value, releases.UnreachableError)
    assert "--binaries" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_checksum_file_without_our_file_is_refused(server, tmp_path):
    server.publish(LISTED, b"e", checksum=f"{digest(b'e')}  etcd-for-windows.zip\n")
    with pytest.raises(DevClusterError, match="holds no SHA-256 of it"):
        releases.fetch(server.site, LISTED, tmp_path / "etcd")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda server: server.files.clear(), "404", id="a missing release"),
        pytest.param(lambda server: server.files.pop(BARE.release.path), "404", id="a checksum without its file"),
        pytest.param(lambda server: setattr(server, "cut", 40_000), "broke off", id="a download that breaks off"),
        pytest.param(lambda server: setattr(server, "pace", 0.05), "too slow", id="a trickle of 20 kB/s"),
        pytest.param(lambda server: setattr(server, "pace", 1), "timed out", id="silence in the middle"),
    ],
)
def test_what_another_source_may_heal_is_unreachable(server, tmp_path, spoil, said):
    server.publish(BARE, b"x" * 50_000)
    spoil(server)
    with pytest.raises(releases.UnreachableError, match=said):
        releases.fetch(server.site, BARE, tmp_path / "kubectl")
    assert list(tmp_path.iterdir()) == []


def test_an_archive_is_downloaded_once_for_all_its_binaries(server, tmp_path):
    shim = tools.BY_NAME["containerd-shim-runc-v2"]
    server.publish(PACKED, tar({"bin/containerd": b"c", "bin/containerd-shim-runc-v2": b"s"}))
    assert releases.fetch(server.site, PACKED, tmp_path / "containerd").read_bytes() == b"c"
    assert releases.fetch(server.site, shim, tmp_path / shim.name).read_bytes() == b"s"
    assert server.asked.count(PACKED.release.path) == 1


def test_an_archive_without_the_binary_is_an_error(server, tmp_path):
    server.publish(PACKED, tar({"bin/ctr": b"c"}))
    with pytest.raises(DevClusterError, match="holds no bin/containerd"):
        releases.fetch(server.site, PACKED, tmp_path / "containerd")


def test_a_port_where_nobody_listens_is_not_reachable(server):
    assert releases.reachable(server.site, "dl.k8s.io/")
    closed = Site("http://127.0.0.1:1/{host}/{path}")
    assert not releases.reachable(closed, "dl.k8s.io/")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        pytest.param("", "https://dl.k8s.io/v1/x", id="the official site by default"),
        pytest.param("http://mirror/k8s/", "http://mirror/k8s/dl.k8s.io/v1/x", id="a mirror's prefix"),
        pytest.param("http://{host}.mirror/{path}", "http://dl.k8s.io.mirror/v1/x", id="a template"),
    ],
)
def test_the_site_can_be_configured(monkeypatch, given, url):
    monkeypatch.setenv("DEVCLUSTER_RELEASES", given)
    assert releases.configured_site().url("dl.k8s.io/v1/x") == url


class TestWhereBinariesComeFrom:
    """The order of the sources."""

    @pytest.fixture(autouse=True)
    def _machine(self, monkeypatch, tmp_path, server):
        for name in ("KUBEBUILDER_ASSETS", "DEVCLUSTER_BINARIES"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("DEVCLUSTER_RELEASES", f"http://127.0.0.1:{server.server_port}")

    def folder(self, path, name="kubectl", text="#!/bin/sh"):
        path.mkdir(exist_ok=True)
        (path / name).write_text(text)
        (path / name).chmod(0o755)
        return path

    def test_the_named_folder_comes_first_then_kubebuilder_assets(self, monkeypatch, tmp_path):
        first, second = self.folder(tmp_path / "first"), self.folder(tmp_path / "second")
        self.folder(second, "etcd")
        monkeypatch.setenv("KUBEBUILDER_ASSETS", str(second))
        found = binaries.resolve([BARE, LISTED], Reporter(quiet=True), given=str(first))
        assert found == {"kubectl": first / "kubectl", "etcd": second / "etcd"}

    def test_a_folder_that_is_none_is_an_error(self, tmp_path):
        with pytest.raises(DevClusterError, match="is no folder"):
            binaries.resolve([BARE], Reporter(quiet=True), given=str(tmp_path / "nowhere"))

    def test_a_release_is_fetched_once_and_then_found_in_the_cache(self, server):
        server.publish(BARE, b"released")
        for _ in range(2):
            found = binaries.resolve([BARE], Reporter(quiet=True))
            assert found["kubectl"].read_bytes() == b"released"
            assert BARE.version in str(found["kubectl"])
        assert server.asked.count(BARE.release.path) == 1

    def test_a_corrupt_release_is_not_replaced_by_a_build(self, server):
        server.publish(BARE, b"evil", checksum=digest(b"good"))
        with pytest.raises(DevClusterError, match="was published"):
            binaries.resolve([BARE], Reporter(quiet=True))

    def test_what_is_not_released_is_built_from_go_modules(self, monkeypatch, tmp_path):
        self.folder(tmp_path / "go", "go", '#!/bin/sh\nmkdir -p "$GOBIN"; echo "$@" > "$GOBIN/coredns"\n')
        for evidence in ("gcc", "pkg-config"):
            self.folder(tmp_path / "go", evidence)
        monkeypatch.setattr("devcluster.packages.FOR_GO_BUILDS", {})
        monkeypatch.setenv("PATH", f"{tmp_path / 'go'}:/usr/bin:/bin")
        built = binaries.resolve([tools.BY_NAME["coredns"]], Reporter(quiet=True))["coredns"]
        assert "github.com/coredns/coredns@v" in built.read_text()

    def test_a_build_that_fails_names_its_log(self, monkeypatch, tmp_path):
        self.folder(tmp_path / "go", "go", "#!/bin/sh\necho no such module >&2; exit 1\n")
        monkeypatch.setattr("devcluster.packages.FOR_GO_BUILDS", {})
        monkeypatch.setenv("PATH", f"{tmp_path / 'go'}:/usr/bin:/bin")
        with pytest.raises(DevClusterError) as caught:
            binaries.resolve([tools.BY_NAME["coredns"]], Reporter(quiet=True))
        assert "no such module" in caught.value.report()


def test_every_release_of_an_archive_names_its_member():
    for tool in tools.BY_NAME.values():
        if tool.release is not None:
            packed = tool.release.path.endswith((".tgz", ".tar.gz"))
            assert packed == bool(tool.release.member), tool.name


def test_checksum_lines_of_other_files_are_not_taken():
    release = Release("h/v1/runc.amd64", "h/v1/runc.sha256sum")
    text = f"{digest(b'arm')}  runc.arm64\n{digest(b'amd')}  runc.amd64\n"
    assert releases.checksum(text, release) == digest(b"amd")
    with pytest.raises(DevClusterError):
        releases.checksum(text, replace(release, path="h/v1/runc.riscv64"))
