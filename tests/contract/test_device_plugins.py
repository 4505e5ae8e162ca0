"""A device plugin over real gRPC: it registers, offers devices, gives them out, goes; and who has which is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from nodekit.aio.clock import SystemClock
from plugin_protos import deviceplugin_pb2 as pb
from plugin_protos import deviceplugin_pb2_grpc as stubs
from plugin_protos import podresources_pb2 as told
from plugin_protos import podresources_pb2_grpc as telling
from pykubelet.model.devices import Device
from pykubelet.observe import device_plugins
from pykubelet.observe.device_plugins import DevicePlugins
from pykubelet.plugins import devices, pod_resources
from pykubelet.plugins.errors import PluginError
from pykubelet.plugins.pod_resources import Answers, Held, PodDevices

GPU = "example.com/gpu"


class Plugin(stubs.DevicePluginServicer):
    """Two devices, of which `health` tells; `calls` is what it was asked."""

    def __init__(self) -> None:
        self.health = {"a": "Healthy", "b": "Healthy"}
        self.changed = asyncio.Event()
        self.calls: list[Any] = []
        self.refusal = ""

    async def GetDevicePluginOptions(self, request: Any, context: Any) -> Any:
        return pb.DevicePluginOptions(pre_start_required=True, get_preferred_allocation_available=True)

    async def ListAndWatch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        while True:
            self.changed.clear()
            near = pb.TopologyInfo(nodes=[pb.NUMANode(ID=0), pb.NUMANode(ID=1)])
            yield pb.ListAndWatchResponse(
                devices=[pb.Device(ID=id_, health=health, topology=near) for id_, health in self.health.items()]
            )
            await self.changed.wait()

    async def GetPreferredAllocation(self, request: Any, context: Any) -> Any:
        (one,) = request.container_requests
        self.calls.append((list(one.available_deviceIDs), list(one.must_include_deviceIDs), one.allocation_size))
        return pb.PreferredAllocationResponse(
            container_responses=[pb.ContainerPreferredAllocationResponse(deviceIDs=["b"])]
        )

    async def Allocate(self, request: Any, context: Any) -> Any:
        if self.refusal:
            await context.abort(grpc.StatusCode.INTERNAL, self.refusal)
        ids = list(request.container_requests[0].devices_ids)
        answer = pb.ContainerAllocateResponse(envs={"DEVICES": ",".join(ids)})
        return pb.AllocateResponse(container_responses=[answer])

    async def PreStartContainer(self, request: Any, context: Any) -> Any:
        self.calls.append(list(request.devices_ids))
        return pb.PreStartContainerResponse()


class World:
    """A kubelet's folder, and a plugin in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugin = Plugin()
        self.plugins = DevicePlugins(folder, clock=SystemClock())
        self.plugins.subscribe(lambda resource: self._noted.set())
        self._noted = asyncio.Event()

    @contextlib.asynccontextmanager
    async def serving(self, name: str = "gpu.sock") -> AsyncIterator[None]:
        server = grpc.aio.server()
        stubs.add_DevicePluginServicer_to_server(self.plugin, server)
        server.add_insecure_port(f"unix:{self.folder}/{name}")
        await server.start()
        try:
            yield
        finally:
            await server.stop(0)

    async def register(self, name: str = "gpu.sock", *, resource: str = GPU, version: str = "v1beta1") -> None:
        request = pb.RegisterRequest(version=version, endpoint=name, resource_name=resource)
        async with grpc.aio.insecure_channel(f"unix:{self.folder}/{device_plugins.SOCKET}") as channel:
            await stubs.RegistrationStub(channel).Register(request, timeout=5, wait_for_ready=True)

    async def until(self, capacity: tuple[int, int]) -> None:
        async with asyncio.timeout(10):
            while self.plugins.capacity().get(GPU) != capacity:
                self._noted.clear()
                await self._noted.wait()


@contextlib.asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    made = World(folder)
    task = asyncio.create_task(made.plugins.run())
    try:
        async with asyncio.timeout(5):
            while not (folder / device_plugins.SOCKET).exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_plugin_is_counted_while_it_lives_and_its_devices_are_well(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        async with there.serving():
            await there.register()
            await there.until((2, 2))
            assert there.plugins.offers[GPU]["a"] == Device("a", True, (0, 1))
            there.plugin.health["a"] = "Unhealthy"
            there.plugin.changed.set()
            await there.until((2, 1))
        await there.until((2, 0))
        with pytest.raises(PluginError, match="has been stopped"):
            there.plugins.plugin(GPU)
        there.plugin.health["a"] = "Healthy"
        async with there.serving("again.sock"):
            await there.register("again.sock")
            await there.until((2, 2))


async def test_devices_are_given_out_in_the_plugins_words(tmp_path: Path) -> None:
    async with world(tmp_path) as there, there.serving():
        await there.register()
        await there.until((2, 2))
        plugin = there.plugins.plugin(GPU)
        assert (plugin.options.pre_start, plugin.options.preferred) == (True, True)
        assert await plugin.preferred({"a", "b"}, included={"a"}, size=2) == ("b",)
        assert devices.grant_of(await plugin.allocate(["a", "b"])).envs == (("DEVICES", "a,b"),)
        await plugin.pre_start(["a"])
        assert there.plugin.calls == [(["a", "b"], ["a"], 2), ["a"]]
        there.plugin.refusal = "out of order"
        with pytest.raises(PluginError, match="rpc error: code = Internal desc = out of order"):
            await plugin.allocate(["a"])


@pytest.mark.parametrize(
    ("resource", "version", "said"),
    [
        pytest.param(GPU, "v1alpha1", "requested API version", id="another version of the API"),
        pytest.param("gpu", "v1beta1", "is invalid", id="no extended resource"),
        pytest.param(GPU, "v1beta1", "GetDevicePluginOptions", id="nobody listens where it says"),
    ],
)
async def test_who_is_not_registered_is_told_why(tmp_path: Path, resource: str, version: str, said: str) -> None:
    async with world(tmp_path) as there:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await there.register("nobody.sock", resource=resource, version=version)
        assert said in str(refused.value.details())
        assert there.plugins.capacity() == {}


async def test_a_kubelet_that_starts_removes_old_sockets_and_awaits_their_plugins(tmp_path: Path) -> None:
    first = World(tmp_path)
    async with first.serving("old.sock"):
        assert (tmp_path / "old.sock").exists()
        (tmp_path / "kubelet_internal_checkpoint").touch()
        async with world(tmp_path) as there:
            there.plugins.expect([GPU])
            assert not (tmp_path / "old.sock").exists()
            assert (tmp_path / "kubelet_internal_checkpoint").exists()
            assert there.plugins.capacity() == {GPU: (0, 0)}


async def test_who_has_which_devices_is_told_to_who_asks(tmp_path: Path) -> None:
    web = PodDevices("default", "web", (("main", (Held(GPU, "a", (1,)),)), ("other", ())))
    answers = Answers(
        pods=lambda: [web],
        pod=lambda namespace, name: web if (namespace, name) == ("default", "web") else None,
        devices=lambda: [Held(GPU, "a", (1,)), Held(GPU, "b")],
    )
    socket = tmp_path / "pod-resources/kubelet.sock"
    task = asyncio.create_task(pod_resources.serve(socket, answers))
    try:
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            lister: Any = telling.PodResourcesListerStub(channel)
            listed = await lister.List(told.ListPodResourcesRequest(), timeout=5, wait_for_ready=True)
            got = await lister.Get(told.GetPodResourcesRequest(pod_name="web", pod_namespace="default"), timeout=5)
            assert list(listed.pod_resources) == [got.pod_resources]
            main, other = got.pod_resources.containers
            assert (main.name, main.devices[0].resource_name, list(main.devices[0].device_ids)) == ("main", GPU, ["a"])
            assert [node.ID for node in main.devices[0].topology.nodes] == [1]
            assert (other.name, len(other.devices)) == ("other", 0)
            offered = await lister.GetAllocatableResources(told.AllocatableResourcesRequest(), timeout=5)
            assert [list(one.device_ids) for one in offered.devices] == [["a"], ["b"]]
            with pytest.raises(grpc.aio.AioRpcError, match="pod x in namespace y not found"):
                await lister.Get(told.GetPodResourcesRequest(pod_name="x", pod_namespace="y"), timeout=5)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
