"""What the pages and the workflow tell to type is there, and the tests on machines run it."""

import re
from pathlib import Path

import pytest

from tests.machines import kind, pages

ROOT = Path(__file__).parents[2]
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
TELLING = [
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "README.md",
    *sorted((ROOT / ".github/workflows").glob("*.yml")),
]


@pytest.mark.parametrize("path", TELLING, ids=lambda path: path.name)
def test_every_make_target_that_is_told_exists(path: Path) -> None:
    typed = r"(?:`|^ {4,}|run: )(?:sudo |env \S+ )*make ([a-z0-9-]+)"
    told = set(re.findall(typed, path.read_text(), re.MULTILINE))
    assert sorted(told - TARGETS) == []


def test_the_workflow_runs_what_it_should() -> None:
    told = re.findall(r"run: .*make ([a-z0-9-]+)", (ROOT / ".github/workflows/ci.yml").read_text())
    assert told == ["check", "test", "e2e-kind"]


def test_make_e2e_kind_runs_every_block_of_its_page() -> None:
    assert tuple(block.where for block in pages.blocks("kind.md")) == kind.STEPS


@pytest.mark.parametrize("page", ["kind.md", "vagrant.md"])
def test_a_page_has_no_commands_outside_of_what_is_run(page: str) -> None:
    text = re.sub(r"^```bash .*?^```$", "", (ROOT / "docs" / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"^(?:    .*|```.*)$", text, re.MULTILINE) == []
