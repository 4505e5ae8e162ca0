"""Makes, stops and removes a Pod's sandbox."""

import dataclasses
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from pykubelet import meters
from pykubelet.act import ports
from pykubelet.act.isolation import PodIsolation
from pykubelet.cri import errors as cri_errors
from pykubelet.cri import runtime_api
from pykubelet.decide import dns, sandbox_spec
from pykubelet.decide.environment import ConfigError
from pykubelet.errors import PodError
from pykubelet.model.actions import CreateSandbox
from pykubelet.model.ids import SandboxId
from pykubelet.model.pod import Pod
from pykubelet.model.runtime_config import SandboxSpec


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """What is the same for all sandboxes of this node. `host_ips()` are its addresses."""

    logs: Path
    cluster_dns: dns.ClusterDNS
    host_ips: Callable[[], tuple[str, ...]]
    isolation: PodIsolation


class Sandboxes:
    """Satisfies CreateSandbox, StopSandbox, RemoveSandbox."""

    def __init__(
        self, runtime: runtime_api.SandboxCalls, cgroups: ports.Cgroups, recorder: ports.Recorder, *, place: Place
    ) -> None:
        self._runtime = runtime
        self._cgroups = cgroups
        self._recorder = recorder
        self._place = place

    async def create(self, pod: Pod, action: CreateSandbox) -> None:
        """Raises PodError FailedCreatePodSandBox."""
        if action.replaces:
            said = "Pod sandbox changed, it will be killed and re-created."
            self._recorder.event(pod, "Normal", "SandboxChanged", said)
        namespaced = not pod.spec.host_users
        meters.started_pods.inc()
        meters.started_namespaced_pods.inc(namespaced)
        try:
            for old in action.replaces:
                await self._runtime.stop_sandbox(old)
            await self._cgroups.create_pod(pod)
            spec = self.spec(pod, action.attempt, tell=True)
            await self._run(spec)
        except (cri_errors.CriError, ConfigError, OSError) as error:
            meters.started_pods_errors.inc()
            meters.started_namespaced_pods_errors.inc(namespaced)
            detail = error.said if isinstance(error, cri_errors.CriError) else str(error)
            message = f"Failed to create pod sandbox: {detail}"
            self._recorder.event(pod, "Warning", "FailedCreatePodSandBox", message)
            raise PodError("FailedCreatePodSandBox", message) from error

    async def _run(self, spec: SandboxSpec) -> None:
        began = time.monotonic()
        try:
            await self._runtime.run_sandbox(spec)
        except cri_errors.CriError:
            meters.run_sandbox_errors.labels(spec.runtime_handler).inc()
            raise
        finally:
            meters.run_sandbox.labels(spec.runtime_handler).observe(time.monotonic() - began)

    def spec(self, pod: Pod, attempt: int, *, tell: bool = False) -> SandboxSpec:
        """What this Pod's sandbox is made from. Raises ConfigError."""
        resolving, exceeded = dns.of(pod, self._place.cluster_dns, host_ips=self._place.host_ips())
        if tell:
            for message in exceeded:
                self._recorder.event(pod, "Warning", "DNSConfigForming", message)
        isolation = self._place.isolation.of(pod)
        given = sandbox_spec.Given(
            attempt=attempt,
            log_directory=sandbox_spec.log_directory(str(self._place.logs), pod),
            cgroup_parent=self._cgroups.parent(pod),
            cluster_domain=self._place.cluster_dns.domain,
            dns=resolving,
            runtime_handler=isolation.handler,
            user_namespace=isolation.user,
        )
        made = sandbox_spec.of(pod, given)
        Path(made.log_directory).mkdir(parents=True, exist_ok=True)
        return made

    async def stop(self, sandbox: SandboxId) -> None:
        """Free its network and kill what still runs in it."""
        await self._runtime.stop_sandbox(sandbox)

    async def remove(self, sandbox: SandboxId) -> None:
        """Remove it from the runtime; it is stopped first, as some runtimes ask for."""
        await self._runtime.stop_sandbox(sandbox)
        await self._runtime.remove_sandbox(sandbox)

    def forget(self, pod: Pod) -> None:
        """Remove the Pod's logs, and give its user ids back."""
        self._place.isolation.release(pod.uid)
        shutil.rmtree(sandbox_spec.log_directory(str(self._place.logs), pod), ignore_errors=True)
