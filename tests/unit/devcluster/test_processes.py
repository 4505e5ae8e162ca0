"""Programs are known by pid and start time, and no others are touched."""

import signal
import subprocess
import time

import msgspec
import pytest

from devcluster import processes
from devcluster.errors import DevClusterError
from devcluster.processes import Program, Record


@pytest.fixture
def sleeper():
    child = subprocess.Popen(["sleep", "60"])
    yield child
    child.kill()
    child.wait()


def record_of(child, *, shifted=0):
    started = processes._started(child.pid)
    return Record(child.pid, started + shifted, ["sleep", "60"])


def write(path, record):
    path.write_bytes(msgspec.json.encode(record))
    return path


def test_a_running_program_is_found(sleeper, tmp_path):
    found = processes.find(write(tmp_path / "pid", record_of(sleeper)))
    assert found is not None
    assert found.argv == ["sleep", "60"]


def test_a_recycled_pid_is_not_ours_and_is_never_killed(sleeper, tmp_path):
    pidfile = write(tmp_path / "pid", record_of(sleeper, shifted=-1))
    assert processes.find(pidfile) is None
    assert processes.stop(pidfile) is False
    time.sleep(0.05)
    assert sleeper.poll() is None


@pytest.mark.parametrize("content", [b"", b"{", b"123", b'{"pid": "x"}'])
def test_a_damaged_pid_file_is_no_program(tmp_path, content):
    (tmp_path / "pid").write_bytes(content)
    assert processes.find(tmp_path / "pid") is None


def test_a_stopped_program_is_gone_with_its_pid_file(sleeper, tmp_path):
    pidfile = write(tmp_path / "pid", record_of(sleeper))
    assert processes.stop(pidfile) is True
    assert not pidfile.exists()
    assert processes.stop(pidfile) is False


def test_a_program_that_ignores_the_signal_is_killed_after_its_grace(tmp_path):
    child = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; sleep 60 & wait; sleep 60"], stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout.readline() == b"ready\n"
        pidfile = write(tmp_path / "pid", Record(child.pid, processes._started(child.pid), ["sh"]))
        started = time.monotonic()
        assert processes.stop(pidfile, sign=signal.SIGTERM, grace=0.2)
        assert 0.2 <= time.monotonic() - started < 5


def program(tmp_path, pidfile):
    (tmp_path / "log").write_text("a line\nthe reason it died\n")
    return Program("thing", ["sleep"], pidfile, tmp_path / "log", "ns", "/x")


def test_waiting_for_a_program_that_has_ended_fails_at_once_with_its_log(tmp_path):
    with pytest.raises(DevClusterError, match="it ended while starting") as caught:
        processes.wait(program(tmp_path, tmp_path / "pid"), lambda: "not yet", timeout=30)
    assert "the reason it died" in caught.value.report()


def test_waiting_too_long_says_what_was_missing(sleeper, tmp_path):
    pidfile = write(tmp_path / "pid", record_of(sleeper))
    with pytest.raises(DevClusterError, match=r"not ready within 0\.1 s: no Ready condition"):
        processes.wait(program(tmp_path, pidfile), lambda: "no Ready condition", timeout=0.1)


def test_waiting_ends_when_nothing_is_missing(sleeper, tmp_path):
    answers = iter(["a", "b", None])
    pidfile = write(tmp_path / "pid", record_of(sleeper))
    processes.wait(program(tmp_path, pidfile), lambda: next(answers), timeout=5)
