"""Two first `up`s of different clusters share one cache."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from devcluster import binaries, images, oci, pull, recipes, releases, tools
from devcluster.progress import Reporter

WAIT = 0.3  # seconds that one gives the other to do the same


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    for name in ("KUBEBUILDER_ASSETS", "DEVCLUSTER_BINARIES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DEVCLUSTER_REGISTRY", "http://mine")


class Work:
    """Notes what is done; the first of two gives the second time to begin as well."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._second = threading.Event()

    def do(self, what: str) -> None:
        self.done.append(what)
        if len(self.done) > 1:
            self._second.set()
        self._second.wait(WAIT)


def twice(call):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(call), pool.submit(call)
        return first.result(), second.result()


def test_a_binary_is_fetched_by_one_of_two(monkeypatch):
    work, kubectl = Work(), tools.BY_NAME["kubectl"]

    def fetch(site, tool, target):
        work.do(tool.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(0o755)
        return target

    monkeypatch.setattr(releases, "reachable", lambda site, location: True)
    monkeypatch.setattr(releases, "fetch", fetch)
    found = twice(lambda: binaries.resolve([kubectl], Reporter(quiet=True)))
    assert found == ({"kubectl": binaries.cached(kubectl)},) * 2
    assert work.done == ["kubectl"]


def test_images_are_pulled_by_one_of_two(monkeypatch):
    work = Work()

    def fetch(registry, name, store):
        work.do(name)
        store.name([name], oci.Descriptor(oci.MANIFEST, "sha256:0", 1))

    monkeypatch.setattr(pull.Registry, "pull", fetch)
    twice(lambda: images.obtain(Reporter(quiet=True)))
    assert sorted(work.done) == sorted(recipes.names())
