"""Slices are asked for over a real D-Bus, of a stand-in for systemd that checks what it is told by its types."""

import asyncio
import contextlib
import io
import shutil
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dbus_fast import DBusError, Message
from dbus_fast._private.unmarshaller import Unmarshaller
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, method

from pykubelet.act import systemd_bus
from pykubelet.act.systemd_slices import SystemdSlices
from pykubelet.decide.cgroups import Values

pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="needs dbus-daemon")
CONFIG = """<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"""


class Manager(ServiceInterface):
    """The two thirds of systemd's manager that a kubelet speaks to."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.systemd1.Manager")
        self.units: dict[str, dict[str, object]] = {}

    @method()
    def StartTransientUnit(self, name: "s", mode: "s", properties: "a(sv)", aux: "a(sa(sv))") -> "o":  # type: ignore[name-defined,valid-type]  # noqa: F821
        if name in self.units:
            raise DBusError("org.freedesktop.systemd1.UnitExists", f"Unit {name} already exists.")
        self.units[name] = {key: variant.value for key, variant in properties}
        return "/org/freedesktop/systemd1/job/1"

    @method()
    def SetUnitProperties(self, name: "s", runtime: "b", properties: "a(sv)"):  # type: ignore[name-defined,valid-type,no-untyped-def]  # noqa: F821
        self.units[name] |= {key: variant.value for key, variant in properties}

    @method()
    def StopUnit(self, name: "s", mode: "s") -> "o":  # type: ignore[name-defined,valid-type]  # noqa: F821
        if name not in self.units:
            raise DBusError("org.freedesktop.systemd1.NoSuchUnit", f"Unit {name} not loaded.")
        del self.units[name]
        return "/org/freedesktop/systemd1/job/2"


@contextlib.asynccontextmanager
async def systemd(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Manager]:
    socket = folder / "bus"
    (folder / "bus.conf").write_text(CONFIG.format(socket=socket))
    daemon = await asyncio.create_subprocess_exec(
        "dbus-daemon", f"--config-file={folder / 'bus.conf'}", "--nofork", "--nopidfile"
    )
    try:
        for _ in range(200):
            if socket.exists():
                break
            await asyncio.sleep(0.02)
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={socket}")
        bus = await MessageBus(bus_address=f"unix:path={socket}").connect()
        manager = Manager()
        bus.export("/org/freedesktop/systemd1", manager)
        await bus.request_name("org.freedesktop.systemd1")
        yield manager
        bus.disconnect()
    finally:
        daemon.terminate()
        await daemon.wait()


async def test_a_slice_is_started_changed_and_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with systemd(tmp_path, monkeypatch) as manager:
        slices = SystemdSlices(unified=True)
        await slices.set("kubepods-pod1.slice", Values(cpu_shares=1024, memory_limit=4096))
        unit = manager.units["kubepods-pod1.slice"]
        assert (unit["MemoryMax"], unit["CPUWeight"], unit["Wants"]) == (4096, 100, ["kubepods.slice"])
        assert unit["DefaultDependencies"] is False
        await slices.set("kubepods-pod1.slice", Values(cpu_shares=2048, memory_limit=8192))
        assert unit["MemoryMax"] == 8192

        another = SystemdSlices(unified=True)
        await another.set("kubepods-pod1.slice", Values(cpu_shares=2, memory_limit=1))
        assert unit["MemoryMax"] == 1
        await another.stop("kubepods-pod1.slice")
        assert manager.units == {}
        await another.stop("kubepods-pod1.slice")
        await slices.close()
        await another.close()


@contextlib.asynccontextmanager
async def peer(socket: Path) -> AsyncIterator[list[Message]]:
    """systemd's own socket, as it behaves: no hello, and an answer to every other call; the calls it got."""
    calls: list[Message] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n")
        writer.write(b"OK 0123456789abcdef0123456789abcdef\r\n")
        await reader.readuntil(b"BEGIN\r\n")
        with contextlib.suppress(asyncio.IncompleteReadError), contextlib.closing(writer):
            while True:
                fixed = await reader.readexactly(
                    16
                )  # byte order and type, length of the body, serial, length of fields
                body, _, fields = struct.unpack_from("<III", fixed, 4)
                rest = await reader.readexactly(-(-fields // 8) * 8 + body)
                call = Unmarshaller(io.BytesIO(fixed + rest)).unmarshall()
                assert call is not None
                if call.member == "Hello":
                    answer = Message.new_error(call, "org.freedesktop.DBus.Error.UnknownObject", "Unknown object")
                else:
                    calls.append(call)
                    answer = Message.new_method_return(call, "o", ["/org/freedesktop/systemd1/job/1"])
                answer.serial = call.serial
                writer.write(answer._marshall(False))

    async with await asyncio.start_unix_server(serve, socket):
        yield calls


async def test_where_no_bus_runs_systemd_itself_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
    monkeypatch.setattr(systemd_bus, "PRIVATE", tmp_path / "private")
    async with peer(tmp_path / "private") as calls:
        bus = await systemd_bus.connect()
        ask = {"destination": "org.freedesktop.systemd1", "path": "/org/freedesktop/systemd1", "interface": "a.b"}
        reply = await bus.call(Message(**ask, member="StopUnit", signature="s", body=["a.slice"]))
        assert reply.body == ["/org/freedesktop/systemd1/job/1"]
        assert [(call.member, call.body) for call in calls] == [("StopUnit", ["a.slice"])]
        bus.disconnect()
        await bus.wait_for_disconnect()


async def test_without_systemd_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
    monkeypatch.setattr(systemd_bus, "PRIVATE", tmp_path / "private")
    with pytest.raises(OSError, match=r"cgroupDriver systemd needs.*start dbus"):
        await SystemdSlices(unified=True).set("kubepods.slice", Values(cpu_shares=2))
