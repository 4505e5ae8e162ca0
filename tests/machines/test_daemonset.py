"""pyproxy as an image, run by pykubelet in a DaemonSet, by the commands of docs/install.md: Services answer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machines import pages
from tests.machines.cluster import Cluster
from tests.machines.conftest import BUILD
from tests.machines.lab import Lab
from tests.machines.machine import Machine

pytestmark = pytest.mark.timeout(300, func_only=True)  # of one test; machines are made and taken away outside of it
SECTION = "pyproxy in place of kubeadm's kube-proxy"
REPOSITORY = Path(__file__).parents[2]
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.66.1"


@pytest.fixture(scope="module")
def image(lab: Lab, package: Path) -> str:
    """Its version; the archive and the manifest lie where the page has them."""
    builder = [sys.executable, "-m", "deploy.pyproxy.image", str(BUILD / package.name), str(lab.folder / "srv")]
    subprocess.run(builder, check=True, cwd=REPOSITORY, stdout=subprocess.PIPE)
    return package.name.split("_")[1]


def test_services_answer_where_a_daemonset_of_ours_runs(cluster: Cluster, worker: Machine, image: str) -> None:
    machines = (cluster.control_plane, worker)
    if worker not in cluster.nodes:
        worker.run(pages.section("install.md", "Install")[0].commands)
        cluster.join(worker)
    cluster.kubectl(f"create deployment web --replicas=2 --image={AGNHOST} -- /agnhost netexec --http-port=8080")
    cluster.kubectl("expose deployment web --type=NodePort --port=80 --target-port=8080")
    cluster.kubectl("rollout status deployment/web --timeout=120s")
    service = json.loads(cluster.kubectl("get service web -o json"))["spec"]
    for block in pages.section("install.md", SECTION):
        commands = block.commands.replace("VERSION", image)
        if block.where == "node":
            for one in machines:
                one.run(commands)
        elif block.where == "control-plane":
            cluster.control_plane.run(f"export KUBECONFIG=/etc/kubernetes/admin.conf\n{commands}")
    for one in machines:
        assert not one.answer("http://203.0.113.1/hostname")
        one.until(
            "the ClusterIP answers",
            lambda one=one: one.answer(f"http://{service['clusterIP']}/hostname").startswith("web-"),
        )
        port = service["ports"][0]["nodePort"]
        one.until(
            "the NodePort answers",
            lambda one=one, port=port: one.answer(f"http://{one.address}:{port}/hostname").startswith("web-"),
        )
    shown = cluster.kubectl("-n kube-system get pods -l k8s-app=pyproxy -o jsonpath='{.items[*].status.phase}'")
    assert shown.split() == ["Running"] * len(cluster.nodes)


def test_the_image_takes_kube_proxys_place_in_kubeadms_daemonset(cluster: Cluster, worker: Machine, image: str) -> None:
    cluster.kubectl("-n kube-system delete daemonset pyproxy --cascade=foreground --ignore-not-found")
    cluster.control_plane.run("kubeadm init phase addon kube-proxy --config /root/kubeadm.yaml")
    convert, back = (block.commands for block in pages.section("install.md", SECTION) if block.where == "replace")
    cluster.control_plane.run(f"export KUBECONFIG=/etc/kubernetes/admin.conf\n{convert.replace('VERSION', image)}")
    cluster.kubectl("create service clusterip late --tcp=80:8080")
    cluster.kubectl("set selector service late app=web")
    address = cluster.kubectl("get service late -o jsonpath={.spec.clusterIP}")
    for one in (cluster.control_plane, worker):
        one.until("the Service answers", lambda one=one: one.answer(f"http://{address}/hostname").startswith("web-"))
    cluster.control_plane.run(f"export KUBECONFIG=/etc/kubernetes/admin.conf\n{back}")
    image_now = "get daemonset kube-proxy -o jsonpath={.spec.template.spec.containers[0].image}"
    assert cluster.kubectl(f"-n kube-system {image_now}") == "registry.k8s.io/kube-proxy:v1.37.2"
    cluster.kubectl("-n kube-system delete daemonset kube-proxy --cascade=foreground")  # there is no such image here
