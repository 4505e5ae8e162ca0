"""Pods that ask for devices, from their first sight on, with plugins that have no wire."""

import asyncio
from pathlib import Path

import msgspec

from nodekit.aio import virtual
from plugin_protos import deviceplugin_pb2 as pb
from pykubelet.act.devices import Devices
from pykubelet.model.container import ResourceRequirements
from pykubelet.model.devices import Device, PluginOptions
from pykubelet.model.pod import Pod
from tests.unit.pykubelet.act.scene import Plugins, Scene, pod

GPU = "example.com/gpu"
ANSWER = pb.ContainerAllocateResponse(
    envs={"GPUS": "yes"},
    mounts=[pb.Mount(container_path="/in", host_path="/out", read_only=True)],
    devices=[pb.DeviceSpec(container_path="/dev/gpu", host_path="/dev/gpu0", permissions="rw")],
    annotations={"vendor": "x"},
    cdi_devices=[pb.CDIDevice(name="example.com/gpu=a")],
).SerializeToString()


def plugins(*ids: str, **options: bool) -> Plugins:
    found = Plugins()
    found.offers[GPU] = {id_: Device(id_) for id_ in ids}
    found.options = PluginOptions(**options)
    found.answer = ANSWER
    return found


def wanting(count: int, name: str = "web") -> Pod:
    made = pod(name)
    limits = ResourceRequirements(limits={GPU: str(count)})
    containers = tuple(msgspec.structs.replace(c, resources=limits) for c in made.spec.containers)
    return msgspec.structs.replace(made, spec=msgspec.structs.replace(made.spec, containers=containers))


def test_a_container_gets_its_devices_and_what_comes_with_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path, plugins=plugins("a", "b", "c", preferred=True, pre_start=True))
        async with scene.running():
            scene.want(wanting(2))
            await asyncio.sleep(1)
            assert scene.plugins.calls == [
                ("preferred", ("a", "b", "c")),
                ("allocate", ("c", "b")),
                ("pre_start", ("b", "c")),
            ]
            (made,) = scene.runtime.world.containers.values()
            assert ("GPUS", "yes") in made.spec.envs
            assert (made.spec.mounts[0].container_path, made.spec.mounts[0].readonly) == ("/in", True)
            assert [device.host_path for device in made.spec.devices] == ["/dev/gpu0"]
            assert made.spec.annotations["vendor"] == "x"
            assert made.spec.cdi_devices == ("example.com/gpu=a",)

    virtual.run(scenario())


def test_a_pod_that_cannot_have_its_devices_has_failed_and_nothing_is_made_of_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path, plugins=plugins("a"))
        refused, unlucky = wanting(2), wanting(1, "unlucky")
        async with scene.running():
            scene.want(refused)
            await asyncio.sleep(1)
            status = scene.told.statuses[refused.uid]
            assert (status.phase, status.reason) == ("Failed", "UnexpectedAdmissionError")
            assert "Requested: 2, Available: 1" in status.message
            scene.plugins.refusal = "rpc error: code = Unknown desc = broken"
            scene.want(unlucky)
            await asyncio.sleep(1)
            status = scene.told.statuses[unlucky.uid]
            assert status.message.endswith(
                "Allocate failed due to rpc error: code = Unknown desc = broken, which is unexpected"
            )
            assert scene.calls("RunPodSandbox") == 0
            assert scene.devices.held() == ()

    virtual.run(scenario())


def test_devices_come_back_when_the_pod_holds_nothing_any_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path, plugins=plugins("a"))
        first, second = wanting(1), wanting(1, "next")
        async with scene.running():
            scene.want(first)
            await asyncio.sleep(1)
            assert [one.uid for one in scene.devices.held()] == [first.uid]
            scene.delete(first)
            await asyncio.sleep(5)
            scene.want(second)
            await asyncio.sleep(1)
            assert scene.phase(second) == "Running"
            assert [one.uid for one in scene.devices.held()] == [second.uid]

    virtual.run(scenario())


def test_who_has_which_is_known_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        first = Scene(tmp_path, plugins=plugins("a", "b"))
        wanted = wanting(1)
        async with first.running():
            first.want(wanted)
            await asyncio.sleep(1)
        # The plugin has not come back yet: what runs goes on, and nothing is asked of it.
        again = Scene(tmp_path, first.runtime, plugins=Plugins())
        assert again.plugins.offers == {GPU: {}}
        async with again.running():
            again.want(wanted)
            await asyncio.sleep(1)
            assert again.phase(wanted) == "Running"
            assert again.plugins.calls == []
            assert [(one.uid, one.ids) for one in again.devices.held()] == [(wanted.uid, {"a"})]

    virtual.run(scenario())


def test_what_runs_without_a_record_is_left_alone_until_it_starts_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        first = Scene(tmp_path / "1", plugins=plugins("a"))
        wanted = wanting(1)
        async with first.running():
            first.want(wanted)
            await asyncio.sleep(1)
        again = Scene(tmp_path / "2", first.runtime, plugins=plugins("a"))
        async with again.running():
            again.want(wanted)
            await asyncio.sleep(1)
            assert again.plugins.calls == []
            (running,) = again.runtime.world.containers
            again.runtime.world.exit(running, 1)
            await asyncio.sleep(30)
            assert again.plugins.calls == [("allocate", ("a",))]
            assert again.states()[-1] == ("main", 1, "Running")

    virtual.run(scenario())


def test_a_corrupt_file_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "kubelet_internal_checkpoint").write_text("nonsense")
    assert Devices(tmp_path, Plugins(), keeps=lambda uid: True).held() == ()
