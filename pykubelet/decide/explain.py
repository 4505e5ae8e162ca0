"""Say in sentences what a Pod waits for, since when, and what comes next. No I/O."""

from collections.abc import Iterator, Mapping

from pykubelet.decide import lookup, waiting
from pykubelet.model import actions
from pykubelet.model.actions import Action, Kind, OpKey
from pykubelet.model.container import Container
from pykubelet.model.observed import ContainerState
from pykubelet.model.pod_state import EndingCause, Failure, PodState, Verdict
from pykubelet.model.status import PodStatus


def of(state: PodState, status: PodStatus, *, took: Mapping[OpKey, float], now: float) -> tuple[str, ...]:
    """The sentences, the most important first. `took` says for how many seconds each operation has been under way."""
    found = (*_fate(state, now), *_under_way(state, took), *_failures(state, now), *_containers(state, now))
    found = (*found, *_gates(state, status))
    return found or (_contentment(state, status),)


def _fate(state: PodState, now: float) -> Iterator[str]:
    ending = state.ending
    if ending is None:
        if not state.admitted:
            yield "It has not been admitted to this node yet: other Pods have to end first."
        return
    if ending.cause is EndingCause.REJECTED:
        yield f"It was refused, {ending.reason}: {ending.message.strip()}"
        return
    running = lookup.running(state.seen)
    why = "it was deleted" if ending.cause is EndingCause.DELETED else f"{ending.reason}: {ending.message.strip()}"
    if running:
        left = max(0.0, ending.kill_at - now)
        names = ", ".join(container.name for container in running)
        yield f"It is ending ({why}); what still runs is killed in {_span(left)}: {names}."
    elif not state.torn_down:
        yield f"It has ended ({why}); what it held is being released."
    else:
        yield f"It has ended ({why}) and holds nothing of the node any more."


def _under_way(state: PodState, took: Mapping[OpKey, float]) -> Iterator[str]:
    for key, action in sorted(state.under_way.items()):
        yield f"{_doing(state, action)}, since {_span(took.get(key, 0.0))}."


def _doing(state: PodState, action: Action) -> str:
    match action:
        case actions.AssignDevices():
            return "Its devices are being asked for"
        case actions.PrepareVolumes():
            return "Its volumes are being prepared"
        case actions.CreateSandbox():
            return "Its sandbox and network are being made"
        case actions.EnsureImage():
            image = state.images.get(action.container)
            progress = f" ({image.progress})" if image is not None and image.progress else ""
            whose = f"volume {action.volume}" if action.volume else f"container {action.container}"
            return f"The image {action.image} of {whose} is being pulled{progress}"
        case actions.StartContainer():
            return f"Container {action.name} is being started"
        case actions.StopContainer() | actions.RunPreStop():
            return f"Container {action.name} is being stopped"
        case actions.ResizeContainer():
            return f"Container {action.name} is given other resources"
        case actions.TearDown():
            return "Its volumes and cgroup are being taken away"
        case _:
            return "What is left of it is being removed"


def _failures(state: PodState, now: float) -> Iterator[str]:
    for key, failure in sorted(state.failures.items()):
        if key not in state.under_way:
            why = f"{failure.reason}: {_ended(failure.message)}"
            yield f"{_what_failed(key)} failed {_times(failure)}, {why} {_again(failure, now)}"


def _what_failed(key: OpKey) -> str:
    what, _, which = key.partition("/")
    return {
        "devices": "Getting its devices",
        "volumes": "Preparing its volumes",
        "sandbox": "Making its sandbox",
        "image": f"Getting the image of container {which}",
        "image-volume": f"Getting the image of volume {which}",
        "start": f"Starting container {which}",
        "tear-down": "Taking its volumes and cgroup away",
        "resize": f"Giving other resources to container {which}",
    }.get(what, "Stopping or removing a part of it")


def _containers(state: PodState, now: float) -> Iterator[str]:
    spec = state.pod.spec
    if state.ending is not None:
        return
    for kind, containers in ((Kind.INIT, spec.init_containers), (Kind.REGULAR, spec.containers)):
        for container in containers:
            yield from _container(state, container, kind, now)


def _container(state: PodState, container: Container, kind: Kind, now: float) -> Iterator[str]:
    seen = lookup.newest(state.seen, container.name)
    if seen is None:
        return
    if seen.state is ContainerState.RUNNING:
        probed = state.probed.get(seen.id)
        if probed is None:
            return
        if probed.startup is not Verdict.SUCCESS:
            yield f"Container {container.name} runs, but its startup probe has not succeeded yet."
        elif probed.readiness is not Verdict.SUCCESS:
            yield f"Container {container.name} runs, but its readiness probe does not succeed."
        return
    said = waiting.of(state, container, seen, None, now=now)
    if said is not None and said.reason == waiting.CRASH_LOOP:
        delay = state.backoffs[container.name].delay
        left = max(0.0, seen.finished_at + delay - now)
        how = f"exit code {seen.exit_code}" + (f", {seen.reason}" if seen.reason else "")
        yield f"Container {container.name} keeps exiting ({how}); it is started again in {_span(left)}."
    elif kind is Kind.INIT and seen.exit_code and state.pod.spec.restart_policy == "Never":
        yield f"Init container {container.name} failed with exit code {seen.exit_code}, and is not started again."


def _gates(state: PodState, status: PodStatus) -> Iterator[str]:
    told = {condition.type: condition.status for condition in status.conditions}
    for gate in state.pod.spec.readiness_gates:
        if told.get(gate.condition_type) != "True":
            yield f"The readiness gate {gate.condition_type} is not true: somebody outside of the node has to say so."


def _contentment(state: PodState, status: PodStatus) -> str:
    if status.phase in ("Succeeded", "Failed"):
        return f"It has ended: {status.phase}{f', {status.reason}' if status.reason else ''}."
    running = lookup.running(state.seen)
    if len(running) >= len(state.pod.spec.containers):
        return "All of its containers run, and nothing is waited for."
    return "Nothing is under way; it is looked at again as soon as something changes."


def _again(failure: Failure, now: float) -> str:
    left = failure.retry_at - now
    return f"It is tried again in {_span(left)}." if left > 0 else "It is tried again now."


def _times(failure: Failure) -> str:
    return "once" if failure.count <= 1 else f"{failure.count} times"


def _ended(sentence: str) -> str:
    sentence = sentence.strip()
    return sentence if sentence.endswith(".") else f"{sentence}."


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
