"""The house itself: every package says in its first line what it owns."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("nodekit", "pykubelet", "pyproxy", "devcluster")
FILES = [p for name in PACKAGES for p in sorted((ROOT / name).rglob("*.py")) if p.stat().st_size]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_opens_with_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
