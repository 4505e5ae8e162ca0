"""logind is heard and held up over a real message bus; a stand-in answers for logind and systemd."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pykubelet.observe.logind import Logind, LogindError

pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="dbus-daemon is not installed")

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy>
</busconfig>"""


class StandIn:
    """Plays logind and systemd: `delay` is what it allows, read from the drop-in when it is told to read it again."""

    def __init__(self, address: str, drop_in: Path) -> None:
        self.address, self.drop_in, self.delay = address, drop_in, 5.0
        self.held: list[int] = []
        self._bus: Any = None

    async def start(self) -> None:
        from dbus_fast.aio import MessageBus

        self._bus = await MessageBus(bus_address=self.address, negotiate_unix_fd=True).connect()
        self._bus.add_message_handler(self._answer)
        for name in ("org.freedesktop.login1", "org.freedesktop.systemd1"):
            await self._bus.request_name(name)

    def stop(self) -> None:
        self._bus.disconnect()

    def begin(self, begins: bool) -> None:
        from dbus_fast import Message

        where = {"path": "/org/freedesktop/login1", "interface": "org.freedesktop.login1.Manager"}
        self._bus.send(Message.new_signal(member="PrepareForShutdown", signature="b", body=[begins], **where))

    def _answer(self, message: Any) -> Any:
        from dbus_fast import Message, Variant

        match message.member:
            case "Get":
                return Message.new_method_return(message, "v", [Variant("t", int(self.delay * 1e6))])
            case "KillUnit":
                self.delay = float(self.drop_in.read_text().rpartition("=")[2])
                return Message.new_method_return(message)
            case "Inhibit":
                mine, theirs = os.pipe()
                self.held.append(mine)
                return Message.new_method_return(message, "h", [0], [theirs])
        return None


@pytest.fixture
async def stand_in(tmp_path: Path) -> AsyncIterator[StandIn]:
    config, socket = tmp_path / "bus.conf", tmp_path / "bus"
    config.write_text(CONFIG.format(socket=socket))
    daemon = await asyncio.create_subprocess_exec("dbus-daemon", f"--config-file={config}", "--nofork")
    try:
        for _ in range(100):
            if socket.exists():
                break
            await asyncio.sleep(0.05)
        made = StandIn(f"unix:path={socket}", tmp_path / "conf.d/99-kubelet.conf")
        await made.start()
        yield made
        made.stop()
    finally:
        daemon.terminate()
        await daemon.wait()


async def test_a_shutdown_is_heard_held_up_and_let_go(stand_in: StandIn) -> None:
    async with Logind(stand_in.address, override=stand_in.drop_in) as logind:
        await logind.allow(30)
        assert stand_in.delay == 30
        await logind.hold()
        os.set_blocking(stand_in.held[0], False)
        with pytest.raises(BlockingIOError):
            os.read(stand_in.held[0], 1)
        stand_in.begin(True)
        shutdowns = logind.shutdowns()
        async with asyncio.timeout(5):
            assert await anext(shutdowns) is True
        logind.release()
        await asyncio.sleep(0.1)
        with contextlib.suppress(BlockingIOError):
            assert os.read(stand_in.held[0], 1) == b""


async def test_what_is_allowed_already_is_left_alone(stand_in: StandIn) -> None:
    async with Logind(stand_in.address, override=stand_in.drop_in) as logind:
        await logind.allow(5)
    assert not stand_in.drop_in.exists()


async def test_a_bus_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(LogindError, match="system bus"):
        async with Logind(f"unix:path={tmp_path}/none"):
            pass
