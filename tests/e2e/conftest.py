"""Fixtures of the e2e tests: a namespace for each test, and the machine behind a node where it can be reached."""

import os
import shutil
import uuid
from collections.abc import Generator, Iterator

import pytest

from devcluster.api import Cluster, Node
from tests.e2e import kube as k
from tests.e2e import small_node
from tests.e2e.kube import Kube, Manifest
from tests.e2e.lab import Registry, added


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test's report shows what its namespace held by then, before the namespace goes."""
    report = yield
    kube = getattr(item, "funcargs", {}).get("kube")
    if report.when == "call" and report.failed and isinstance(kube, Kube):
        report.sections.append((f"namespace {kube.namespace}", k.told(kube)))
    return report


@pytest.fixture(scope="session")
def cluster() -> Kube:
    """The cluster of $KUBECONFIG, outside any test's namespace."""
    if "KUBECONFIG" not in os.environ:
        pytest.skip("KUBECONFIG is not set: e2e tests need a cluster; `make e2e` brings one up and sets it")
    kube = Kube("default")
    if shutil.which(kube.program[0]) is None:
        pytest.fail(f"{kube.program[0]} is not on PATH: e2e tests speak to the cluster with kubectl")
    return kube


@pytest.fixture
def kube(cluster: Kube, request: pytest.FixtureRequest) -> Iterator[Kube]:
    """kubectl in a fresh namespace, which is deleted after the test."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    cluster.run("create", "namespace", name)
    kube = Kube(name)
    # Controllers put these into a new namespace; no Pod is admitted before.
    k.wait_for(lambda: kube.exists("serviceaccount", "default"), f"service account {name}/default")
    k.wait_for(lambda: kube.exists("configmap", "kube-root-ca.crt"), f"ConfigMap {name}/kube-root-ca.crt")
    try:
        yield kube
    finally:
        cluster.run("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def lab() -> Cluster:
    """The dev cluster the tests run against, for those that reach into its machines."""
    name = os.environ.get("DEVCLUSTER")
    if not name:
        pytest.skip(
            "DEVCLUSTER is not set: this test kills, swaps or looks into parts of nodes; of a dev cluster it can"
        )
    return Cluster(name)


@pytest.fixture(scope="session")
def registry(lab: Cluster) -> Registry:
    return Registry(lab)


@pytest.fixture(scope="session")
def spare(lab: Cluster, cluster: Kube) -> Iterator[Node]:
    """A small node of ours, with a configuration of its own, that Pods have to name (tests/e2e/small_node.py)."""
    with added(lab.name, small_node.NAME) as node:
        cluster.run("taint", "node", node.name, "e2e=spare:NoSchedule", "--overwrite")
        small_node.shrink(node)
        yield node


@pytest.fixture(scope="session")
def ours(cluster: Kube) -> Manifest:
    """A node that runs pykubelet."""
    for node in cluster.listed("nodes"):
        if k.runs_pykubelet(node):
            return node
    pytest.skip("no node of this cluster runs pykubelet")


@pytest.fixture(scope="session")
def genuine(cluster: Kube) -> Iterator[str]:
    """A node with the genuine kubelet: one that the cluster has, or one added to a dev cluster for the tests."""
    name = os.environ.get("DEVCLUSTER")
    if not name:
        stock = [node["metadata"]["name"] for node in cluster.listed("nodes") if not k.runs_pykubelet(node)]
        if not stock:
            pytest.skip("this cluster has no node with the genuine kubelet to compare with")
        yield stock[0]
        return
    with added(name, "n9=genuine") as node:
        # Only Pods that name this node shall run there: all other tests are about ours.
        cluster.run("taint", "node", node.name, "e2e=genuine:NoSchedule", "--overwrite")
        yield node.name
