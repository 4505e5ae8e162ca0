"""The machine is read off its files."""

from pathlib import Path

import pytest

from pykubelet.observe import machine


def test_memory_and_huge_pages_are_in_bytes(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(
        "MemTotal:  2048 kB\nMemAvailable: 1024 kB\nSwapTotal: 0 kB\nHugePages_Total: 3\n"
    )
    pages = tmp_path / "sys/kernel/mm/hugepages/hugepages-2048kB"
    pages.mkdir(parents=True)
    (pages / "nr_hugepages").write_text("3\n")
    found = machine.read(tmp_path)
    assert (found.memory, found.swap) == (2 << 20, 0)
    assert found.huge_pages == {2 << 20: 6 << 20}


@pytest.mark.parametrize(
    ("text", "image"),
    [
        pytest.param(
            'NAME=x\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n', "Debian GNU/Linux 12 (bookworm)", id="named"
        ),
        pytest.param("NAME=x\n", "Linux", id="a system without a name for people"),
        pytest.param("", "Unknown", id="a system that says nothing"),
    ],
)
def test_the_system_is_named(tmp_path: Path, text: str, image: str) -> None:
    for folder in ("proc", "etc"):
        (tmp_path / folder).mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1 kB\n")
    (tmp_path / "etc/os-release").write_text(text)
    assert machine.read(tmp_path).os_image == image


def test_this_machine_can_be_read() -> None:
    found = machine.read()
    assert found.memory > 1 << 28
    assert found.cores >= 1
    assert found.boot_id
    assert machine.filesystem("/").capacity > 0
