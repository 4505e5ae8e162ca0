"""Pods driven through random exits, failures, losses and deletions: what must never happen, what must in the end."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from nodekit.objects.meta import ObjectMeta
from pykubelet.decide import health, pod_actions, resize
from pykubelet.model.container import Container, ExitCodes, RestartRule
from pykubelet.model.observed import ContainerState
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.pod_state import Ending, EndingCause, Probed, Verdict
from tests.unit.pykubelet.decide.simulated import Machine

POLICIES = st.sampled_from(["Always", "OnFailure", "Never"])
OWN_POLICIES = st.sampled_from([None, None, "Always", "OnFailure", "Never"])
START_OVER = RestartRule(action="RestartAllContainers", exit_codes=ExitCodes(operator="In", values=(43,)))
RULE = RestartRule(action="Restart", exit_codes=ExitCodes(operator="In", values=(42,)))


def containers(prefix: str, policies: list[str | None]) -> tuple[Container, ...]:
    return tuple(
        Container(
            name=f"{prefix}{index}",
            image="img:1",
            restart_policy=policy,
            restart_policy_rules=(RULE, START_OVER) if policy == "Never" else (),
        )
        for index, policy in enumerate(policies)
    )


class Lifecycle(RuleBasedStateMachine):
    machine: Machine

    @initialize(
        policy=POLICIES,
        regular=st.lists(OWN_POLICIES, min_size=1, max_size=3),
        init=st.lists(st.sampled_from([None, "Always"]), max_size=3),
    )
    def bound(self, policy: str, regular: list[str | None], init: list[str | None]) -> None:
        spec = PodSpec(
            containers=containers("r", regular), init_containers=containers("i", init), restart_policy=policy
        )
        self.machine = Machine(Pod(metadata=ObjectMeta(name="pod", namespace="ns", uid="uid-1"), spec=spec))
        self.machine.step()

    @precondition(lambda self: self.machine.under_way)
    @rule(data=st.data(), well=st.sampled_from([True, True, True, False]))
    def an_operation_gets_on(self, data: st.DataObject, well: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.machine.under_way)))
        if well:
            self.machine.advance(key)
        else:
            self.machine.fail(key)
        self.machine.step()

    @precondition(lambda self: any(c.state is ContainerState.RUNNING for c in self.machine.containers))
    @rule(data=st.data(), code=st.sampled_from([0, 1, 42, 43]))
    def a_container_exits(self, data: st.DataObject, code: int) -> None:
        running = sorted(c.id for c in self.machine.containers if c.state is ContainerState.RUNNING)
        self.machine.exit(data.draw(st.sampled_from(running)), code)
        self.machine.step()

    @precondition(lambda self: any(c.state is ContainerState.RUNNING for c in self.machine.containers))
    @rule(data=st.data())
    def a_container_turns_unhealthy(self, data: st.DataObject) -> None:
        running = sorted(c.id for c in self.machine.containers if c.state is ContainerState.RUNNING)
        sick = data.draw(st.sampled_from(running))
        self.machine.remember(probed={**self.machine.memory.probed, sick: Probed(liveness=Verdict.FAILURE)})
        self.machine.step()

    @precondition(lambda self: any(c.state is ContainerState.RUNNING for c in self.machine.containers))
    @rule(data=st.data())
    def a_hook_fails(self, data: st.DataObject) -> None:
        starting = sorted(key for key, stage in self.machine.stages.items() if stage is ContainerState.RUNNING)
        if starting:
            self.machine.fail(data.draw(st.sampled_from(starting)), reason=health.POST_START_ERROR)
            self.machine.step()

    @precondition(lambda self: len(self.machine.pod.spec.ephemeral_containers) < 2)
    @rule()
    def it_is_debugged(self) -> None:
        self.machine.debug()
        self.machine.step()

    @rule(cpu=st.sampled_from(["100m", "200m"]))
    def it_is_resized(self, cpu: str) -> None:
        self.machine.resize(cpu)
        self.machine.step()

    @rule(image=st.sampled_from(["img:1", "img:2"]))
    def its_image_changes(self, image: str) -> None:
        self.machine.change_image(image)
        self.machine.step()

    @rule(seconds=st.sampled_from([1.0, 15.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.machine.now += seconds
        self.machine.step()

    @rule()
    def the_sandbox_dies(self) -> None:
        self.machine.lose_sandbox()
        self.machine.step()

    @rule(grace=st.sampled_from([0, 5, 30]))
    def it_is_deleted(self, grace: int) -> None:
        self.machine.delete(grace)
        self.machine.step()

    @rule()
    def it_is_evicted(self) -> None:
        self.machine.end(Ending(EndingCause.EVICTED, 0, self.machine.now, "Evicted", "low on memory"))
        self.machine.step()

    def teardown(self) -> None:
        if not hasattr(self, "machine"):
            return
        machine = self.machine
        machine.settle()
        state = machine.state()
        if state.ending is None and not pod_actions.is_done(state):
            asked = {container.name for container in machine.pod.spec.containers}
            running = {c.name for c in machine.containers if c.state is ContainerState.RUNNING}
            ended = {c.name for c in machine.containers if c.state is ContainerState.EXITED}
            assert asked <= running | ended, "a container was never started"
            assert asked & running
            changes = {resize.change(state, container) for container in machine.pod.spec.containers}
            assert changes == {resize.Change.NONE}, "not resized"
            debugging = {container.name for container in machine.pod.spec.ephemeral_containers}
            assert debugging <= running | ended, "an ephemeral container was never started"
            assert machine.is_initialized()
            names = [container.name for container in machine.containers]
            assert all(names.count(name) <= 2 for name in names), "dead predecessors pile up"
            assert len(machine.sandboxes) <= 1 + len(names)
        else:
            assert machine.plan.finished
            assert machine.status.phase in {"Succeeded", "Failed"}
        machine.vanish()
        machine.settle()
        assert machine.forgotten
        assert not machine.containers
        assert not machine.sandboxes


Lifecycle.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
TestLifecycle = Lifecycle.TestCase
