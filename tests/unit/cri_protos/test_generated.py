"""The generated CRI modules are those of api.proto, and api.proto is the genuine API on the wire."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

from cri_protos import api_pb2, api_pb2_grpc

ROOT = Path(__file__).parents[3]
GENUINE = "k8s.io/cri-api@v0.37.2"


def compiled(folder: Path, source: str, into: Path) -> descriptor_pb2.FileDescriptorProto:
    out = into / "set.bin"
    assert protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_out={out}", source]) == 0
    (file,) = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    return file


def forget_json_names(messages: Iterable[descriptor_pb2.DescriptorProto]) -> None:
    """protoc writes them into a descriptor set, and leaves them out of generated code."""
    for message in messages:
        for field in message.field:
            field.ClearField("json_name")
        forget_json_names(message.nested_type)


def test_the_generated_modules_are_not_stale(tmp_path: Path) -> None:
    want = compiled(ROOT, "cri_protos/api.proto", tmp_path)
    got = descriptor_pb2.FileDescriptorProto.FromString(api_pb2.DESCRIPTOR.serialized_pb)
    forget_json_names(want.message_type)
    assert got == want, "run `make protos`"


def test_the_stubs_are_not_stale() -> None:
    types = (ROOT / "cri_protos/api_pb2.pyi").read_text()
    for name in [*api_pb2.DESCRIPTOR.message_types_by_name, *api_pb2.DESCRIPTOR.enum_types_by_name]:
        assert f"class {name}(" in types or f"class _{name}" in types, f"{name}: run `make protos`"
    methods = (ROOT / "cri_protos/api_pb2_grpc.pyi").read_text()
    for service in api_pb2.DESCRIPTOR.services_by_name.values():
        servicer = getattr(api_pb2_grpc, f"{service.name}Servicer")
        for method in service.methods:
            assert hasattr(servicer, method.name), f"{method.name}: run `make protos`"
            assert f"def {method.name}(" in methods, f"{method.name}: run `make protos`"


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> descriptor_pb2.FileDescriptorProto:
    if shutil.which("go") is None:
        pytest.skip(f"Go is not here, so {GENUINE} cannot be had to compare with")
    done = subprocess.run(["go", "mod", "download", "-json", GENUINE], capture_output=True, timeout=50, check=False)
    if done.returncode:
        pytest.skip(f"go mod download {GENUINE} failed: {done.stdout.decode()[-300:]}{done.stderr.decode()[-300:]}")
    folder = Path(json.loads(done.stdout)["Dir"]) / "pkg/apis/runtime/v1"
    return compiled(folder, "api.proto", tmp_path_factory.mktemp("genuine"))


def facts(file: descriptor_pb2.FileDescriptorProto) -> Iterator[str]:
    """Everything that the wire or a caller of an RPC depends on, one sentence each."""
    yield f"package {file.package}"
    for message in file.message_type:
        yield from message_facts(message, message.name)
    for enum in file.enum_type:
        yield from (f"enum {enum.name}.{v.name} = {v.number}" for v in enum.value)
    for service in file.service:
        for m in service.method:
            streams = f"{m.client_streaming} -> {m.server_streaming}"
            yield f"rpc {service.name}.{m.name}: {m.input_type} -> {m.output_type}, streaming {streams}"


def message_facts(message: descriptor_pb2.DescriptorProto, path: str) -> Iterator[str]:
    yield f"message {path} map={message.options.map_entry}"
    for f in message.field:
        oneof = message.oneof_decl[f.oneof_index].name if f.HasField("oneof_index") else ""
        kind = f"type={f.type} {f.type_name} label={f.label} oneof={oneof} packed={f.options.packed}"
        yield f"field {path}.{f.name} = {f.number} {kind} deprecated={f.options.deprecated}"
    for enum in message.enum_type:
        yield from (f"enum {path}.{enum.name}.{v.name} = {v.number}" for v in enum.value)
    for nested in message.nested_type:
        yield from message_facts(nested, f"{path}.{nested.name}")


def test_it_is_the_genuine_api_on_the_wire(genuine: descriptor_pb2.FileDescriptorProto) -> None:
    ours = descriptor_pb2.FileDescriptorProto.FromString(api_pb2.DESCRIPTOR.serialized_pb)
    want, got = set(facts(genuine)), set(facts(ours))
    assert len(want) > 700
    assert not want - got, "missing here"
    assert not got - want, "not in the genuine API"
