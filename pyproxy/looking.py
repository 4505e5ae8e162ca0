"""The commands that look and change nothing: `pyproxy explain ADDRESS:PORT`, `pyproxy dump`, and --dry-run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TypeVar

from nodekit.aio.clock import SystemClock
from nodekit.kube.client import Client
from nodekit.kube.transport import Transport
from pyproxy import VERSION, errors, views, wiring
from pyproxy.act.sync import Sync
from pyproxy.decide import explain
from pyproxy.desired.world import World
from pyproxy.model import address as addresses
from pyproxy.model.address import Address, Family
from pyproxy.model.options import Options
from pyproxy.observe import addresses as machine

T = TypeVar("T")

_PATIENCE = 30.0
_PATIENCE_FOR_RANGES = 3.0


class _Paper:
    """Takes every change and does nothing: the ruleset alone is wanted."""

    async def apply(self, change: object) -> None:
        """Nothing."""

    async def replace(self, whole: object) -> None:
        """Nothing."""

    def forget(self, flows: object, family: Family) -> int:
        """Nothing."""
        return 0

    def reconcile(self, serving: object, family: Family) -> int:
        """Nothing."""
        return 0


@contextlib.asynccontextmanager
async def _known(
    options: Options, page: views.Page[T], families: Iterable[Family] = tuple(Family)
) -> AsyncIterator[tuple[World, Sync[T]]]:
    """The cluster's wishes and the rulesets they make."""
    async with Transport(wiring.credentials(options), user_agent=f"pyproxy/{VERSION}") as transport:
        world = World(Client(transport), options, machine_ips=machine.now)
        task = asyncio.create_task(world.run(), name="mirrors")
        paper = _Paper()
        sync: Sync[T] = Sync(world, paper, page.rules, families=tuple(families), clock=SystemClock(), conntrack=paper)
        world.subscribe(sync.wake, sync.wake_all)
        try:
            async with asyncio.timeout(_PATIENCE):
                await world.synced()
        except TimeoutError as error:
            raise errors.SettingsError(f"the API server told nothing within {_PATIENCE:g} s") from error
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(world.ranges_synced(), _PATIENCE_FOR_RANGES)
            await sync.sync()
            yield world, sync
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def dry_run(options: Options) -> str:
    """What would be written, as nft or iptables-restore reads it. The kernel is not asked."""

    async def read(page: views.Page[T]) -> str:
        async with _known(options, page) as (_, sync):
            return "".join(page.text(ruleset.whole()) for ruleset in sync.rulesets.values())

    return asyncio.run(read(views.page(options.mode)))


def dump(options: Options, *, diff: bool) -> tuple[str, bool]:
    """Our rules as the kernel has them, or how they differ from what the API asks; whether they do."""

    async def compare(view: views.View[T]) -> list[str]:
        async with _known(options, view, view.families) as (_, sync):
            return [line for ruleset in sync.rulesets.values() for line in view.differences(ruleset.whole())]

    with views.of(options.mode) as view:
        found = asyncio.run(compare(view)) if diff else view.held()
    return "".join(f"{line}\n" for line in found), diff and bool(found)


def explain_target(options: Options, target: str) -> str:
    """What serves `ADDRESS:PORT`, or a NodePort given as `:PORT`, and why. Raises SettingsError for another shape."""
    host, _, port = target.rpartition(":")
    address = addresses.parse(host.strip("[]")) if host else None
    if not port.isdigit() or (host and address is None):
        raise errors.SettingsError(f"{target}: expected ADDRESS:PORT, [ADDRESS]:PORT or :NODEPORT")

    async def read(view: views.View[T]) -> list[str]:
        async with _known(options, view, view.families) as (world, sync):
            return [line for one in _stories(world, sync, address, int(port)) for line in one]

    with views.of(options.mode) as view:
        kernel_lines = [f"  kernel: {line}" for line in view.held_for(address, int(port))]
        found = asyncio.run(read(view))
    if not found:
        found = [f"No Service has {target}."]
    return "\n".join([*found, *(kernel_lines or ["  kernel: has nothing for it"])]) + "\n"


def _stories(world: World, sync: Sync[T], address: Address | None, port: int) -> Iterator[list[str]]:
    for family, ruleset in sync.rulesets.items():
        for name, program in ruleset.programs.items():
            if any(views.is_for(frontend.key, address, port) for frontend in program.frontends):
                found = next(p for p in world.ports(name.service, family) if p.name == name)
                endpoints = world.endpoints(name, family)
                yield list(explain.lines(found, endpoints, program, world.place()))
