"""All containers of a Pod start over because one asked for it by its exit."""

from nodekit.objects.meta import ObjectMeta
from pykubelet.model.actions import StopContainer, StopReason
from pykubelet.model.container import Container, ExitCodes, RestartRule
from pykubelet.model.observed import ContainerState
from pykubelet.model.pod import Pod, PodSpec
from tests.unit.pykubelet.decide.simulated import Machine

RULE = RestartRule(action="RestartAllContainers", exit_codes=ExitCodes(operator="In", values=(42,)))


def running() -> Machine:
    spec = PodSpec(
        containers=(
            Container(name="a", image="i:1"),
            Container(name="asks", image="i:1", restart_policy="Never", restart_policy_rules=(RULE,)),
        ),
        init_containers=(Container(name="first", image="i:1"),),
        restart_policy="Never",
    )
    machine = Machine(Pod(metadata=ObjectMeta(name="pod", namespace="ns", uid="u"), spec=spec))
    machine.settle()
    assert machine.status.phase == "Running"
    return machine


def newest(machine: Machine, name: str) -> str:
    return next(c.id for c in reversed(machine.containers) if c.name == name)


def test_the_others_are_stopped_then_all_is_removed_and_started_again() -> None:
    machine = running()
    machine.exit(newest(machine, "asks"), 42)
    machine.step()
    (stop,) = machine.plan.actions
    assert isinstance(stop, StopContainer)
    assert (stop.name, stop.grace, stop.reason) == ("a", 0, StopReason.RESTART_ALL)
    assert {one.type: one.status for one in machine.status.conditions}["AllContainersRestarting"] == "True"
    machine.settle()
    assert machine.status.phase == "Running"
    states = {c.name: c.state for c in machine.containers}
    assert states == {
        "first": ContainerState.EXITED,
        "a": ContainerState.RUNNING,
        "asks": ContainerState.RUNNING,
    }
    counts = {one.name: one.restart_count for one in machine.status.container_statuses}
    assert counts == {"a": 1, "asks": 1}
    shown = {one.name: one.last_state.terminated for one in machine.status.container_statuses}
    assert shown["a"] is not None
    assert shown["a"].reason == "RestartingAllContainers"
    assert shown["asks"] is not None
    assert shown["asks"].exit_code == 42
    conditions = {one.type: one.status for one in machine.status.conditions}
    assert conditions["AllContainersRestarting"] == "False"
    assert conditions["Initialized"] == "True"


def test_another_exit_code_asks_for_nothing() -> None:
    machine = running()
    machine.exit(newest(machine, "asks"), 1)
    machine.settle()
    assert [c.name for c in machine.containers] == ["first", "a", "asks"]


def test_a_pod_that_ends_is_not_reset() -> None:
    machine = running()
    machine.exit(newest(machine, "asks"), 42)
    machine.delete(5)
    machine.settle()
    assert machine.status.phase == "Failed"
    assert machine.plan.finished
