"""Log files on disk: tails over rotated files, and following over a rotation."""

import asyncio
import datetime as dt
import gzip
import logging
import os
import tracemalloc
from pathlib import Path

import pytest

from pykubelet.serve import log_files

LINE = "2026-11-24T10:15:00Z stdout F "


def lines(*texts: object) -> bytes:
    return "".join(f"{LINE}{text}\n" for text in texts).encode()


async def read(path: Path, tail: int | None, *, since: dt.datetime | None = None) -> bytes:
    files = await log_files.chosen(path, tail, since=since)
    with files.current:
        return b"".join([chunk async for chunk in log_files.stored(files)])


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


@pytest.mark.parametrize(("tail", "first"), [(None, 0), (20_000, 40_000)])
async def test_packed_files_are_unpacked_piece_by_piece(tmp_path: Path, tail: int | None, first: int) -> None:
    long = "x" * 300
    whole = [f"{i:06} {long}" for i in range(60_000)]
    for part in range(2):
        packed = gzip.compress(lines(*whole[part * 30_000 : (part + 1) * 30_000]), compresslevel=1)
        (tmp_path / f"0.log.20261124-1{part}0000.gz").write_bytes(packed)
    (tmp_path / "0.log").write_bytes(b"")
    turns, seen = 0, 0
    del packed

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others(), name="others")
    tracemalloc.start()
    try:
        files = await log_files.chosen(tmp_path / "0.log", tail)
        with files.current:
            async for chunk in log_files.stored(files):
                assert len(chunk) <= 2 * log_files.BLOCK
                if not seen:
                    assert chunk.startswith(lines(whole[first]))
                seen += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        other.cancel()
    assert seen == len(lines(*whole[first:]))
    assert turns > seen // log_files.BLOCK
    assert peak < 2_000_000


async def test_one_packed_file_is_open_at_a_time(log: Path) -> None:
    (log.parent / "0.log.20261124-090000.gz").write_bytes(gzip.compress(lines("first")))
    before = len(os.listdir("/proc/self/fd"))
    files = await log_files.chosen(log, None)
    with files.current:
        async for _ in log_files.stored(files):
            assert len(os.listdir("/proc/self/fd")) <= before + 2
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("tail", [None, 12])
async def test_a_file_that_is_being_packed_is_read_once(log: Path, tail: int | None) -> None:
    (log.parent / "0.log.20261124-110000.gz").write_bytes(gzip.compress(lines(*range(5, 10))))
    assert await read(log, tail) == lines(*range(0 if tail is None else 3, 15))


@pytest.mark.parametrize("tail", [None, 8])
async def test_a_file_that_is_packed_before_its_turn_is_read_packed(log: Path, tail: int | None) -> None:
    files = await log_files.chosen(log, tail)
    plain = log.parent / "0.log.20261124-110000"
    plain.with_name(f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    with files.current:
        said = b"".join([chunk async for chunk in log_files.stored(files)])
    assert said == lines(*range(0 if tail is None else 7, 15))


@pytest.mark.parametrize(("tail", "first"), [(None, 5), (12, 5)])
async def test_a_file_that_is_removed_meanwhile_is_passed_over(
    log: Path, monkeypatch: pytest.MonkeyPatch, tail: int | None, first: int
) -> None:
    listed = log_files.rotated(log)
    monkeypatch.setattr(log_files, "rotated", lambda path: listed)
    (log.parent / "0.log.20261124-100000.gz").unlink()
    assert await read(log, tail) == lines(*range(first, 15))


@pytest.mark.parametrize("tail", [None, 10_000])
@pytest.mark.parametrize("harm", ["cut off", "changed", "not packed at all"])
async def test_a_damaged_file_ends_where_it_cannot_be_read(
    log: Path, caplog: pytest.LogCaptureFixture, harm: str, tail: int | None
) -> None:
    packed = log.parent / "0.log.20261124-100000.gz"
    whole = gzip.compress(b"".join(lines(os.urandom(200).hex()) for _ in range(5000)))
    harmed = {"cut off": whole[:-5000], "changed": whole[:-5000] + bytes(5000), "not packed at all": b"nothing"}
    packed.write_bytes(harmed[harm])
    with caplog.at_level(logging.WARNING):
        said = await read(log, tail)
    assert said.endswith(b"\n" + lines(*range(5, 15)) if harm != "not packed at all" else lines(*range(5, 15)))
    assert (said.count(b"\n") > 4000) == (harm != "not packed at all")
    assert packed.name in caplog.text


@pytest.mark.parametrize("tail", [None, 99])
async def test_rotated_files_from_before_are_not_read(log: Path, tail: int | None) -> None:
    since = dt.datetime(2026, 11, 24, 10, 30, tzinfo=dt.UTC)
    old = (since - dt.timedelta(minutes=20)).timestamp()
    os.utime(log.parent / "0.log.20261124-100000.gz", (old, old))
    assert await read(log, tail, since=since) == lines(*range(5, 15))


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
