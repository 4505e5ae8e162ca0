"""Which namespace of the kernel a sysctl belongs to. Source: k8s.io/component-helpers node/util/sysctl."""

import enum
from typing import Final


class Namespace(enum.Enum):
    """The words are those of the genuine kubelet's messages."""

    IPC = "IPC"
    NET = "Net"
    UTS = "UTS"
    USER = "User"


_SHARED_MEMORY: Final = ("shm", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
_MESSAGES: Final = ("msg", "msgmax", "msgmnb", "msgmni")
_NAMES: Final = {
    "kernel.domainname": Namespace.UTS,
    **{f"kernel.{name}": Namespace.IPC for name in ("sem", *_SHARED_MEMORY, *_MESSAGES)},
}
_PREFIXES: Final = {"net.": Namespace.NET, "fs.mqueue.": Namespace.IPC, "user.": Namespace.USER}


def normalized(name: str) -> str:
    """`net/ipv4/conf/eth0.5/forwarding` with dots where its slashes are, and the other way round."""
    first = next((mark for mark in name if mark in "./"), ".")
    return name if first == "." else name.translate(str.maketrans("./", "/."))


def namespace_of(pattern: str) -> Namespace | None:
    """Of a sysctl, or of all that a pattern such as `kernel.msg*` stands for; None if the whole machine has it."""
    name = normalized(pattern).partition("*")[0]
    if name in _NAMES:
        return _NAMES[name]
    return next((namespace for prefix, namespace in _PREFIXES.items() if name.startswith(prefix)), None)
