"""Decide which taints a Pod tolerates. No I/O. Source: core/v1 Toleration, KEP-5471 for Gt and Lt."""

from collections.abc import Iterable

from nodekit.objects.node import Taint
from pykubelet.model.pod import Toleration


def untolerated(taints: Iterable[Taint], tolerations: Iterable[Toleration], *, effect: str) -> Taint | None:
    """The first taint of that effect which none of the tolerations covers."""
    granted = tuple(tolerations)
    for taint in taints:
        if taint.effect == effect and not any(covers(one, taint) for one in granted):
            return taint
    return None


def covers(toleration: Toleration, taint: Taint) -> bool:
    """Whether a toleration covers a taint; an empty key or effect stands for every one."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    match toleration.operator or "Equal":
        case "Exists":
            return True
        case "Equal":
            return bool(toleration.key) and toleration.value == taint.value
        case "Gt" | "Lt" as operator:
            try:
                has, bound = int(taint.value), int(toleration.value)
            except ValueError:
                return False
            return has > bound if operator == "Gt" else has < bound
        case _:
            return False
