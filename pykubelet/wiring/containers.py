"""Puts together what makes Pods' sandboxes and containers and ends them, and what the node adds to each."""

from collections.abc import Callable
from pathlib import Path

from nodekit.aio.clock import SystemClock
from pykubelet.act.cgroup_files import CgroupFiles
from pykubelet.act.cgroups import Cgroups
from pykubelet.act.container_inputs import Inputs, Node
from pykubelet.act.containers import ContainerStarter, Reach
from pykubelet.act.executor import Executor
from pykubelet.act.image_actions import ImageActions
from pykubelet.act.isolation import PodIsolation
from pykubelet.act.sandbox import Place, Sandboxes
from pykubelet.act.stopping import ContainerStopper
from pykubelet.act.systemd_slices import SystemdSlices
from pykubelet.act.user_namespaces import USER_IDS, UserNamespaces, subordinate_ids
from pykubelet.config.settings import Settings
from pykubelet.decide import cgroups, container_spec, dns, security
from pykubelet.model.machine import Machine
from pykubelet.model.pod import Pod
from pykubelet.model.runtime_config import DNSConfig
from pykubelet.observe import machine
from pykubelet.options import Options
from pykubelet.wiring.api import ApiLoop
from pykubelet.wiring.devices import DeviceLoop
from pykubelet.wiring.observe import ObserveLoop
from pykubelet.wiring.storage import Storage
from pykubelet.wiring.upkeep import LOG_LINKS


class Containers:
    """`executor` does to sandboxes and containers what was decided; they live in `cgroups`. `running()` gives the Pods
    that hold something of the node. A container's making needs all the other parts."""

    def __init__(
        self,
        settings: Settings,
        options: Options,
        *,
        api: ApiLoop,
        seen: ObserveLoop,
        images: ImageActions,
        storage: Storage,
        devices: DeviceLoop,
        running: Callable[[], list[Pod]],
    ) -> None:
        self.cgroups = _cgroups(settings, seen.machine, running)
        isolation = PodIsolation(
            api.runtime_classes,
            UserNamespaces(options.root, ids=subordinate_ids(), per_pod=_ids_per_pod(settings)),
            handlers=seen.handlers,
        )
        place = Place(
            isolation=isolation,
            logs=Path(settings.pod_logs_dir),
            cluster_dns=dns.ClusterDNS(settings.cluster_dns, settings.cluster_domain, _node_dns(settings.resolv_conf)),
            host_ips=lambda: options.node_ips,
        )
        facts = container_spec.NodeFacts(
            _limits(settings, seen.machine, unified=self.cgroups.unified),
            security=security.Node(settings.seccomp_default, str(options.root / "seccomp"), machine.thermal_paths()),
        )
        sandboxes = Sandboxes(seen.runtime, self.cgroups, api.events, place=place)
        reach = Reach(
            view=seen.view,
            recorder=api.events,
            clock=SystemClock(),
            host_ips=options.node_ips,
            log_links=LOG_LINKS,
        )
        inputs = Inputs(
            api.referenced,
            api.services,
            storage.volumes,
            storage.files,
            devices.devices,
            node=Node(facts, api.facts, isolation),
        )
        self.executor = Executor(
            sandboxes=sandboxes,
            starter=ContainerStarter(seen.runtime, sandboxes=sandboxes, inputs=inputs, reach=reach),
            stopper=ContainerStopper(seen.runtime, reach, node=facts),
            images=images,
            objects=api.referenced,
            volumes=storage.volumes,
            devices=devices.devices,
            cgroups=self.cgroups,
        )


def _cgroups(settings: Settings, of: Machine, running: Callable[[], list[Pod]]) -> Cgroups:
    files = CgroupFiles()
    return Cgroups(
        settings.cgroup_root or "/",
        files=files,
        running=running,
        slices=SystemdSlices(unified=files.unified) if settings.cgroup_driver == "systemd" else None,
        pids_limit=max(settings.pod_pids_limit, 0),
        enforce_cpu_quota=settings.cpu_cfs_quota,
        page_sizes=of.huge_pages,
    )


def _limits(settings: Settings, of: Machine, *, unified: bool) -> cgroups.Machine:
    swap = cgroups.Swap(of.swap if settings.memory_swap.swap_behavior == "LimitedSwap" else 0)
    return cgroups.Machine(
        of.memory,
        enforce_cpu_quota=settings.cpu_cfs_quota,
        unified=cgroups.unified_files(single_process_oom_kill=settings.single_process_oom_kill) if unified else None,
        page_sizes=of.huge_pages,
        swap=swap if machine.can_limit_swap() else None,
    )


def _ids_per_pod(settings: Settings) -> int:
    return settings.user_namespaces.ids_per_pod if settings.user_namespaces else USER_IDS


def _node_dns(path: str) -> DNSConfig | None:
    if not path:
        return None
    try:
        return dns.parse(Path(path).read_text())
    except OSError:
        return DNSConfig()
