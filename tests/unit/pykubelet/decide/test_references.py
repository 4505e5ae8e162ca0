"""Which objects a Pod refers to."""

from nodekit.objects import codec
from pykubelet.decide import references
from pykubelet.model.pod import Pod

MANIFEST = b"""{"metadata": {"namespace": "ns", "name": "p"}, "spec": {
  "imagePullSecrets": [{"name": "pull"}],
  "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "init-env"}}]}],
  "containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "whole"}}], "env": [
    {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "keys", "key": "a"}}},
    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "whole", "key": "b"}}},
    {"name": "C", "value": "plain"}]}],
  "volumes": [
    {"name": "1", "configMap": {"name": "files"}},
    {"name": "2", "secret": {"secretName": "files"}},
    {"name": "3", "emptyDir": {}},
    {"name": "4", "projected": {"sources": [{"configMap": {"name": "part"}}, {"secret": {"name": "part"}},
       {"serviceAccountToken": {"path": "token"}}]}}]}}"""


def test_all_that_is_named_is_found_once() -> None:
    found = references.of(codec.decode(Pod, MANIFEST))
    assert sorted(str(reference) for reference in found) == [
        "ConfigMap ns/files",
        "ConfigMap ns/init-env",
        "ConfigMap ns/keys",
        "ConfigMap ns/part",
        "Secret ns/files",
        "Secret ns/part",
        "Secret ns/pull",
        "Secret ns/whole",
    ]
