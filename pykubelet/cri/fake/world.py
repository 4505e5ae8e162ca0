"""What the fake runtime holds and how a test bends it: records, programs, failures, delays, events."""

import asyncio
import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Sequence

from nodekit.aio.clock import Clock, SystemClock
from pykubelet.cri import errors
from pykubelet.model import observed, runtime_config
from pykubelet.model.ids import ContainerId, SandboxId, Uid

KILLED = 137
"""Exit code of a process ended by SIGKILL."""


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """What a container does once started: run for `exits_after` seconds (None: until stopped) and exit with `code`.

    On the stop signal it exits with `stop_code` after `stop_takes` seconds, or never if `ignores_stop`. A
    `start_error` is what StartContainer fails with; the container is then Exited with 128, as containerd has it.
    """

    exits_after: float | None = None
    code: int = 0
    reason: str = ""
    stop_code: int = 0
    stop_takes: float = 0.0
    ignores_stop: bool = False
    start_error: str = ""


@dataclasses.dataclass(slots=True)
class SandboxRecord:
    id: SandboxId
    spec: runtime_config.SandboxSpec
    created_at: float
    ips: tuple[str, ...]
    state: observed.SandboxState = observed.SandboxState.READY


@dataclasses.dataclass(slots=True)
class ContainerRecord:
    id: ContainerId
    sandbox: SandboxId
    spec: runtime_config.ContainerSpec
    program: Program
    created_at: float
    log_path: str
    resources: runtime_config.LinuxResources
    state: observed.ContainerState = observed.ContainerState.CREATED
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    timer: asyncio.TimerHandle | None = None
    exited: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)


class World:
    """The fake machine. Tests set the public attributes and call the public methods at any moment."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.sandboxes: dict[SandboxId, SandboxRecord] = {}
        self.containers: dict[ContainerId, ContainerRecord] = {}
        self.images: dict[str, observed.Image] = {}
        self.registry: set[str] | None = None
        """Images that a pull can find; None: any."""
        self.calls: list[tuple[str, str]] = []
        """Every call made, as (RPC, what it was about)."""
        self.delays: dict[str, float] = {}
        """Seconds that each call of an RPC takes."""
        self.unimplemented: set[str] = set()
        self.down = False
        """The runtime does not answer: every call is Unavailable."""
        self._programs: dict[str, tuple[Program, ...]] = {}
        self._failures: dict[str, list[errors.CriError]] = defaultdict(list)
        self._listeners: set[asyncio.Queue[observed.RuntimeEvent | None]] = set()
        self._ids = itertools.count(1)

    def script(self, container: str, *programs: Program) -> None:
        """Say what containers of this name do, by attempt; the last program holds for all later ones."""
        self._programs[container] = programs

    def program_of(self, spec: runtime_config.ContainerSpec) -> Program:
        programs: Sequence[Program] = self._programs.get(spec.name) or (Program(),)
        return programs[min(spec.attempt, len(programs) - 1)]

    def fail(self, call: str, error: errors.CriError, *, times: int = 1) -> None:
        """Let the next `times` calls of this RPC fail."""
        self._failures[call].extend([error] * times)

    async def enter(self, call: str, target: str = "") -> None:
        """What every call goes through: it is noted, takes its time, and may fail."""
        self.calls.append((call, target))
        if delay := self.delays.get(call):
            await self.clock.sleep(delay)
        if self.down:
            raise errors.Unavailable(call, target=target, detail="the fake runtime is down")
        if call in self.unimplemented:
            raise errors.Unimplemented(call, target=target, detail=f"unknown method {call}")
        if self._failures[call]:
            raise self._failures[call].pop(0)

    def now(self) -> float:
        return self.clock.now().timestamp()

    def new_id(self) -> str:
        return f"{next(self._ids):064x}"

    def new_address(self) -> str:
        return f"198.19.255.{next(self._ids) % 250 + 2}"

    # -- events

    def listen(self) -> asyncio.Queue[observed.RuntimeEvent | None]:
        queue: asyncio.Queue[observed.RuntimeEvent | None] = asyncio.Queue()
        self._listeners.add(queue)
        return queue

    def unlisten(self, queue: asyncio.Queue[observed.RuntimeEvent | None]) -> None:
        self._listeners.discard(queue)

    def break_streams(self) -> None:
        """Every event stream ends with Unavailable."""
        for queue in self._listeners:
            queue.put_nowait(None)

    def emit(self, subject: str, kind: observed.EventKind, *, sandbox: SandboxId) -> None:
        record = self.sandboxes.get(sandbox)
        event = observed.RuntimeEvent(
            container_id=ContainerId(subject),
            kind=kind,
            at=self.now(),
            pod_uid=record.spec.uid if record else Uid(""),
            sandbox=self.sandbox_status(record) if record else None,
            containers=tuple(self.container_status(c) for c in self.containers.values() if c.sandbox == sandbox),
        )
        for queue in self._listeners:
            queue.put_nowait(event)

    # -- what is seen

    def sandbox_status(self, record: SandboxRecord) -> observed.Sandbox:
        spec = record.spec
        return observed.Sandbox(
            id=record.id,
            uid=spec.uid,
            namespace=spec.namespace,
            name=spec.name,
            attempt=spec.attempt,
            state=record.state,
            created_at=record.created_at,
            labels=dict(spec.labels),
            annotations=dict(spec.annotations),
            runtime_handler=spec.runtime_handler,
            detailed=True,
            ips=record.ips if record.state is observed.SandboxState.READY else (),
            namespaces=spec.security.namespaces,
        )

    def container_status(self, record: ContainerRecord) -> observed.Container:
        spec = record.spec
        return observed.Container(
            id=record.id,
            name=spec.name,
            attempt=spec.attempt,
            pod_uid=Uid(spec.labels.get(observed.POD_UID_LABEL, "")),
            sandbox_id=record.sandbox,
            state=record.state,
            created_at=record.created_at,
            image=spec.image.user_specified_image or spec.image.image,
            image_ref=spec.image.image,
            image_id=spec.image.image,
            labels=dict(spec.labels),
            annotations=dict(spec.annotations),
            detailed=True,
            started_at=record.started_at,
            finished_at=record.finished_at,
            exit_code=record.exit_code,
            reason=record.reason,
            message=record.message,
            log_path=record.log_path,
            mounts=spec.mounts,
            resources=record.resources,
            user=observed.User(uid=spec.security.run_as_user or 0, gid=spec.security.run_as_group or 0),
            stop_signal=spec.stop_signal or "SIGTERM",
        )

    # -- what happens

    def exit(self, container: ContainerId, code: int, *, reason: str = "") -> None:
        """Let a running container exit now."""
        record = self.containers[container]
        if record.state is not observed.ContainerState.RUNNING:
            return
        if record.timer:
            record.timer.cancel()
        record.state = observed.ContainerState.EXITED
        record.finished_at, record.exit_code = self.now(), code
        record.reason = reason or ("Completed" if code == 0 else "Error")
        record.exited.set()
        self.emit(container, observed.EventKind.STOPPED, sandbox=record.sandbox)

    def lose_sandbox(self, sandbox: SandboxId) -> None:
        """Let a sandbox and all in it die, as when somebody kills its pause process."""
        record = self.sandboxes[sandbox]
        for container in [c for c in self.containers.values() if c.sandbox == sandbox]:
            self.exit(container.id, KILLED)
        if record.state is observed.SandboxState.READY:
            record.state = observed.SandboxState.NOT_READY
            self.emit(sandbox, observed.EventKind.STOPPED, sandbox=sandbox)
