"""Steps that run at once."""

import signal
import threading
import time

import pytest

from devcluster import cluster, processes
from devcluster.errors import DevClusterError


@pytest.fixture
def interrupts():
    """As in a shell's foreground: who is started in the background may have been told to ignore them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_is_told_only_when_no_step_works_on():
    ended = []

    def waits_long():
        try:
            processes.until("what never comes", lambda: "not yet", timeout=10)
        finally:
            ended.append("waits_long")

    def interrupted_twice():
        for _ in range(2):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.05)
        ended.append("interrupted_twice")

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        cluster._together([waits_long, interrupted_twice])
    assert sorted(ended) == ["interrupted_twice", "waits_long"]
    assert time.monotonic() - started < 5
    processes.until("a later wait", iter(["not yet", None]).__next__, timeout=1)


def test_the_first_error_tells_of_the_others():
    def fails(name):
        raise DevClusterError(name, "it is broken")

    with pytest.raises(DevClusterError, match="n1: it is broken") as caught:
        cluster._together([lambda: fails("n1"), lambda: fails("n2")])
    assert caught.value.__notes__ == ["n2: it is broken"]
