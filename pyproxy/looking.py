"""The commands that look and change nothing: `pyproxy explain ADDRESS:PORT`, `pyproxy dump`, and --dry-run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from nodekit.aio.clock import SystemClock
from nodekit.kube.client import Client
from nodekit.kube.transport import Transport
from pyproxy import VERSION, errors, wiring
from pyproxy.act.nftables.kernel import Kernel
from pyproxy.act.sync import Sync
from pyproxy.decide import differences, explain, nft_text
from pyproxy.decide.ruleset import Ruleset
from pyproxy.desired.world import World
from pyproxy.model import address as addresses
from pyproxy.model import keys
from pyproxy.model.address import Address, Family
from pyproxy.model.options import Options
from pyproxy.model.ruleset import Set
from pyproxy.model.transaction import Transaction
from pyproxy.observe import addresses as machine

_PATIENCE = 30.0
_FRONTENDS = (Set.SERVICES, Set.NODE_PORTS, Set.SHORT_CIRCUITS, Set.NODE_PORT_SHORT_CIRCUITS)
_ENDPOINTS = (Set.ENDPOINTS, Set.NODE_PORT_ENDPOINTS, Set.SHORT_ENDPOINTS, Set.NODE_PORT_SHORT_ENDPOINTS)


class _Paper:
    """Takes every change and does nothing: the ruleset alone is wanted."""

    async def apply(self, change: Transaction) -> None:
        """Nothing."""

    async def replace(self, whole: Transaction) -> None:
        """Nothing."""

    def forget(self, flows: object, family: Family) -> int:
        """Nothing."""
        return 0

    def reconcile(self, serving: object, family: Family) -> int:
        """Nothing."""
        return 0


@contextlib.asynccontextmanager
async def _known(options: Options) -> AsyncIterator[tuple[World, Sync[Transaction]]]:
    """The cluster's wishes and the rulesets they make."""
    async with Transport(wiring.credentials(options), user_agent=f"pyproxy/{VERSION}") as transport:
        world = World(Client(transport), options, machine_ips=machine.now)
        task = asyncio.create_task(world.run(), name="mirrors")
        paper = _Paper()
        sync = Sync(world, paper, Ruleset, families=tuple(Family), clock=SystemClock(), conntrack=paper)
        world.subscribe(sync.wake, sync.wake_all)
        try:
            async with asyncio.timeout(_PATIENCE):
                await world.synced()
        except TimeoutError as error:
            raise errors.SettingsError(f"the API server told nothing within {_PATIENCE:g} s") from error
        else:
            await sync.sync()
            yield world, sync
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def dry_run(options: Options) -> str:
    """What would be written, as nft text. The kernel is not asked."""

    async def read() -> str:
        async with _known(options) as (_, sync):
            return "".join(nft_text.write(ruleset.whole()) for ruleset in sync.rulesets.values())

    return asyncio.run(read())


def dump(options: Options, *, diff: bool) -> tuple[str, bool]:
    """The elements of our tables as the kernel has them, or how they differ from what the API asks; whether they do."""
    kernel = Kernel()
    try:
        held = {(f, one): kernel.elements(f, one) for f in Family for one in Set if not one.spec.dynamic or not diff}
    finally:
        kernel.close()
    if not diff:
        lines = (
            f"{family.word} {one.spec.name}: {nft_text.element(one, key, value, family)}"
            for (family, one), elements in held.items()
            for key, value in elements.items()
        )
        return "".join(f"{line}\n" for line in lines), False

    async def compare() -> list[str]:
        async with _known(options) as (_, sync):
            wholes = {family: ruleset.whole().added for family, ruleset in sync.rulesets.items()}
            return [
                f"{family.word} {line}"
                for (family, one), elements in held.items()
                for line in differences.of(one, wholes[family].get(one, {}), elements, family)
            ]

    found = asyncio.run(compare())
    return "".join(f"{line}\n" for line in found), bool(found)


def explain_target(options: Options, target: str) -> str:
    """What serves `ADDRESS:PORT`, or a NodePort given as `:PORT`, and why. Raises SettingsError for another shape."""
    host, _, port = target.rpartition(":")
    address = addresses.parse(host.strip("[]")) if host else None
    if not port.isdigit() or (host and address is None):
        raise errors.SettingsError(f"{target}: expected ADDRESS:PORT, [ADDRESS]:PORT or :NODEPORT")

    async def read() -> list[str]:
        async with _known(options) as (world, sync):
            return [line for one in _stories(world, sync, address, int(port)) for line in one]

    kernel_lines = [f"  kernel: {line}" for line in _in_kernel(address, int(port))]
    found = asyncio.run(read())
    if not found:
        found = [f"No Service has {target}."]
    return "\n".join([*found, *(kernel_lines or ["  kernel: has nothing for it"])]) + "\n"


def _stories(world: World, sync: Sync[Transaction], address: Address | None, port: int) -> Iterator[list[str]]:
    for family, ruleset in sync.rulesets.items():
        for name, program in ruleset.programs.items():
            if any(_is(frontend.key, address, port) for frontend in program.frontends):
                found = next(p for p in world.ports(name.service, family) if p.name == name)
                endpoints = world.endpoints(name, family)
                yield list(explain.lines(found, endpoints, program, world.place()))


def _is(key: bytes, address: Address | None, port: int) -> bool:
    called, _, number = keys.read_service(key)
    return number == port and (called == address if address is not None else not called)


def _in_kernel(address: Address | None, port: int) -> list[str]:
    kernel = Kernel()
    try:
        return [
            f"{one.spec.name}: {nft_text.element(one, key, value, family)}"
            for family in Family
            for one in _FRONTENDS + _ENDPOINTS
            for key, value in kernel.elements(family, one).items()
            if _is(key if one in _FRONTENDS else keys.read_slot(key)[0], address, port)
        ]
    finally:
        kernel.close()
