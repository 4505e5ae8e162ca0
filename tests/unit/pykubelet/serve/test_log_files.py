"""Log files on disk: tails over rotated files, and following over a rotation."""

import asyncio
import gzip
from pathlib import Path

import pytest

from pykubelet.serve import log_files

LINE = "2026-11-24T10:15:00Z stdout F "


def lines(*texts: object) -> bytes:
    return "".join(f"{LINE}{text}\n" for text in texts).encode()


async def read(path: Path, tail: int | None) -> bytes:
    files = await log_files.chosen(path, tail)
    try:
        return b"".join([chunk async for chunk in log_files.stored(files)])
    finally:
        for file in files:
            file.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "0.log.20261124-100000.gz").write_bytes(gzip.compress(lines(*range(5))))
    (tmp_path / "0.log.20261124-110000").write_bytes(lines(*range(5, 10)))
    (tmp_path / "0.log").write_bytes(lines(*range(10, 15)))
    (tmp_path / "0.log.20261124-110000.tmp").write_bytes(b"half written")
    return tmp_path / "0.log"


@pytest.mark.parametrize(
    ("tail", "first"),
    [
        pytest.param(None, 0, id="everything, the rotated ones first"),
        pytest.param(0, 15, id="nothing"),
        pytest.param(3, 12, id="within the file"),
        pytest.param(5, 10, id="just the file"),
        pytest.param(6, 9, id="into the rotated file"),
        pytest.param(12, 3, id="into the compressed file"),
        pytest.param(99, 0, id="more than there is"),
    ],
)
async def test_a_tail_reaches_over_rotated_files(log: Path, tail: int | None, first: int) -> None:
    assert await read(log, tail) == lines(*range(first, 15))


async def test_a_tail_reaches_over_blocks(tmp_path: Path) -> None:
    long = "x" * 1000
    (tmp_path / "0.log").write_bytes(lines(*(f"{i} {long}" for i in range(500))))
    assert await read(tmp_path / "0.log", 300) == lines(*(f"{i} {long}" for i in range(200, 500)))


async def test_pieces_of_a_line_are_one_line_of_a_tail(tmp_path: Path) -> None:
    whole = b"2026-11-24T10:15:00Z stdout P a\n2026-11-24T10:15:00Z stdout F b\n"
    (tmp_path / "0.log").write_bytes(lines("before") + whole)
    assert await read(tmp_path / "0.log", 1) == whole


async def test_following_goes_over_a_rotation_and_ends_with_the_container(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(lines("a"))
    running, seen, more = True, bytearray(), asyncio.Event()

    async def runs() -> bool:
        return running

    async def follow() -> None:
        with path.open("rb") as file:
            async for chunk in log_files.growing(path, file, runs=runs):
                seen.extend(chunk)
                more.set()

    async def until(expected: bytes) -> None:
        async with asyncio.timeout(3):
            while bytes(seen) != expected:
                more.clear()
                await more.wait()

    follower = asyncio.create_task(follow(), name="follower")
    await until(lines("a"))
    with path.open("ab") as file:
        file.write(lines("b"))
    await until(lines("a", "b"))
    with path.open("ab") as file:
        path.rename(tmp_path / "0.log.1")
        file.write(lines("c"))
        path.write_bytes(lines("d"))
    await until(lines("a", "b", "c", "d"))
    running = False
    with path.open("ab") as file:
        file.write(lines("e"))
    await asyncio.wait_for(follower, 3)
    assert bytes(seen) == lines("a", "b", "c", "d", "e")
