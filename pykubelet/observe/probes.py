"""Probes the running containers: one task per probe, which keeps its verdict. No thread, no polling of Pods."""

import asyncio
import dataclasses
import logging
import random
from collections.abc import Callable, Mapping
from typing import Final

from nodekit.aio.clock import Clock
from pykubelet.decide import probe_verdict
from pykubelet.model import container as api
from pykubelet.model.ids import ContainerId, Uid
from pykubelet.model.observed import Container, ContainerState, PodRuntime
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import Probed, Verdict
from pykubelet.observe import probe_calls
from pykubelet.observe.ports import Recorder

TRIES: Final = 3
"""How often a probe that cannot be made is tried at once; maxProbeRetries of the genuine prober."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Counted:
    """Which answers are counted together: those of one probe of one container that were alike. `kind` as `Liveness`."""

    namespace: str
    pod: str
    uid: Uid
    container: str
    kind: str
    ok: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Took:
    """How long the good answers of one probe took together, in seconds, and how many there were."""

    count: int = 0
    seconds: float = 0.0


@dataclasses.dataclass(slots=True)
class _Probed:
    """One running container with its probes and their tasks."""

    started: asyncio.Event
    probed: Probed
    tasks: list[asyncio.Task[None]] = dataclasses.field(default_factory=list)


class Probes:
    """`wake(uid)` is called when a verdict changes; `counts` holds how many answers of each sort there were, `took`
    how long the good ones of each probe took, as the genuine kubelet counts."""

    def __init__(
        self, caller: probe_calls.Caller, recorder: Recorder, *, wake: Callable[[Uid], None], clock: Clock
    ) -> None:
        self.counts: dict[Counted, int] = {}
        self.took: dict[Counted, Took] = {}
        self._caller = caller
        self._recorder = recorder
        self._wake = wake
        self._clock = clock
        self._born = clock.now().timestamp()
        self._pods: dict[Uid, dict[ContainerId, _Probed]] = {}

    def verdicts(self, uid: Uid) -> Mapping[ContainerId, Probed]:
        """What is known of each probed container of a Pod."""
        return {id_: one.probed for id_, one in self._pods.get(uid, {}).items()}

    def follow(self, pod: Pod, seen: PodRuntime, *, address: str, ending: bool) -> None:
        """Probe exactly the containers that run now. Of a Pod that ends only readiness is still asked."""
        wanted = {c.name: c for c in (*pod.spec.init_containers, *pod.spec.containers)}
        running = {
            c.id: (c, wanted[c.name])
            for c in seen.containers
            if c.state is ContainerState.RUNNING and c.name in wanted and _has_probes(wanted[c.name])
        }
        mine = self._pods.get(pod.uid, {})
        for gone in mine.keys() - running.keys():
            _stop(mine.pop(gone))
        for id_, (found, container) in running.items():
            if id_ not in mine:
                if ending:
                    continue
                target = probe_calls.Target(id_, container, address)
                mine[id_] = self._begin(pod, found, target)
            elif ending:
                self._quieten(mine[id_])
        if mine:
            self._pods[pod.uid] = mine
        else:
            self._pods.pop(pod.uid, None)

    def forget(self, uid: Uid) -> None:
        """Probe nothing of this Pod any more."""
        for one in self._pods.pop(uid, {}).values():
            _stop(one)
        for which in [which for which in self.counts if which.uid == uid]:
            del self.counts[which]
        for which in [which for which in self.took if which.uid == uid]:
            del self.took[which]

    async def run(self) -> None:
        """Keep the tasks until cancelled; then end them."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            for uid in list(self._pods):
                self.forget(uid)

    def _begin(self, pod: Pod, found: Container, target: probe_calls.Target) -> _Probed:
        container = target.container
        adopted = 0.0 < found.started_at < self._born
        was_ready, was_started = _reported(pod, found.id) if adopted else (False, False)
        one = _Probed(
            started=asyncio.Event(),
            probed=Probed(
                startup=Verdict.SUCCESS if container.startup_probe is None or was_started else Verdict.UNKNOWN,
                # A container that was ready stays so while a new kubelet has not asked it yet.
                readiness=Verdict.SUCCESS if container.readiness_probe is None or was_ready else Verdict.UNKNOWN,
            ),
        )
        if one.probed.startup is Verdict.SUCCESS:
            one.started.set()
        for kind, probe in _probes(container):
            if kind == "startup" and one.started.is_set():
                continue
            work = self._probe(pod, found, target, kind=kind, probe=probe, one=one, jitter=adopted)
            one.tasks.append(asyncio.create_task(work, name=f"{kind} probe {pod.key}/{container.name}"))
        return one

    def _quieten(self, one: _Probed) -> None:
        for task in list(one.tasks):
            if not task.get_name().startswith("readiness"):
                task.cancel()
                one.tasks.remove(task)

    async def _probe(
        self,
        pod: Pod,
        found: Container,
        target: probe_calls.Target,
        *,
        kind: str,
        probe: api.Probe,
        one: _Probed,
        jitter: bool,
    ) -> None:
        if kind != "startup":
            await one.started.wait()
        begins = found.started_at + probe.initial_delay_seconds - self._clock.now().timestamp()
        if jitter:
            begins = max(begins, random.random() * probe.period_seconds)
        if begins > 0:
            await self._clock.sleep(begins)
        count = probe_verdict.START
        while True:
            asked = self._clock.monotonic()
            due = asked + max(probe.period_seconds, 1)
            answer = await self._ask(pod, target, kind=kind, probe=probe)
            if answer is not None:
                self._count(pod, target, kind=kind, ok=answer.ok, seconds=self._clock.monotonic() - asked)
                count = probe_verdict.counted(count, answer.ok)
                verdict = probe_verdict.of(count, probe)
                if verdict is not None:
                    self._set(pod.uid, one, kind, verdict=verdict, message=answer.message)
                if kind == "startup" and verdict is Verdict.SUCCESS:
                    one.started.set()
                    return
                if kind != "readiness" and verdict is Verdict.FAILURE:
                    return  # the container is to be killed: asking it again tells nothing new
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))

    async def _ask(
        self, pod: Pod, target: probe_calls.Target, *, kind: str, probe: api.Probe
    ) -> probe_calls.Answer | None:
        """None if the probe cannot be made: that says nothing of the container, whose verdict stays as it is."""
        title = kind.capitalize()
        unaskable = ""
        for _ in range(TRIES):
            try:
                answer = await self._caller.ask(probe, target)
            except probe_calls.Unaskable as error:
                unaskable = str(error)
                continue
            if answer.warning:
                self._tell(pod, target, "ProbeWarning", f"{title} probe warning: {answer.message}")
            elif not answer.ok:
                self._tell(pod, target, "Unhealthy", f"{title} probe failed: {answer.message}")
            return answer
        self._tell(pod, target, "Unhealthy", f"{title} probe errored and resulted in unknown state: {unaskable}")
        return None

    def _count(self, pod: Pod, target: probe_calls.Target, *, kind: str, ok: bool, seconds: float) -> None:
        which = Counted(pod.key.namespace, pod.key.name, pod.uid, target.container.name, kind.capitalize(), ok)
        self.counts[which] = self.counts.get(which, 0) + 1
        if ok:
            before = self.took.get(which, Took())
            self.took[which] = Took(before.count + 1, before.seconds + seconds)

    def _tell(self, pod: Pod, target: probe_calls.Target, reason: str, message: str) -> None:
        self._recorder.event(pod, "Warning", reason, message, container=target.container.name)

    def _set(self, uid: Uid, one: _Probed, kind: str, *, verdict: Verdict, message: str) -> None:
        before = one.probed
        said = message if verdict is Verdict.FAILURE else ""
        match kind:
            case "startup":
                one.probed = dataclasses.replace(before, startup=verdict, message=said)
            case "liveness":
                one.probed = dataclasses.replace(before, liveness=verdict, message=said)
            case _:
                one.probed = dataclasses.replace(before, readiness=verdict)
        if one.probed != before:
            self._wake(uid)


def _probes(container: api.Container) -> list[tuple[str, api.Probe]]:
    kinds = (
        ("startup", container.startup_probe),
        ("readiness", container.readiness_probe),
        ("liveness", container.liveness_probe),
    )
    return [(kind, probe) for kind, probe in kinds if probe is not None]


def _has_probes(container: api.Container) -> bool:
    return bool(_probes(container))


def _reported(pod: Pod, container: ContainerId) -> tuple[bool, bool]:
    """Whether the API was told that this very container is ready, and that it is started."""
    for status in (*pod.status.container_statuses, *pod.status.init_container_statuses):
        if status.container_id.endswith(f"//{container}"):
            return status.ready, bool(status.started)
    return False, False


def _stop(one: _Probed) -> None:
    for task in one.tasks:
        task.cancel()
