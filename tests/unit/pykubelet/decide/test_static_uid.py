"""UIDs of static Pods are the genuine kubelet's: static_uids/uids.txt is what Go printed for the manifests."""

from pathlib import Path

import pytest
import yaml

from pykubelet.decide import go_quantity, static_uid

GOLDEN = Path(__file__).parent / "static_uids"
PATH = "/etc/kubernetes/manifests/a.yaml"


@pytest.mark.parametrize(
    ("manifest", "uid"),
    list(
        zip(
            (GOLDEN / "manifests.yaml").read_text().split("\n---\n"),
            (GOLDEN / "uids.txt").read_text().split(),
            strict=True,
        )
    ),
    ids=["a small one", "kubeadm's etcd", "one with a bit of everything"],
)
def test_a_static_pod_has_the_uid_of_the_genuine_kubelet(manifest: str, uid: str) -> None:
    assert static_uid.of(yaml.safe_load(manifest), node_name="n1", path=PATH) == uid


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}, id="a time"),
        pytest.param({"status": {"phase": "Running"}}, id="a status"),
        pytest.param({"metadata": {"labels": {"a": 1}}}, id="a number for a text"),
        pytest.param({"spec": {"containers": [None]}}, id="nothing for a container"),
        pytest.param({"spec": {"overhead": {"cpu": "lots"}}}, id="a word for a quantity"),
    ],
)
def test_what_cannot_be_printed_is_said_to_be_so(manifest: static_uid.Tree) -> None:
    with pytest.raises(static_uid.Unprintable):
        static_uid.of(manifest, node_name="n1", path=PATH)


def test_a_quantity_remembers_how_it_was_written() -> None:
    assert "value:(int64)1500 scale:(resource.Scale)-3} d:" in go_quantity.printed("1500m", rounded=False)
    assert "s:(string)1500m " in go_quantity.printed("1500m", rounded=False)
    assert "s:(string) " in go_quantity.printed("1000m", rounded=False)
