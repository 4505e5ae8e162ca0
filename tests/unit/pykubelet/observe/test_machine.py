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


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"sys/fs/cgroup/memory/memory.memsw.limit_in_bytes": "1"}, True, id="cgroup v1"),
        pytest.param({"sys/fs/cgroup/memory/memory.limit_in_bytes": "1"}, False, id="cgroup v1 without swap"),
        pytest.param(
            {
                "sys/fs/cgroup/cgroup.controllers": "memory",
                "sys/fs/cgroup/system.slice/memory.swap.max": "max",
                "proc/self/cgroup": "0::/system.slice\n",
            },
            True,
            id="cgroup v2",
        ),
        pytest.param(
            {"sys/fs/cgroup/cgroup.controllers": "memory", "proc/self/cgroup": "0::/\n"},
            False,
            id="cgroup v2 without swap",
        ),
    ],
)
def test_whether_the_kernel_can_limit_swap(tmp_path: Path, files: dict[str, str], expected: bool) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert machine.can_limit_swap(tmp_path) is expected


def test_swap_is_on_if_the_kernel_names_any(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    assert not machine.is_swapping(tmp_path)
    (tmp_path / "proc/swaps").write_text("Filename\tType\tSize\tUsed\tPriority\n")
    assert not machine.is_swapping(tmp_path)
    with (tmp_path / "proc/swaps").open("a") as file:
        file.write("/swap file 1 0 -2\n")
    assert machine.is_swapping(tmp_path)
