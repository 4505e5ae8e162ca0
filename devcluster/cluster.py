"""Bring a cluster up and down: the order of the steps, each of them idempotent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from devcluster import (
    agents,
    binaries,
    cgroups,
    containerd,
    controlplane,
    dns,
    identities,
    images,
    layout,
    limits,
    mounts,
    netns,
    node,
    oci,
    packages,
    processes,
    recipes,
    registry,
    state,
    tools,
    workload,
)
from devcluster.errors import DevClusterError
from devcluster.layout import Layout
from devcluster.progress import Reporter
from devcluster.spec import ClusterSpec, NodeSpec

Binaries = Mapping[str, Path]


def up(wanted: ClusterSpec, report: Reporter) -> list[workload.Answers]:
    """Make the cluster be as wanted, whatever there is of it, and do the main job on it."""
    _need_root()
    cluster = layout.of(wanted.name)
    with state.exclusive(cluster):
        before = state.load(cluster)
        _check_change(before, wanted)
        if before is None:
            limits.check(wanted)
        packages.ensure(packages.FOR_CLUSTER, report)
        server = registry.program(report)
        found = binaries.resolve(tools.CLUSTER, report, given=wanted.binaries)
        store = images.obtain(report, given=wanted.binaries)
        gone = [] if before is None else [node for node in before.nodes if node.name not in wanted.names]
        # Nodes that are wanted no more are known until they are away: whatever fails, the next command takes them away.
        state.save(cluster, msgspec.structs.replace(wanted, nodes=(*wanted.nodes, *gone)))
        with report.step("networks and certificates"):
            node.link_binaries(cluster.bin, found)
            netns.make_base(cluster, wanted)
            mounts.make_base(cluster)
            identities.make(cluster, wanted)
            _write_kubectl(cluster)
        _together(
            [
                lambda: _start_control_plane(cluster, wanted, found, report),
                lambda: _start_registry(cluster, wanted, store, server, report),
                *(_preparation(cluster, wanted, member, found, store, report) for member in wanted.nodes),
            ]
        )
        for member in gone:
            _take_away(cluster, wanted, member.name, report)
        state.save(cluster, wanted)
        netns.route(cluster, wanted)
        _together([_join(cluster, wanted, member, report) for member in wanted.nodes])
        return _main_job(cluster, wanted, report)


def _check_change(old: ClusterSpec | None, wanted: ClusterSpec) -> None:
    """Nodes come, go and change; what else differs needs a new cluster."""
    if old is None:
        return
    for field in ("api_servers", "family", "binaries"):
        if getattr(old, field) != getattr(wanted, field):
            why = (
                f"it is up with {field} = {getattr(old, field) or 'default'}, not {getattr(wanted, field) or 'default'}"
            )
            raise DevClusterError(f"cluster {wanted.name}", why, hint=f"`make down NAME={wanted.name}` first")


def _start_control_plane(cluster: Layout, spec: ClusterSpec, found: Binaries, report: Reporter) -> None:
    programs = controlplane.programs(cluster, spec, found)
    first = [program for program in programs if program.name == "etcd" or program.name.startswith("kube-apiserver")]
    with report.step("etcd and the API server", about=7):
        for program in first:
            controlplane.launch(program)
        controlplane.balance(cluster, spec)
        controlplane.wait_for_api(cluster, spec, first)
    with report.step("controllers, scheduler and DNS"):
        for program in programs[len(first) :]:
            controlplane.launch(program)
        api = identities.admin_client(cluster, spec)
        controlplane.bootstrap(api)
        dns.register(api, spec)
        dns.start(cluster, spec, found["coredns"])


def _start_registry(cluster: Layout, spec: ClusterSpec, store: oci.Store, server: Path, report: Reporter) -> None:
    with report.step("image registry"):
        registry.start(cluster, spec, store, server)


def _preparation(
    cluster: Layout, spec: ClusterSpec, member: NodeSpec, found: Binaries, store: oci.Store, report: Reporter
) -> Callable[[], None]:
    def work() -> None:
        with report.step(f"{member.name}: network, mounts, containerd"):
            node.prepare(cluster, spec, member, binaries=found)
            containerd.load(cluster, member.name, store, recipes.PAUSE)

    return work


def _join(cluster: Layout, spec: ClusterSpec, member: NodeSpec, report: Reporter) -> Callable[[], None]:
    def work() -> None:
        if not node.has_agents(member):
            return
        api = identities.admin_client(cluster, spec)
        programs = [agents.program(cluster, spec, member, role) for role in agents.ROLES]
        names = " and ".join(program.name.removesuffix(f" of {member.name}") for program in programs if program.argv)
        with report.step(f"{member.name}: {names} ready", about=8):
            node.start_agents(cluster, spec, member, api)
            node.wait_ready(cluster, spec, member, api)

    return work


def _main_job(cluster: Layout, spec: ClusterSpec, report: Reporter) -> list[workload.Answers]:
    if not any(node.has_agents(member) for member in spec.nodes):
        return []
    api = identities.admin_client(cluster, spec)
    with report.step("a Deployment of three behind a Service", about=8):
        workload.apply(api, spec)
        workload.wait(api, spec)
    with report.step("call it by name, ClusterIP and NodePort"):
        return workload.call(cluster, api, spec)


def add_node(name: str, member: NodeSpec, report: Reporter) -> None:
    """Add a node to a running cluster, or change whose agents it runs."""
    _need_root()
    cluster = layout.of(name)
    with state.exclusive(cluster):
        spec = state.need(cluster).with_node(member)
        state.save(cluster, spec)
        found = binaries.resolve(tools.CLUSTER, report, given=spec.binaries)
        store = images.obtain(report, given=spec.binaries)
        _preparation(cluster, spec, member, found, store, report)()
        netns.route(cluster, spec)
        _join(cluster, spec, member, report)()


def remove_node(name: str, member: str, report: Reporter) -> None:
    """Take a node away: its containers, namespaces, cgroups, files and its Node object."""
    _need_root()
    cluster = layout.of(name)
    with state.exclusive(cluster):
        spec = state.need(cluster)
        rest = spec.without_node(member)
        _take_away(cluster, spec, member, report)
        state.save(cluster, rest)


def _take_away(cluster: Layout, spec: ClusterSpec, member: str, report: Reporter) -> None:
    with report.step(f"remove {member}"):
        node.stop(cluster, member)
        shutil.rmtree(cluster.node(member).root, ignore_errors=True)
        identities.admin_client(cluster, spec).delete(f"/api/v1/nodes/{member}")


def down(name: str, report: Reporter) -> bool:
    """Leave nothing: processes, containers, namespaces, mounts, cgroups, files. False if there was nothing."""
    _need_root()
    cluster = layout.of(name)
    with state.exclusive(cluster):
        nodes = _members(cluster)
        spaces = netns.all_of(cluster)
        if not (nodes or spaces or cluster.root.exists() or _cgroups(cluster)):
            return False
        with report.step(f"take {name} down"):
            for pidfile in state.programs(cluster):  # agents first, lest they restart what dies
                if pidfile.name.partition("-")[2] in agents.ROLES:
                    processes.stop(pidfile, grace=0.2)
            _together([_stopping(cluster, member) for member in nodes])
            for pidfile in state.programs(cluster):
                processes.stop(pidfile, grace=0.5)
            for cgroup in _cgroups(cluster):
                cgroups.kill(cgroup)
                cgroups.remove(cgroup)
            for space in netns.all_of(cluster):
                netns.remove(cluster, space.removeprefix(f"{name}-"))
            mounts.remove_base(cluster)
            shutil.rmtree(cluster.root, ignore_errors=True)
            if cluster.root.exists():
                raise DevClusterError(
                    f"down {name}", f"{cluster.root} can't be removed: is something still mounted there?"
                )
        return True


def _stopping(cluster: Layout, member: str) -> Callable[[], None]:
    return lambda: node.stop(cluster, member)


def _members(cluster: Layout) -> list[str]:
    """Nodes of which anything is there, whether the spec knows them or not."""
    found = {path.name for folder in ("nodes", "mnt") for path in (cluster.root / folder).glob("n*")}
    for known in (*netns.all_of(cluster), *(group.lstrip("/") for group in _cgroups(cluster))):
        member = known.removeprefix(f"{cluster.name}-")
        if member not in (netns.BRIDGE, netns.CONTROL_PLANE):
            found.add(member)
    return sorted(found)


def _cgroups(cluster: Layout) -> list[str]:
    wanted = f"/{cluster.name}-"
    return [group for group in cgroups.members(wanted.lstrip("/")) if netns.is_member(group.removeprefix(wanted))]


def _write_kubectl(cluster: Layout) -> None:
    space = cluster.netns(netns.CONTROL_PLANE)
    cluster.kubectl.write_text(
        "#!/bin/sh\n# kubectl as the administrator, inside the control plane's network\n"
        f"export KUBECONFIG={cluster.admin}\n"
        f'exec nsenter --net={netns.path(space)} -- {cluster.bin}/kubectl "$@"\n'
    )
    cluster.kubectl.chmod(0o755)


def _together(work: Iterable[Callable[[], None]]) -> None:
    """Run these at once; the first error is raised when all have ended, and says of the others.

    KeyboardInterrupt, too, only when all have ended: who is told of it may run the next command at once.
    """
    jobs = list(work)
    if not jobs:
        return
    with processes.interruptible(), ThreadPoolExecutor(max_workers=len(jobs)) as pool:
        futures = [pool.submit(job) for job in jobs]
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in errors[1:]:
        errors[0].add_note(str(error))
    if errors:
        raise errors[0]


def _need_root() -> None:
    if os.geteuid():
        raise DevClusterError(
            "devcluster", "it makes network namespaces and cgroups", hint="run it as root: sudo make ..."
        )
