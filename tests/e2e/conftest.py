"""Fixtures of the e2e tests: a namespace for each test, and the machine behind a node where it can be reached."""

import os
import shutil
import uuid
from collections.abc import Iterator

import pytest

from tests.e2e.kube import Kube


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
    try:
        yield Kube(name)
    finally:
        cluster.run("delete", "namespace", name, "--wait=false")
