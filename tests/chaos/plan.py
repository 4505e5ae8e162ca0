"""What a storm does and when, drawn from a seed: the same seed gives the same actions, whatever comes of them."""

import dataclasses
import enum
from random import Random
from typing import Final

from tests.chaos import pods

MOST_PODS: Final = 14


class Do(enum.StrEnum):
    """The actions; the faults come in pairs, so that each is over at the end of its storm."""

    CREATE = "create"
    CREATE_STATIC = "create static"
    DELETE = "delete"
    DELETE_AT_ONCE = "delete at once"
    LABEL = "label"
    CHANGE_IMAGE = "change image"
    CHANGE_CONFIG = "change config"
    KILL_KUBELET = "kill pykubelet"
    START_KUBELET = "start pykubelet"
    KILL_CONTAINERD = "kill and start containerd"
    CUT = "cut off from the API servers"
    HEAL = "reach the API servers again"
    SLOW_CNI = "slow CNI"
    QUICK_CNI = "quick CNI"
    FILL_DISK = "fill the disk of volumes"
    FREE_DISK = "free the disk of volumes"


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class Action:
    """`at` is in seconds from the storm's beginning; `pod` the name of the Pod, `number` whatever the action needs."""

    at: float
    order: int
    do: Do = dataclasses.field(compare=False)
    pod: str = dataclasses.field(default="", compare=False)
    number: float = dataclasses.field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.at:5.1f} s: {self.do} {self.pod} {self.number or ''}".rstrip()


class Plan:
    """Draws one storm after another. `alive` are the Pods that are not deleted, by name."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.alive: dict[str, str] = {}
        self._made = 0
        self._order = 0

    def storm(self) -> list[Action]:
        """The next storm's actions in their order."""
        draw = self.random
        length = draw.uniform(12, 20)
        times = sorted(draw.uniform(0, length) for _ in range(draw.randint(8, 14)))
        actions = [self._of_pods(at) for at in times]
        for _ in range(draw.randint(2, 4)):
            actions += self._fault(draw.uniform(0, length - 6))
        return sorted(actions)

    def end(self) -> list[str]:
        """The Pods left, to be deleted."""
        return sorted(self.alive)

    def _action(self, at: float, do: Do, pod: str = "", number: float = 0) -> Action:
        self._order += 1
        return Action(at, self._order, do, pod, number)

    def _of_pods(self, at: float) -> Action:
        draw = self.random
        what = draw.choices(("create", "delete", "label", "image", "config"), (6, 3, 1, 1, 1))[0]
        if len(self.alive) >= MOST_PODS or (what == "delete" and self.alive):
            return self._deletion(at)
        if what == "label" and self.alive:
            return self._action(at, Do.LABEL, draw.choice(sorted(self.alive)), self._order)
        steady = sorted(name for name, kind in self.alive.items() if kind == "steady")
        if what == "image" and steady:
            return self._action(at, Do.CHANGE_IMAGE, draw.choice(steady))
        if what == "config":
            return self._action(at, Do.CHANGE_CONFIG, number=self._order)
        self._made += 1
        kind = draw.choice((*pods.BY_NAME, pods.STATIC))
        name = f"{kind}-{self._made}"
        self.alive[name] = kind
        if kind == pods.STATIC:
            return self._action(at, Do.CREATE_STATIC, name)
        return self._action(at, Do.CREATE, name, draw.getrandbits(32))

    def _deletion(self, at: float) -> Action:
        name = self.random.choice(sorted(self.alive))
        kind = self.alive.pop(name)
        at_once = kind != pods.STATIC and self.random.random() < 0.15
        return self._action(at, Do.DELETE_AT_ONCE if at_once else Do.DELETE, name)

    def _fault(self, at: float) -> list[Action]:
        draw = self.random
        for_how_long = draw.uniform(0.2, 6)
        match draw.choice(("kubelet", "kubelet", "containerd", "containerd", "cut", "cni", "disk")):
            case "kubelet":
                return self._pair(at, for_how_long, Do.KILL_KUBELET, Do.START_KUBELET)
            case "containerd":
                return [self._action(at, Do.KILL_CONTAINERD)]
            case "cut":
                return self._pair(at, for_how_long, Do.CUT, Do.HEAL)
            case "disk":
                return self._pair(at, for_how_long, Do.FILL_DISK, Do.FREE_DISK)
            case _:
                return self._pair(at, for_how_long, Do.SLOW_CNI, Do.QUICK_CNI)

    def _pair(self, at: float, for_how_long: float, begin: Do, end: Do) -> list[Action]:
        seconds = self.random.uniform(0.5, 4)
        return [self._action(at, begin, number=round(seconds, 1)), self._action(at + for_how_long, end)]
