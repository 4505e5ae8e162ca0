"""One Pod on a runtime that is only values: carries out plans, and checks with every step what must never happen."""

import dataclasses

import msgspec

from nodekit.objects import times
from pykubelet.decide import ending, init_order, labels, lookup, pod_actions, pod_status, resize
from pykubelet.model import actions
from pykubelet.model.actions import Action, Kind, OpKey, Plan
from pykubelet.model.container import Container as Asked
from pykubelet.model.container import ResizePolicy, ResourceRequirements
from pykubelet.model.ids import ContainerId, SandboxId
from pykubelet.model.observed import Container, ContainerState, PodRuntime, Sandbox, SandboxState
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import Ending, Failure, ImageState, PodState
from pykubelet.model.status import PodStatus

STARTING = (actions.PrepareVolumes, actions.CreateSandbox, actions.EnsureImage, actions.StartContainer)
TERMINAL = {"Succeeded", "Failed"}


class Machine:
    """The memory of a Pod's worker and the runtime under it, without either."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.now = 1000.0
        self.sandboxes: list[Sandbox] = []
        self.containers: list[Container] = []
        self.memory = PodState(pod=pod, seen=self.seen())
        self.under_way: dict[OpKey, Action] = {}
        self.stages: dict[OpKey, ContainerState] = {}
        self.cancelled: set[OpKey] = set()
        self.status = PodStatus(phase="Pending")
        self.plan = Plan()
        self.forgotten = False
        self.made_from: dict[str, str] = {}

    def seen(self) -> PodRuntime:
        meta = self.pod.metadata
        newest_first = tuple(reversed(self.sandboxes)), tuple(reversed(self.containers))
        return PodRuntime(self.pod.uid, meta.namespace, meta.name, *newest_first)

    def state(self) -> PodState:
        return dataclasses.replace(self.memory, pod=self.pod, seen=self.seen(), under_way=dict(self.under_way))

    def remember(self, **changes: object) -> None:
        self.memory = dataclasses.replace(self.memory, **changes)

    def step(self) -> None:
        """What the Pod's worker does when it is woken."""
        if self.memory.ending is not None:
            # What was asked of the runtime cannot be taken back: a cancelled operation ends later, its effect may stay.
            self.cancelled.update(key for key, action in self.under_way.items() if isinstance(action, STARTING))
        self.plan = pod_actions.of(self.state(), now=self.now)
        keys = [action.key for action in self.plan.actions]
        assert len(keys) == len(set(keys)), f"an action twice in one plan: {keys}"
        if self.plan.finished:
            assert self.memory.torn_down, "finished though not torn down"
        for action in self.plan.actions:
            self._check(action)
            self.under_way[action.key] = action
            match action:
                case actions.StartContainer():
                    asked = lookup.spec_of(self.pod, action.name)
                    assert asked is not None
                    have = {**self.memory.actuated, action.name: resize.wanted(self.pod, asked[0])}
                    self.remember(actuated=have)
                    self.made_from[f"{action.name}-{action.attempt}"] = f"{labels.container_hash(asked[0]):x}"
                    if action.backoff is not None:
                        self.remember(backoffs={**self.memory.backoffs, action.name: action.backoff})
                case actions.StopContainer():
                    self.remember(stopped_for={**self.memory.stopped_for, action.container: action.reason})
                case _:
                    pass
        self._report()

    def _check(self, action: Action) -> None:
        other = self.under_way.get(action.key)
        if other is not None:
            assert isinstance(other, actions.StopContainer), f"{action} is under way"
            assert isinstance(action, actions.StopContainer)
            assert action.kill_at < other.kill_at, "a stop that is not sooner took over"
        if self.memory.ending is not None:
            assert not isinstance(action, STARTING), f"{action} after the ending"
        if isinstance(action, actions.StartContainer):
            self._check_start(action)
        if isinstance(action, actions.TearDown | actions.StopSandbox) and self.memory.ending is not None:
            making = (actions.PrepareVolumes, actions.CreateSandbox, actions.StartContainer)
            assert not any(isinstance(one, making) for one in self.under_way.values()), f"{action} during a start"

    def _check_start(self, action: actions.StartContainer) -> None:
        assert not any(c.name == action.name and c.state is ContainerState.RUNNING for c in self.containers)
        assert all(c.attempt < action.attempt for c in self.containers if c.name == action.name)
        assert self.sandboxes[-1].state is SandboxState.READY
        assert self.sandboxes[-1].id == action.sandbox
        assert self.memory.volumes_ready
        assert self.memory.images[action.name].attempt == action.attempt
        if action.kind is Kind.REGULAR:
            self._check_init(self.pod.spec.init_containers, action)
        if action.kind is Kind.INIT:
            names = [c.name for c in self.pod.spec.init_containers]
            self._check_init(self.pod.spec.init_containers[: names.index(action.name)], action)

    def _check_init(self, before: tuple[object, ...], action: actions.StartContainer) -> None:
        for container in before:
            mine = [c for c in self.containers if c.name == container.name and c.sandbox_id == action.sandbox]
            assert mine, f"{action.name} before {container.name}"
            if not lookup.is_sidecar(container, Kind.INIT):
                assert mine[-1].state is ContainerState.EXITED
                assert mine[-1].exit_code == 0, f"{action.name} though {container.name} failed"

    def _report(self) -> None:
        before = self.status
        context = pod_status.StatusContext(before, host_ips=("192.0.2.1",))
        self.status = pod_status.of(self.state(), context, now=self.now)
        if before.phase in TERMINAL:
            assert self.status.phase == before.phase, "a terminal phase was left"
        if self.status.phase in TERMINAL:
            assert not lookup.running(self.seen()), "terminal while something runs"
            assert not any(
                condition.type == "Ready" and condition.status == "True" for condition in self.status.conditions
            )
        if before.phase == "Running" and self.status.phase == "Pending":
            assert self.pod.spec.init_containers, "running became pending"
        counts = {one.name: one.restart_count for one in (*before.container_statuses, *before.init_container_statuses)}
        for one in (*self.status.container_statuses, *self.status.init_container_statuses):
            assert one.restart_count >= counts.get(one.name, 0), f"the restarts of {one.name} went back"
        self.pod = msgspec.structs.replace(self.pod, status=self.status)

    def fail(self, key: OpKey, *, reason: str = "Error") -> None:
        """An operation ends badly."""
        self._drop(key)
        before = self.memory.failures.get(key)
        count = before.count + 1 if before else 1
        failure = Failure(reason, "simulated", self.now, count, self.now + min(2**count, 10))
        self.remember(failures={**self.memory.failures, key: failure})

    def advance(self, key: OpKey) -> None:
        """An operation gets on: a start in three stages (created; it runs; its hook has ended), all others end well."""
        action = self.under_way[key]
        if isinstance(action, actions.StartContainer) and self.stages.get(key) is not ContainerState.RUNNING:
            if key not in self.stages:
                self.stages[key] = ContainerState.CREATED
                self._create(action)
                return
            self.stages[key] = ContainerState.RUNNING
            self._run(action)
            if key not in self.cancelled:
                return
        if key in self.cancelled and not isinstance(action, actions.CreateSandbox):
            self._drop(key)
            return
        self._drop(key)
        self.remember(failures={k: f for k, f in self.memory.failures.items() if k != key})
        match action:
            case actions.PrepareVolumes():
                self.remember(volumes_ready=True, torn_down=False)
            case actions.CreateSandbox():
                assert not any(sandbox.state is SandboxState.READY for sandbox in self.sandboxes)
                number = len(self.sandboxes)
                sandbox = Sandbox(
                    SandboxId(f"s{action.attempt}-{number}"),
                    self.pod.uid,
                    "ns",
                    "pod",
                    action.attempt,
                    SandboxState.READY,
                    self.now,
                    detailed=True,
                    ips=("10.0.0.1",),
                )
                self.sandboxes.append(sandbox)
            case actions.StopSandbox():
                self._kill_sandbox(action.sandbox)
            case actions.RemoveSandbox():
                assert not any(c.sandbox_id == action.sandbox for c in self.containers)
                self.sandboxes = [sandbox for sandbox in self.sandboxes if sandbox.id != action.sandbox]
            case actions.EnsureImage():
                made_sure = {**self.memory.images, action.container: ImageState("sha256:x", action.attempt)}
                self.remember(images=made_sure)
            case actions.StartContainer():
                pass
            case actions.StopContainer():
                self.exit(action.container, 137)
            case actions.RunPreStop():
                self.remember(pre_stopped=self.memory.pre_stopped | {action.container})
            case actions.RemoveContainer():
                gone = next(c for c in self.containers if c.id == action.container)
                assert gone.state is not ContainerState.RUNNING
                self.containers.remove(gone)
            case actions.ResizeContainer():
                self.remember(actuated={**self.memory.actuated, action.name: action.to})
            case actions.TearDown():
                assert not lookup.running(self.seen())
                self.remember(torn_down=True, volumes_ready=False)
            case actions.Forget():
                self.forgotten = True
            case _:
                raise AssertionError(action)

    def _drop(self, key: OpKey) -> None:
        del self.under_way[key]
        self.stages.pop(key, None)
        self.cancelled.discard(key)

    def _run(self, action: actions.StartContainer) -> None:
        for index, one in enumerate(self.containers):
            if one.name == action.name and one.attempt == action.attempt and one.state is ContainerState.CREATED:
                assert not any(c.name == one.name and c.state is ContainerState.RUNNING for c in self.containers), (
                    "two run"
                )
                if any(s.id == action.sandbox and s.state is SandboxState.READY for s in self.sandboxes):
                    running = dataclasses.replace(one, state=ContainerState.RUNNING, started_at=self.now)
                    self.containers[index] = running

    def _create(self, action: actions.StartContainer) -> None:
        if not any(s.id == action.sandbox and s.state is SandboxState.READY for s in self.sandboxes):
            return
        self.containers.append(
            Container(
                ContainerId(f"{action.name}-{action.attempt}-{len(self.containers)}"),
                action.name,
                action.attempt,
                self.pod.uid,
                action.sandbox,
                ContainerState.CREATED,
                self.now,
                annotations={labels.HASH: self.made_from[f"{action.name}-{action.attempt}"]},
                detailed=True,
            )
        )

    def exit(self, container: ContainerId, code: int) -> None:
        """A container's process ends."""
        for index, one in enumerate(self.containers):
            if one.id == container and one.state is ContainerState.RUNNING:
                self.containers[index] = dataclasses.replace(
                    one, state=ContainerState.EXITED, exit_code=code, finished_at=self.now
                )

    def _kill_sandbox(self, sandbox: SandboxId) -> None:
        self.sandboxes = [
            dataclasses.replace(one, state=SandboxState.NOT_READY) if one.id == sandbox else one
            for one in self.sandboxes
        ]
        for one in self.containers:
            if one.sandbox_id == sandbox:
                self.exit(one.id, 137)

    def lose_sandbox(self) -> None:
        """The newest sandbox dies, and what runs in it."""
        if self.sandboxes:
            self._kill_sandbox(self.sandboxes[-1].id)

    def debug(self) -> None:
        """Somebody adds an ephemeral container."""
        spec = self.pod.spec
        added = Asked(name=f"e{len(spec.ephemeral_containers)}", image="img:1")
        spec = msgspec.structs.replace(spec, ephemeral_containers=(*spec.ephemeral_containers, added))
        self.pod = msgspec.structs.replace(self.pod, spec=spec)

    def resize(self, cpu: str) -> None:
        """Other resources are granted to the first regular container; its second one would restart for that."""
        wanted = ResourceRequirements(requests={"cpu": cpu})
        policy = ResizePolicy(resource_name="cpu", restart_policy="RestartContainer")
        self._change(
            *(
                msgspec.structs.replace(container, resources=wanted, resize_policy=(policy,) if index else ())
                for index, container in enumerate(self.pod.spec.containers)
            )
        )

    def change_image(self, image: str) -> None:
        """Another image is asked for."""
        self._change(*(msgspec.structs.replace(container, image=image) for container in self.pod.spec.containers))

    def _change(self, *containers: Asked) -> None:
        spec = msgspec.structs.replace(self.pod.spec, containers=containers)
        self.pod = msgspec.structs.replace(self.pod, spec=spec)

    def delete(self, grace: int) -> None:
        """The API object is asked to go, in that many seconds."""
        meta = msgspec.structs.replace(
            self.pod.metadata, deletion_timestamp=times.of(self.now + grace), deletion_grace_period_seconds=grace
        )
        self.pod = msgspec.structs.replace(self.pod, metadata=meta)
        self.remember(ending=ending.of_deletion(self.pod, self.memory.ending, now=self.now))

    def end(self, why: Ending) -> None:
        """The node ends the Pod."""
        if self.memory.ending is None:
            self.remember(ending=why)

    def vanish(self) -> None:
        """The API object is gone."""
        self.remember(ending=ending.of_vanished(self.memory.ending, self.pod, now=self.now))

    def settle(self, steps: int = 400) -> None:
        """Let everything run without further trouble until nothing is left to do; init containers complete."""
        for _ in range(steps):
            if self.forgotten:
                return
            self.step()
            if self.under_way:
                self.advance(next(iter(self.under_way)))
                continue
            ended = self._complete_init()
            if self.plan.wake_at is not None and not ended:
                self.now = max(self.plan.wake_at, self.now)
            elif not ended and not self.plan.actions:
                return
        raise AssertionError(f"it does not come to rest: {self.plan}")

    def _complete_init(self) -> bool:
        init = {c.name for c in self.pod.spec.init_containers if not lookup.is_sidecar(c, Kind.INIT)}
        running = [c for c in self.containers if c.name in init and c.state is ContainerState.RUNNING]
        for one in running:
            self.exit(one.id, 0)
        return bool(running)

    def is_initialized(self) -> bool:
        return init_order.of(self.state(), self.sandboxes[-1].id).done
