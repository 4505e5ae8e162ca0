"""What goes wrong: each fault happens, lasts its time, and is over when the function returns."""

import contextlib
import random
import resource
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.chaos.proxy.ground import Ground, call

Fault = Callable[[Ground, random.Random], None]
_TABLE: Final = ("ip", "pyproxy")
_PATIENCE: Final = 20.0
_SMALLEST: Final = 1  # the kernel makes it some 2 KiB


def kill(ground: Ground, chance: random.Random) -> None:
    """kill -9, once or several times in a row."""
    for _ in range(chance.randint(1, 3)):
        ground.agent.kill()
        time.sleep(chance.random())


def cut(ground: Ground, chance: random.Random) -> None:
    """The API server refuses the agent, and goes on changing."""
    ground.relay.cut()
    time.sleep(chance.uniform(0.5, 6))
    ground.relay.mend()


def stall(ground: Ground, chance: random.Random) -> None:
    """The API server does not answer the agent any more, and goes on changing."""
    ground.relay.stall()
    time.sleep(chance.uniform(0.5, 6))
    ground.relay.mend()


def cut_and_kill(ground: Ground, chance: random.Random) -> None:
    """The agent is killed while the API server is away: it starts without, and the rules stay."""
    ground.relay.cut()
    ground.agent.kill()
    time.sleep(chance.uniform(1, 4))
    ground.relay.mend()


def restart_api_server(ground: Ground, chance: random.Random) -> None:
    """The API server is killed and comes back."""
    ground.restart_api_server()


def flush(ground: Ground, chance: random.Random) -> None:
    """Somebody flushes or deletes the rules."""
    if not _watched():
        return
    for _ in range(chance.randint(1, 3)):
        _nft(*chance.choice((("flush", "ruleset"), ("delete", "table", *_TABLE), ("flush", "table", *_TABLE))))
        time.sleep(chance.random() / 2)
    _healed(ground)


def edit(ground: Ground, chance: random.Random) -> None:
    """Somebody adds elements by hand and takes some away."""
    if not _watched():
        return
    stranger = f"203.0.113.{chance.randrange(1, 255)}"
    for _ in range(chance.randint(1, 5)):
        _nft(
            *chance.choice(
                (
                    ("add", "element", *_TABLE, "cluster-ips", f"{{ {stranger} }}"),
                    ("add", "element", *_TABLE, "endpoints", f"{{ {stranger} . tcp . 80 . 0 : {stranger} . 80 }}"),
                    ("add", "element", *_TABLE, "services", f"{{ {stranger} . tcp . 80 : goto cluster-3 }}"),
                    ("add", "chain", *_TABLE, "by-hand"),
                    ("flush", "map", *_TABLE, "endpoints"),
                    ("flush", "set", *_TABLE, "hairpins"),
                )
            )
        )
    _healed(ground)


def small_buffers(ground: Ground, chance: random.Random) -> None:
    """The agent's netlink sockets hold next to nothing while much happens: notices and answers are lost."""
    with contextlib.suppress(OSError), ground.agent.netlink_sockets() as sockets:
        for one in sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALLEST)
    many = ", ".join(f"203.0.113.{number}" for number in range(1, 255))
    for _ in range(chance.randint(2, 6)):
        _nft("add", "element", *_TABLE, "cluster-ips", f"{{ {many} }}")
        time.sleep(chance.random() / 5)


def no_memory(ground: Ground, chance: random.Random) -> None:
    """The agent gets no more memory than it has, for a while."""
    with contextlib.suppress(OSError):
        pid = ground.agent.pid
        now = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(pid, resource.RLIMIT_AS, (now, resource.RLIM_INFINITY))
        time.sleep(chance.uniform(1, 5))
        resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


ALL: Final[tuple[Fault, ...]] = (
    kill, cut, stall, cut_and_kill, flush, edit, small_buffers, no_memory, restart_api_server,
)  # fmt: skip


def plan(chance: random.Random, seconds: float, faults: tuple[Fault, ...] = ALL) -> list[tuple[float, Fault, int]]:
    """When each fault begins, in seconds from the start, with a seed of its own: each at least once, time allowing."""
    found: list[tuple[float, Fault, int]] = []
    when = chance.uniform(0.5, 1.5)
    while when < seconds:
        deck = list(faults)
        chance.shuffle(deck)
        for fault in deck:
            if when < seconds:
                found.append((when, fault, chance.randrange(1 << 32)))
            when += chance.uniform(1, 5) if seconds >= 60 else chance.uniform(0.5, 1.5)
    return found


def _watched() -> bool:
    """Whether an agent is there that knows the rules: those taken away while none runs are nobody's to bring back."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen("http://127.0.0.1:10256/livez", timeout=2) as answer:
            return bool(answer.status == 200)
        time.sleep(0.05)
    return False


def _healed(ground: Ground) -> None:
    """Wait until live Services answer again: the next fault may be the agent's death."""
    deadline = time.monotonic() + _PATIENCE
    while not all(call(ground.address(name)) for name in ground.live) and time.monotonic() < deadline:
        time.sleep(0.05)


def _nft(*words: str) -> None:
    """What can't be done at that moment, such as to a table that is just not there, is not done."""
    subprocess.run(["nft", *words], check=False, capture_output=True)
