"""The kinds of Pods the generator makes: each notes on the node's disk what happens to it, and what it must come to."""

import dataclasses
from collections.abc import Callable
from random import Random
from typing import Final

from tests.e2e import kube as k
from tests.e2e.kube import Manifest

NOTES: Final = "/var/lib/node/chaos"
"""On the node: a file of notes for each Pod, a lock for each container, and `violations`."""
SMALL: Final = "/var/lib/node/chaos-small"
"""On the node: a filesystem of a few MiB."""

# Each container holds a lock on the node for as long as it lives: a second one that finds it taken says so.
_ONE: Final = (
    'exec 9>/notes/$POD-$ME.lock; flock -n 9 || echo "double $POD/$ME" >> /notes/violations; '
    'note() { echo "$ME $1 $(cut -d" " -f1 /proc/uptime)" >> /notes/$POD.$ID; }; note start; '
)
_FOREVER: Final = "while true; do sleep 0.2; done"


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """`phase` is what the Pod settles in; `ready`: Running means that all of it is ready, too; `once`: it starts once.

    `polite` seconds pass in it between TERM and its end; `rude`: it ends only when it is killed.
    """

    name: str
    make: Callable[[Random], Manifest]
    phase: str = "Running"
    ready: bool = True
    once: bool = False
    polite: float = 0.0
    rude: bool = False


def _noting(name: str, script: str, **more: object) -> Manifest:
    fields = (("POD", "metadata.name"), ("ID", "metadata.uid"))
    env = [{"name": n, "valueFrom": {"fieldRef": {"fieldPath": path}}} for n, path in fields]
    mounts = [{"name": "notes", "mountPath": "/notes"}, *more.pop("volumeMounts", [])]  # type: ignore[misc]
    return k.shell(name, _ONE + script, env=[*env, {"name": "ME", "value": name}], volumeMounts=mounts, **more)


def _pod(*containers: Manifest, **spec: object) -> Manifest:
    volumes = [{"name": "notes", "hostPath": {"path": NOTES}}, *spec.pop("volumes", [])]  # type: ignore[misc]
    return k.pod("", *containers, volumes=volumes, **{"terminationGracePeriodSeconds": 2, **spec})


def _steady(random: Random) -> Manifest:
    names = ["main", "second", "third"][: random.randint(1, 3)]
    return _pod(*(_noting(name, f"trap 'exit 0' TERM; {_FOREVER}") for name in names))


def _polite(random: Random) -> Manifest:
    trap = f"trap 'note term; sleep 4; note bye; exit 0' TERM; {_FOREVER}"
    return _pod(_noting("main", trap), terminationGracePeriodSeconds=20)


def _rude(random: Random) -> Manifest:
    return _pod(
        _noting("main", "trap 'note term' TERM; while true; do note beat; sleep 0.2; done"),
        terminationGracePeriodSeconds=5,
    )


def _once(random: Random) -> Manifest:
    return _pod(_noting("main", f"sleep {random.randint(0, 3)}; exit 0"), restartPolicy="Never")


def _fails(random: Random) -> Manifest:
    return _pod(_noting("main", f"sleep {random.randint(0, 3)}; exit 3"), restartPolicy="Never")


def _second_try(random: Random) -> Manifest:
    main = _noting("main", "mkdir /d/tried && exit 1; exit 0", volumeMounts=[{"name": "d", "mountPath": "/d"}])
    return _pod(main, restartPolicy="OnFailure", volumes=[{"name": "d", "emptyDir": {}}])


def _crashes(random: Random) -> Manifest:
    return _pod(_noting("main", f"sleep {random.randint(0, 4)}; exit 1"))


def _ordered(random: Random) -> Manifest:
    sidecar = _noting("beside", f"trap 'exit 0' TERM; {_FOREVER}", restartPolicy="Always")
    return _pod(
        _noting("main", f"trap 'exit 0' TERM; {_FOREVER}"),
        initContainers=[_noting("first", "sleep 1"), sidecar, _noting("last", "true")],
    )


def _probed(random: Random) -> Manifest:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    return _pod(_noting("main", f"trap 'exit 0' TERM; {_FOREVER}", readinessProbe=probe, livenessProbe=probe))


def _configured(random: Random) -> Manifest:
    main = _noting("main", f"trap 'exit 0' TERM; {_FOREVER}", volumeMounts=[{"name": "c", "mountPath": "/c"}])
    return _pod(main, volumes=[{"name": "c", "configMap": {"name": "words"}}])


def _fills(random: Random) -> Manifest:
    fill = f"trap 'exit 0' TERM; dd if=/dev/zero of=/m/full bs=1M; dd if=/dev/zero of=/s/$POD bs=1M; {_FOREVER}"
    mounts = [{"name": "m", "mountPath": "/m"}, {"name": "s", "mountPath": "/s"}]
    memory = {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "2Mi"}}
    return _pod(
        _noting("main", fill, volumeMounts=mounts), volumes=[memory, {"name": "s", "hostPath": {"path": SMALL}}]
    )


def _on_host(random: Random) -> Manifest:
    return _pod(_noting("main", f"trap 'exit 0' TERM; {_FOREVER}"), hostNetwork=True)


KINDS: Final = (
    Kind("steady", _steady),
    Kind("polite", _polite, polite=4.0),
    Kind("rude", _rude, rude=True),
    Kind("once", _once, phase="Succeeded", once=True),
    Kind("fails", _fails, phase="Failed", once=True),
    Kind("second-try", _second_try, phase="Succeeded"),
    Kind("crashes", _crashes, ready=False),
    Kind("ordered", _ordered),
    Kind("probed", _probed),
    Kind("configured", _configured),
    Kind("fills", _fills),
    Kind("host", _on_host),
)
BY_NAME: Final = {kind.name: kind for kind in KINDS}
STATIC: Final = "static"
