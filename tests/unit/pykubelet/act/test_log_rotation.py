"""A full log is renamed, the runtime begins a new one, old ones are packed and bounded."""

import dataclasses
import gzip
from pathlib import Path

import pytest

from nodekit.aio.clock import SystemClock
from pykubelet.act.log_rotation import LogRotation
from pykubelet.cri import errors
from pykubelet.model.ids import ContainerId, SandboxId, Uid
from pykubelet.model.observed import Container, ContainerState


@dataclasses.dataclass
class Runtime:
    path: Path
    fails: bool = False
    reopened: int = 0

    async def reopen_log(self, container: ContainerId) -> None:
        if self.fails:
            raise errors.Unavailable("ReopenContainerLog")
        self.reopened += 1
        self.path.touch()


def rotation(path: Path, runtime: Runtime, *, most: int = 3) -> tuple[LogRotation, Container]:
    container = Container(
        id=ContainerId("c"),
        name="c",
        attempt=0,
        pod_uid=Uid("u"),
        sandbox_id=SandboxId("s"),
        state=ContainerState.RUNNING,
        created_at=1.0,
        log_path=str(path),
    )
    made = LogRotation(runtime, containers=lambda: [container], largest=10, most=most, clock=SystemClock())  # type: ignore[arg-type]
    return made, container


async def test_a_full_log_is_rotated_and_the_one_before_packed(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_text("x" * 20)
    (tmp_path / "0.log.20260101-000000").write_text("older")
    runtime = Runtime(path)
    rotates, container = rotation(path, runtime)
    await rotates._look(container)
    assert runtime.reopened == 1
    assert path.read_text() == ""
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names[:2] == ["0.log", "0.log.20260101-000000.gz"]
    assert gzip.decompress((tmp_path / names[1]).read_bytes()) == b"older"
    assert (tmp_path / names[2]).read_text() == "x" * 20


async def test_superfluous_and_half_packed_files_go(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_text("x" * 20)
    for day in range(1, 6):
        (tmp_path / f"0.log.2026010{day}-000000.gz").write_bytes(b"")
    (tmp_path / "0.log.20260105-000000").write_text("was packed")
    (tmp_path / "0.log.20260106-000000.tmp").write_text("half")
    rotates, container = rotation(path, Runtime(path))
    await rotates._look(container)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names[:2] == ["0.log", "0.log.20260105-000000.gz"]
    assert len(names) == 3


async def test_a_small_log_is_left_alone_and_a_missing_one_begun(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    runtime = Runtime(path)
    rotates, container = rotation(path, runtime)
    await rotates._look(container)
    assert (path.exists(), runtime.reopened) == (True, 1)
    await rotates._look(container)
    assert runtime.reopened == 1


async def test_a_log_that_cannot_be_reopened_keeps_its_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "0.log"
    path.write_text("x" * 20)
    rotates, container = rotation(path, Runtime(path, fails=True))
    await rotates._look(container)
    assert [file.name for file in tmp_path.iterdir()] == ["0.log"]
    assert "is not rotated" in caplog.text
