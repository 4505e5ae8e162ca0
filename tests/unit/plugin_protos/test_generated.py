"""The modules of device plugins and pod resources are those of their .proto, which are the genuine ones on the wire."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from plugin_protos import deviceplugin_pb2, podresources_pb2
from tests.unit.cri_protos.test_generated import compiled, facts, forget_json_names

ROOT = Path(__file__).parents[3]
GENUINE = "k8s.io/kubelet@v0.37.2"
FILES = [
    pytest.param("deviceplugin", deviceplugin_pb2, "deviceplugin/v1beta1", 40, id="device plugins"),
    pytest.param("podresources", podresources_pb2, "podresources/v1", 40, id="pod resources"),
]


@pytest.mark.parametrize(("name", "module", "folder", "least"), FILES)
def test_the_generated_modules_are_not_stale(name: str, module, folder: str, least: int, tmp_path: Path) -> None:
    want = compiled(ROOT, f"plugin_protos/{name}.proto", tmp_path)
    got = descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
    forget_json_names(want.message_type)
    assert got == want, "run `make protos`"


@pytest.fixture(scope="module")
def genuine() -> Path:
    if shutil.which("go") is None:
        pytest.skip(f"Go is not here, so {GENUINE} cannot be had to compare with")
    done = subprocess.run(["go", "mod", "download", "-json", GENUINE], capture_output=True, timeout=50, check=False)
    if done.returncode:
        pytest.skip(f"go mod download {GENUINE} failed: {done.stdout.decode()[-300:]}{done.stderr.decode()[-300:]}")
    return Path(json.loads(done.stdout)["Dir"]) / "pkg/apis"


@pytest.mark.parametrize(("name", "module", "folder", "least"), FILES)
def test_they_are_the_genuine_api_on_the_wire(
    genuine: Path, name: str, module, folder: str, least: int, tmp_path: Path
) -> None:
    want = set(facts(compiled(genuine / folder, "api.proto", tmp_path)))
    got = set(facts(descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)))
    assert len(want) > least
    assert not want - got, "missing here"
    assert not got - want, "not in the genuine API"
