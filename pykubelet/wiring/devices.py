"""Puts together what devices are made of: their plugins, who has which, and the socket that tells of it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import SystemClock
from nodekit.aio.tasks import Tasks
from nodekit.metrics import Metrics
from pykubelet.act.devices import Devices
from pykubelet.decide import resources
from pykubelet.model.devices import Device
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.observe.device_plugins import DevicePlugins
from pykubelet.options import Options
from pykubelet.plugins import pod_resources
from pykubelet.plugins.pod_resources import Answers, Held, PodDevices

# Source: device_plugin_alloc_duration_seconds in K/pkg/kubelet/metrics, DefBuckets.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class DeviceLoop:
    """`keeps(uid)` says whether a Pod may still use its devices; `active()` are the Pods that hold something of the
    node, `named(namespace, name)` is any Pod of it; `wake(uid)` is called when a device of a Pod has changed."""

    def __init__(
        self,
        options: Options,
        *,
        keeps: Callable[[Uid], bool],
        active: Callable[[], Iterable[Pod]],
        named: Callable[[str, str], Pod | None],
        wake: Callable[[Uid], None],
    ) -> None:
        folder = options.root / "device-plugins"
        self.plugins = DevicePlugins(folder, clock=SystemClock())
        self.devices = Devices(folder, self.plugins, keeps=keeps)
        self.plugins.subscribe(self._changed)
        self._wake = wake
        self._socket = options.root / "pod-resources/kubelet.sock"
        self._active = active
        self._named = named

    def start(self, tasks: Tasks, *, restart: Backoff) -> None:
        """Have it all run."""
        tasks.start("device-plugins", self.plugins.run, restart=restart)
        answers = Answers(pods=self._pods, pod=self._pod, devices=self._offered)
        tasks.start("pod-resources", lambda: pod_resources.serve(self._socket, answers), restart=restart)

    def measure(self, process: Metrics) -> None:
        """Count registrations and time allocations, under the genuine kubelet's names."""
        registered = process.counter(
            "kubelet_device_plugin_registration_total",
            "Cumulative number of device plugin registrations. Broken down by resource name.",
            labels=("resource_name",),
        )
        took = process.histogram(
            "kubelet_device_plugin_alloc_duration_seconds",
            "Duration in seconds to serve a device plugin Allocation request. Broken down by resource name.",
            labels=("resource_name",),
            buckets=_BUCKETS,
        )
        self.plugins.registered = lambda resource: registered.labels(resource).inc()
        self.devices.observe = lambda resource, seconds: took.labels(resource).observe(seconds)

    def _changed(self, resource: str) -> None:
        self.devices.save()
        for uid in self.devices.users(resource):
            self._wake(uid)

    def _pods(self) -> Iterator[PodDevices]:
        return (self._of(pod) for pod in self._active())

    def _pod(self, namespace: str, name: str) -> PodDevices | None:
        pod = self._named(namespace, name)
        return self._of(pod) if pod is not None else None

    def _of(self, pod: Pod) -> PodDevices:
        mine = [one for one in self.devices.held() if one.uid == pod.uid]
        sidecars = (c for c in pod.spec.init_containers if resources.is_sidecar(c))
        return PodDevices(
            pod.metadata.namespace,
            pod.metadata.name,
            tuple(
                (c.name, tuple(h for one in mine if one.container == c.name for h in _held(one.resource, one.devices)))
                for c in (*sidecars, *pod.spec.containers)
            ),
        )

    def _offered(self) -> Iterator[Held]:
        for resource, found in sorted(self.plugins.offers.items()):
            yield from _held(resource, (device for device in found.values() if device.healthy))


def _held(resource: str, found: Iterable[Device]) -> Iterator[Held]:
    return (Held(resource, device.id, device.numa) for device in sorted(found, key=lambda device: device.id))
