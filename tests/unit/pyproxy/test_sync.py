"""The sync loop in virtual time, against a kernel of dictionaries that can be told to refuse."""

import asyncio

import pytest

from nodekit.objects.meta import Key
from pyproxy.act.sync import Sync
from pyproxy.model import keys
from pyproxy.model.address import Address, Family
from pyproxy.model.ports import Protocol
from pyproxy.model.ruleset import Set
from pyproxy.model.transaction import Transaction
from tests.unit.pyproxy.scene import A, B, Scene, World, endpoint


def test_the_first_write_is_the_whole() -> None:
    scene = Scene(World({A: (endpoint(1),)}))

    async def script(scene: Scene, sync: Sync) -> None:
        assert [(sent.fresh, nothing) for sent, nothing in scene.kernel.sent] == [(True, False)]
        assert scene.kernel.backends == {1}

    scene.play(script)


def test_changes_that_come_together_are_sent_together() -> None:
    scene = Scene(World({A: (endpoint(1),), B: (endpoint(2),)}))

    async def script(scene: Scene, sync: Sync) -> None:
        scene.kernel.sent.clear()
        scene.world.wanted[A] = (endpoint(3),)
        sync.wake(A)
        await asyncio.sleep(0.001)
        scene.world.wanted[B] = (endpoint(4),)
        sync.wake(B)
        await asyncio.sleep(0.1)
        assert [(sent.fresh, sent.size) for sent, _ in scene.kernel.sent] == [(False, 4)]
        assert scene.kernel.backends == {3, 4}

    scene.play(script)


def test_a_change_after_a_long_rewrite_does_not_wait_as_long_again() -> None:
    scene = Scene(World({A: (endpoint(1),)}), rewrite_takes=10)

    async def script(scene: Scene, sync: Sync) -> None:
        sync.refill()
        await asyncio.sleep(10.02)
        scene.world.wanted[A] = (endpoint(2),)
        sync.wake(A)
        await asyncio.sleep(0.2)
        assert scene.kernel.backends == {2}

    scene.play(script)


def test_services_are_read_in_the_order_they_were_woken_in() -> None:
    scene = Scene(World({A: (endpoint(1),), B: (endpoint(2),)}))

    async def script(scene: Scene, sync: Sync) -> None:
        for order in ((A, B), (B, A)):
            scene.world.asked.clear()
            sync.wake(*order)
            await asyncio.sleep(0.1)
            assert scene.world.asked == list(order)

    scene.play(script)


def test_a_service_that_cannot_be_understood_holds_up_nobody() -> None:
    scene = Scene(World({A: (endpoint(1),), B: (endpoint(2),)}))

    async def script(scene: Scene, sync: Sync) -> None:
        scene.world.poisoned.add(A)
        scene.world.wanted[A] = scene.world.wanted[B] = (endpoint(3),)
        sync.wake(A, B)
        await asyncio.sleep(0.1)
        assert scene.kernel.backends == {1, 3}
        scene.world.poisoned.clear()
        sync.wake(A)
        await asyncio.sleep(0.1)
        assert scene.kernel.backends == {3}

    scene.play(script)


def test_without_memory_the_loop_ends_and_no_service_is_taken_for_gone() -> None:
    scene = Scene(World({A: (endpoint(1),), B: (endpoint(2),)}))

    async def script(scene: Scene, sync: Sync) -> None:
        written = len(scene.kernel.sent)
        scene.world.exhausted = True
        sync.wake(A)
        with pytest.raises(MemoryError):
            await sync.sync()
        assert len(scene.kernel.sent) == written

    scene.play(script)


def test_a_refused_change_is_healed_by_writing_everything() -> None:
    scene = Scene(World({A: (endpoint(1),)}))

    async def script(scene: Scene, sync: Sync) -> None:
        scene.kernel.refuse = lambda transaction, from_nothing: not transaction.fresh
        scene.world.wanted[A] = (endpoint(2),)
        sync.wake(A)
        await asyncio.sleep(0.1)
        assert scene.kernel.backends == {2}

    scene.play(script)


def test_a_table_of_another_shape_is_made_from_nothing() -> None:
    scene = Scene(World({A: (endpoint(1),)}))
    scene.kernel.refuse = lambda transaction, from_nothing: not from_nothing

    async def script(scene: Scene, sync: Sync) -> None:
        assert scene.kernel.backends == {1}

    scene.play(script)


def test_who_asks_for_everything_while_it_is_being_written_gets_it_once_more() -> None:
    scene = Scene(World({A: (endpoint(1),)}))

    async def script(scene: Scene, sync: Sync) -> None:
        def ask_again_once(transaction: Transaction, from_nothing: bool) -> bool:
            scene.kernel.refuse = lambda transaction, from_nothing: False
            sync.refill()
            return False

        before = len(scene.kernel.sent)
        scene.kernel.refuse = ask_again_once
        sync.refill()
        await asyncio.sleep(1)
        assert [sent.fresh for sent, _ in scene.kernel.sent[before:]] == [True, True]

    scene.play(script)


def test_a_kernel_that_refuses_everything_is_asked_again_later_and_then_has_it_all() -> None:
    scene = Scene(World({A: (endpoint(1),)}))
    scene.kernel.refuse = lambda transaction, from_nothing: True

    async def script(scene: Scene, sync: Sync) -> None:
        tries = len(scene.kernel.sent)
        await asyncio.sleep(60)
        assert tries < len(scene.kernel.sent) < tries + 40
        assert not sync.settled.is_set()
        scene.kernel.refuse = lambda transaction, from_nothing: False
        await asyncio.sleep(40)
        assert scene.kernel.backends == {1}
        assert sync.settled.is_set()

    scene.play(script)


def test_a_write_that_works_tells_of_the_services_of_those_that_failed_before() -> None:
    scene = Scene(World({A: (endpoint(1),), B: (endpoint(2),)}))
    scene.kernel.refuse = lambda transaction, from_nothing: True
    told: list[frozenset[Key]] = []

    async def script(scene: Scene, sync: Sync) -> None:
        sync.subscribe(lambda synced: told.append(synced.services))
        scene.kernel.refuse = lambda transaction, from_nothing: False
        await asyncio.sleep(40)
        assert told == [{A, B}]  # none of them was told at the start
        scene.kernel.refuse = lambda transaction, from_nothing: True
        scene.world.wanted[A] = ()
        sync.wake(A)
        await asyncio.sleep(1)
        sync.wake(B)
        await asyncio.sleep(1)
        scene.kernel.refuse = lambda transaction, from_nothing: False
        await asyncio.sleep(40)
        assert told == [{A, B}, {A, B}]
        sync.wake(B)
        await asyncio.sleep(1)
        assert told[2:] == [{B}]

    scene.play(script)


def test_unused_chains_go_after_a_while() -> None:
    scene = Scene(World({A: (endpoint(1), endpoint(2))}))

    async def script(scene: Scene, sync: Sync) -> None:
        scene.world.wanted[A] = (endpoint(1),)
        sync.wake(A)
        await asyncio.sleep(0.5)
        assert {"cluster-1", "cluster-2"} <= scene.kernel.chain_names(Family.IPV4)
        await asyncio.sleep(5)
        assert "cluster-2" not in scene.kernel.chain_names(Family.IPV4)

    scene.play(script)


def test_chains_that_cannot_be_removed_are_told_of_and_everything_is_written_anew() -> None:
    scene = Scene(World({A: (endpoint(1), endpoint(2))}))
    told: list[Family] = []

    async def script(scene: Scene, sync: Sync) -> None:
        sync.on_cleanup_failure(told.append)
        scene.world.wanted[A] = (endpoint(1),)
        sync.wake(A)
        await asyncio.sleep(0.5)
        refusals = iter((True,))
        scene.kernel.refuse = lambda transaction, from_nothing: next(refusals, False)
        await asyncio.sleep(5)
        assert told == [Family.IPV4]
        assert "cluster-2" not in scene.kernel.chain_names(Family.IPV4)

    scene.play(script)


def test_a_change_of_the_nodes_addresses_reaches_the_ruleset() -> None:
    scene = Scene(World({A: (endpoint(1),)}))

    async def script(scene: Scene, sync: Sync) -> None:
        scene.world.node_ports = (Address(b"\xc6\x12\0\1"),)
        scene.world.asked.clear()
        sync.wake_all()
        await asyncio.sleep(0.1)
        assert set(scene.kernel.machine.sets[Set.NODE_PORT_IPS]) == {b"\xc6\x12\0\1"}
        assert scene.world.asked == []  # no Service depends on them

    scene.play(script)


def test_a_node_that_moves_to_another_zone_has_every_service_read_anew() -> None:
    scene = Scene(World({A: (endpoint(1, zones=frozenset({"a"})), endpoint(2, zones=frozenset({"b"})))}))

    async def script(scene: Scene, sync: Sync) -> None:
        for zone, reached in (("a", {1}), ("b", {2})):
            scene.world.zone = zone
            sync.wake_all()
            await asyncio.sleep(0.1)
            assert scene.kernel.backends == reached

    scene.play(script)


def test_flows_of_a_gone_backend_are_forgotten_once_the_rules_are_written() -> None:
    scene = Scene(World({A: (endpoint(1), endpoint(2))}, protocol=Protocol.UDP))

    async def script(scene: Scene, sync: Sync) -> None:
        scene.flows.forgotten.clear()
        scene.world.wanted[A] = (endpoint(1), endpoint(2, ready=False, terminating=True))
        sync.wake(A)
        await asyncio.sleep(0.1)
        assert scene.flows.forgotten == []  # it still serves those it has
        scene.world.wanted[A] = (endpoint(1),)
        sync.wake(A)
        await asyncio.sleep(0.1)
        gone = endpoint(2)
        assert [flow.backend for flow in scene.flows.forgotten] == [keys.endpoint(gone.address, gone.port)]

    scene.play(script)


def test_a_services_first_backend_forgets_flows_that_found_none() -> None:
    scene = Scene(World({A: ()}, protocol=Protocol.UDP))

    async def script(scene: Scene, sync: Sync) -> None:
        scene.world.wanted[A] = (endpoint(1),)
        sync.wake(A)
        await asyncio.sleep(0.1)
        assert [flow.backend for flow in scene.flows.forgotten] == [None]

    scene.play(script)


def test_flows_that_went_stale_unwatched_are_looked_for_once_at_the_start() -> None:
    scene = Scene(World({A: (endpoint(1), endpoint(2, ready=False, serving=False))}, protocol=Protocol.UDP))

    async def script(scene: Scene, sync: Sync) -> None:
        sync.refill()
        await asyncio.sleep(0.1)
        serving = endpoint(1)
        frontend = keys.service(Address(bytes((10, 0, 0, 1))), Protocol.UDP, 80)
        assert scene.flows.reconciled == [{frontend: frozenset({keys.endpoint(serving.address, serving.port)})}]

    scene.play(script)


def test_flows_of_node_ports_that_answer_everywhere_are_looked_for_on_each_of_the_machines_addresses() -> None:
    own, loopback = Address(b"\xc6\x12\0\1"), Address(bytes((127, 0, 0, 1)))
    machine = (own, loopback, Address(bytes(15) + b"\1"))
    world = World({A: (endpoint(1),)}, protocol=Protocol.UDP, node_ports=None, node_port=30080, machine=machine)
    scene = Scene(world)

    async def script(scene: Scene, sync: Sync) -> None:
        found = {key for serving in scene.flows.reconciled for key in serving}
        assert found == {
            keys.service(Address(bytes((10, 0, 0, 1))), Protocol.UDP, 80),
            keys.service(own, Protocol.UDP, 30080),
        }

    scene.play(script)
