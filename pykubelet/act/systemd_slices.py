"""Asks systemd, over D-Bus, for the slices that Pods stand in, and tells it their values.

systemd owns the cgroup tree of a machine it boots: what it does not know of it may set back at any reload.
Source: opencontainers/cgroups/systemd, for the names and units of properties.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from pykubelet.decide import cgroups
from pykubelet.decide.cgroups import Values

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

_SERVICE, _PATH, _MANAGER = "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"
_EXISTS, _MISSING = "org.freedesktop.systemd1.UnitExists", "org.freedesktop.systemd1.NoSuchUnit"
_PATIENCE = 20.0
_NO_LIMIT = (1 << 64) - 1
_US = 1_000_000


class SystemdSlices:
    """`unified`: the machine has cgroup v2. Errors are OSError, as those of the cgroup files are."""

    def __init__(self, *, unified: bool) -> None:
        self._unified = unified
        self._bus: MessageBus | None = None
        self._started: set[str] = set()

    async def set(self, name: str, values: Values) -> None:
        """Have the slice, with these values. OSError says what systemd answered."""
        properties = _properties(values, unified=self._unified)
        if name not in self._started:
            await self._start(name, properties)
        elif properties:
            await self._ask("SetUnitProperties", "sba(sv)", [name, True, properties])

    async def stop(self, name: str) -> None:
        """Let systemd forget the slice; its processes are the caller's matter."""
        self._started.discard(name)
        await self._ask("StopUnit", "ss", [name, "replace"], fine=_MISSING)

    async def close(self) -> None:
        """End the connection."""
        if self._bus is not None:
            self._bus.disconnect()
            self._bus = None

    async def _start(self, name: str, properties: list[list[Any]]) -> None:
        from dbus_fast import Variant

        parent = name.removesuffix(".slice").rpartition("-")[0]
        fixed = [
            ["Description", Variant("s", f"pykubelet slice {name}")],
            ["DefaultDependencies", Variant("b", False)],
            *([["Wants", Variant("as", [f"{parent}.slice"])]] if parent else []),
            *([one, Variant("b", True)] for one in _ACCOUNTED),
        ]
        answer = await self._ask(
            "StartTransientUnit", "ssa(sv)a(sa(sv))", [name, "replace", [*fixed, *properties], []], fine=_EXISTS
        )
        if answer == _EXISTS and properties:
            await self._ask("SetUnitProperties", "sba(sv)", [name, True, properties])
        self._started.add(name)

    async def _ask(self, member: str, signature: str, body: list[Any], *, fine: str = "") -> str:
        """Call the manager; the error's name if it is `fine`, else empty."""
        from dbus_fast import Message, MessageType

        bus = await self._connected()
        call = Message(
            destination=_SERVICE, path=_PATH, interface=_MANAGER, member=member, signature=signature, body=body
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                reply = await bus.call(call)
        except (EOFError, OSError) as error:  # TimeoutError is one
            self._bus = None
            raise OSError(f"systemd {member} {body[0]}: no answer over D-Bus: {error!r}") from error
        if reply.message_type is not MessageType.ERROR:
            return ""
        if reply.error_name == fine:
            return fine
        raise OSError(f"systemd {member} {body[0]}: {reply.error_name}: {' '.join(map(str, reply.body))}")

    async def _connected(self) -> "MessageBus":
        from pykubelet.act import systemd_bus

        if self._bus is None or not self._bus.connected:
            try:
                async with asyncio.timeout(_PATIENCE):
                    self._bus = await systemd_bus.connect()
            except (OSError, EOFError) as error:
                raise OSError(
                    f"no connection to systemd, which cgroupDriver systemd needs: {error}; start dbus, or use cgroupfs"
                ) from error
        return self._bus


_ACCOUNTED: Final = ("CPUAccounting", "MemoryAccounting", "TasksAccounting")


def _properties(values: Values, *, unified: bool) -> list[list[Any]]:
    """The values as systemd's properties; one that is not set is left as it is."""
    from dbus_fast import Variant

    found: dict[str, Any] = {}
    if values.cpu_shares:
        found["CPUWeight" if unified else "CPUShares"] = (
            cgroups.weight(values.cpu_shares) if unified else values.cpu_shares
        )
        found["CPUQuotaPerSecUSec"] = _quota(values.cpu_quota_us)
    if values.memory_limit:
        found["MemoryMax" if unified else "MemoryLimit"] = values.memory_limit
    if values.pids_limit:
        found["TasksMax"] = values.pids_limit
    return [[name, Variant("t", value)] for name, value in found.items()]


def _quota(quota_us: int) -> int:
    """CPU time a second, in us, rounded up to whole 10 ms as systemd keeps it."""
    if not quota_us:
        return _NO_LIMIT
    return -(-quota_us * _US // cgroups.PERIOD_US // 10_000) * 10_000
