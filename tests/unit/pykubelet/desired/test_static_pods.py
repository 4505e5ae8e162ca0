"""Manifests in files become Pods of this node."""

import pytest

from pykubelet.desired import static_pods

MANIFEST = b"""
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - {name: main, image: "registry.example:5000/nginx"}
  - {name: side, image: "nginx:1.27"}
"""


def test_a_static_pod_is_named_after_its_node_and_marked() -> None:
    pod = static_pods.parse(MANIFEST, path="/etc/kubernetes/manifests/web.yaml", node_name="Node-1")
    assert str(pod.key) == "default/web-node-1"
    assert pod.spec.node_name == "Node-1"
    assert pod.metadata.annotations[static_pods.HASH] == pod.uid
    assert pod.metadata.annotations[static_pods.SOURCE] == "file"
    assert [c.image_pull_policy for c in pod.spec.containers] == ["Always", "IfNotPresent"]
    assert pod.spec.tolerations[-1].effect == "NoExecute"


def test_a_changed_file_is_another_pod() -> None:
    first, second = (
        static_pods.parse(body, path="/m/web.yaml", node_name="n") for body in (MANIFEST, MANIFEST + b"\n# changed")
    )
    assert first.uid != second.uid
    assert first.key == second.key


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="not YAML"),
        pytest.param(b"kind: Service\napiVersion: v1", id="not a Pod"),
        pytest.param(b"kind: Pod\napiVersion: v1\nmetadata: {name: x}", id="without containers"),
        pytest.param(b"kind: Pod\napiVersion: v1\nmetadata: {name: x}\nspec: {containers: 3}", id="of another shape"),
    ],
)
def test_what_is_no_pod_is_refused(body: bytes) -> None:
    with pytest.raises(static_pods.BadManifest):
        static_pods.parse(body, path="/m/web.yaml", node_name="n")
