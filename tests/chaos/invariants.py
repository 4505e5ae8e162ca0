"""What must hold whenever all is quiet: each check gives complaints, none if all is well."""

import dataclasses
from collections.abc import Iterator

from pykubelet.model.observed import ContainerState, SandboxState
from tests.chaos import ground, pods
from tests.chaos.ground import Ground
from tests.e2e import kube as k
from tests.e2e import lab as machines
from tests.e2e.kube import Kube, Manifest


@dataclasses.dataclass
class Deleted:
    """When (seconds since the machine's boot) a Pod was asked to go, and whether at once."""

    at: float
    at_once: bool


@dataclasses.dataclass
class Expected:
    """What the generator knows: the Pods it wants by name with their kinds, when others were deleted."""

    alive: dict[str, str] = dataclasses.field(default_factory=dict)
    deleted: dict[str, Deleted] = dataclasses.field(default_factory=dict)
    word: str = "first"


def settled(kube: Kube, place: Ground, expected: Expected) -> list[str]:
    """What is not yet, or not at all, as it should come to be: asked again until it is empty or time is up."""
    found = {pod["metadata"]["name"]: pod for pod in kube.listed("pods")}
    node = place.node.name
    wanted = {f"{name}-{node}" if kind == pods.STATIC else name: kind for name, kind in expected.alive.items()}
    complaints = [f"{name} is not in the API" for name in wanted.keys() - found.keys()]
    complaints += [f"{name} is still in the API" for name in found.keys() - wanted.keys()]
    aborted = machines.aborted_starts(place.node)
    for name in wanted.keys() & found.keys():
        complaints += _as_its_kind(name, wanted[name], found[name], aborted)
    if not complaints:
        complaints += _same_in_the_runtime(list(found.values()), place, aborted)
    if not complaints:
        complaints += _configured(kube, expected, found)
    return complaints


def _as_its_kind(name: str, kind: str, pod: Manifest, aborted: frozenset[str]) -> Iterator[str]:
    wants = pods.BY_NAME.get(kind)
    phase, status = pod["status"].get("phase"), pod["status"]
    if phase != (wants.phase if wants else "Running"):
        # Where containerd gave up a start half-way, the runtime's word is that it failed.
        ids = {one.get("state", {}).get("terminated", {}).get("containerID") for one in _statuses(pod)}
        if not (wants and wants.once and {str(i).removeprefix("containerd://") for i in ids} & aborted):
            yield f"{name} is {phase}: {status.get('reason', '')} {status.get('message', '')}"
    elif (wants is None or (wants.phase == "Running" and wants.ready)) and not k.is_ready(pod):
        yield f"{name} is not ready: {status.get('containerStatuses')}"


def _statuses(pod: Manifest) -> Iterator[Manifest]:
    yield from pod["status"].get("initContainerStatuses", ())
    yield from pod["status"].get("containerStatuses", ())


def _same_in_the_runtime(found: list[Manifest], place: Ground, aborted: frozenset[str]) -> Iterator[str]:
    """Whether what the API tells is what runs, and nothing else is left of any Pod."""
    runs, known = place.runs(), ground.uids(found)
    told = {
        one["containerID"].removeprefix("containerd://"): f"{pod['metadata']['name']}/{one['name']}"
        for pod in found
        for one in _statuses(pod)
        if "running" in one["state"]
    }
    running = {c.id for c in runs.containers if c.state is ContainerState.RUNNING}
    brief = {f"{pod['metadata']['name']}/main" for pod in found if pod["metadata"]["name"].startswith("crashes-")}
    yield from (f"{told[one]} is said to run, and does not" for one in told.keys() - running if told[one] not in brief)
    for container in runs.containers:
        comes_and_goes = container.name == "main" and container.pod_uid in _uids_of(found, "crashes-")
        if container.id in running - told.keys() - aborted and not comes_and_goes:
            yield f"{container.name} of Pod {container.pod_uid} runs, which nobody tells"
        if container.pod_uid not in known and container.id not in aborted:
            yield f"container {container.name} of Pod {container.pod_uid} is left"
    stuck = {c.pod_uid for c in runs.containers if c.id in aborted}
    ready: dict[str, int] = {}
    for sandbox in runs.sandboxes:
        if sandbox.state is SandboxState.READY:
            ready[sandbox.uid] = ready.get(sandbox.uid, 0) + 1
        if sandbox.uid not in known | stuck:
            yield f"sandbox of {sandbox.name} ({sandbox.uid}) is left"
    for pod in found:
        (uid,) = ground.uids([pod])
        if pod["status"]["phase"] == "Running" and ready.get(uid, 0) != 1:
            yield f"{pod['metadata']['name']} has {ready.get(uid, 0)} sandboxes"
    for where, uids in place.left_of_pods().items():
        yield from (f"{where} of Pod {uid} is left" for uid in uids - known - stuck)


def _uids_of(found: list[Manifest], prefix: str) -> set[str]:
    return ground.uids(pod for pod in found if pod["metadata"]["name"].startswith(prefix))


def _configured(kube: Kube, expected: Expected, found: dict[str, Manifest]) -> Iterator[str]:
    for name in found:
        if name.startswith("configured-"):
            has = kube.exec(name, "cat", "/c/word")
            if has != expected.word:
                yield f"{name} has the word {has!r}, not {expected.word!r}"


def kept(place: Ground, expected: Expected) -> list[str]:
    """What was broken on the way: containers begun twice, graces cut short, errors nobody expected."""
    complaints = [f"begun twice: {line}" for line in place.doubles()]
    complaints += [f"pykubelet did not expect: {text}" for text in place.tracebacks()]
    for file, notes in place.note_files().items():
        name = file.partition(".")[0]
        kind = pods.BY_NAME.get(name.rpartition("-")[0])
        if kind is not None:
            complaints += _graces(name, kind, notes, expected.deleted.get(name))
    return complaints


def _graces(name: str, kind: pods.Kind, notes: list[list[str]], deleted: Deleted | None) -> Iterator[str]:
    whats = [what for _, what, _ in notes]
    if kind.once and whats.count("start") > 1:
        yield f"{name} began {whats.count('start')} times"
    if deleted is None or deleted.at_once:
        return
    if kind.polite and "term" in whats and "bye" not in whats:
        yield f"{name} was asked to stop and killed before it had"
    if kind.rude and "beat" in whats:
        lived = float([at for _, what, at in notes if what == "beat"][-1]) - deleted.at
        if lived < 4:
            yield f"{name} was killed {lived:.1f} s after its deletion, its grace being 5 s"
