"""The socket at which monitoring agents ask which container has which devices: podresources v1."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from plugin_protos import podresources_pb2 as pb
from plugin_protos import podresources_pb2_grpc as stubs
from pykubelet import meters

_VERSION: Final = "v1"


@dataclass(frozen=True, slots=True)
class Held:
    """One device of a resource, and the NUMA nodes it is near to."""

    resource: str
    id: str
    numa: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PodDevices:
    """A Pod's containers in order (sidecars first) with the devices of each."""

    namespace: str
    name: str
    containers: tuple[tuple[str, tuple[Held, ...]], ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """Where the answers come from: the Pods that hold something, one Pod by namespace and name, all healthy devices."""

    pods: Callable[[], Iterable[PodDevices]]
    pod: Callable[[str, str], PodDevices | None]
    devices: Callable[[], Iterable[Held]]


async def serve(socket: Path, answers: Answers) -> None:
    """Answer at `socket` until cancelled. Raises OSError if its folder cannot be made."""
    _make_way(socket)
    server = grpc.aio.server()
    stubs.add_PodResourcesListerServicer_to_server(_Lister(answers), server)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        await server.wait_for_termination()
    finally:
        await asyncio.shield(server.stop(0))


def _make_way(socket: Path) -> None:
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    socket.unlink(missing_ok=True)


class _Lister(stubs.PodResourcesListerServicer):
    """No CPU and no memory is given to a container alone here, nor does a claim give it devices: those stay empty."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def List(self, request: Any, context: Any) -> Any:  # noqa: N802
        _asked("List")
        return pb.ListPodResourcesResponse(pod_resources=[_pod(one) for one in self._answers.pods()])

    async def GetAllocatableResources(self, request: Any, context: Any) -> Any:  # noqa: N802
        _asked("GetAllocatableResources")
        return pb.AllocatableResourcesResponse(devices=[_device(one) for one in self._answers.devices()])

    async def Get(self, request: Any, context: Any) -> Any:  # noqa: N802
        _asked("Get")
        found = self._answers.pod(request.pod_namespace, request.pod_name)
        if found is None:
            meters.pod_resources_get_errors.labels(_VERSION).inc()
            what = f"pod {request.pod_name} in namespace {request.pod_namespace} not found"
            await context.abort(grpc.StatusCode.UNKNOWN, what)
            raise AssertionError
        return pb.GetPodResourcesResponse(pod_resources=_pod(found))


def _asked(method: str) -> None:
    meters.pod_resources.labels(_VERSION).inc()
    meters.pod_resources_requests[method].labels(_VERSION).inc()


def _pod(pod: PodDevices) -> Any:
    containers = [
        pb.ContainerResources(name=name, devices=[_device(one) for one in held]) for name, held in pod.containers
    ]
    return pb.PodResources(name=pod.name, namespace=pod.namespace, containers=containers)


def _device(held: Held) -> Any:
    nodes = [pb.NUMANode(ID=node) for node in held.numa]
    topology = pb.TopologyInfo(nodes=nodes) if nodes else None
    return pb.ContainerDevices(resource_name=held.resource, device_ids=[held.id], topology=topology)
