"""What the process says of itself: metrics, and notes to systemd."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodekit import metrics, systemd
from nodekit.aio import virtual


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.setblocking(False)
        yield made


def said(listener: socket.socket) -> list[str]:
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(listener.recv(4096).decode())
    return found


def test_what_systemd_is_told(listener: socket.socket) -> None:
    notifier = systemd.Notifier({"NOTIFY_SOCKET": listener.getsockname()})
    notifier.ready("3 Pods")
    notifier.stopping()
    assert said(listener) == ["READY=1\nSTATUS=3 Pods", "STOPPING=1"]


def test_without_systemd_nothing_happens() -> None:
    systemd.Notifier({}).ready()


def test_the_watchdog_is_told_while_healthy(listener: socket.socket) -> None:
    environment = {
        "NOTIFY_SOCKET": listener.getsockname(),
        "WATCHDOG_USEC": "2000000",
        "WATCHDOG_PID": str(os.getpid()),
    }
    healthy = True

    async def scenario() -> None:
        nonlocal healthy
        task = asyncio.create_task(systemd.Notifier(environment).keep_alive(lambda: healthy))
        await asyncio.sleep(3.5)
        assert said(listener) == ["WATCHDOG=1"] * 4
        healthy = False
        await asyncio.sleep(3)
        assert said(listener) == []
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    virtual.run(scenario())


async def test_a_watchdog_for_another_process_is_not_ours() -> None:
    await systemd.Notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).keep_alive(lambda: True)


@pytest.mark.parametrize(
    ("accept", "content_type", "last"),
    [
        ("", "text/plain", b""),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text", b"# EOF\n"),
    ],
)
def test_metrics_are_written_as_asked(accept: str, content_type: str, last: bytes) -> None:
    made = metrics.Metrics()
    made.counter("node_syncs_total", "Syncs.", labels=["result"]).labels("ok").inc()
    made.histogram("node_sync_seconds", "How long.").observe(0.02)
    made.gauge("node_pods", "Pods.").set(3)
    body, said_type = made.exposition(accept)
    assert said_type.startswith(content_type)
    assert body.endswith(last)
    assert b'node_syncs_total{result="ok"} 1.0' in body
    assert b'node_sync_seconds_bucket{le="0.025"} 1.0' in body
    assert b"process_resident_memory_bytes" in body
