"""The page of features names files that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/features.md"


def test_every_file_it_names_exists() -> None:
    named = set(re.findall(r"`((?:pykubelet|tests)/[\w/.]+\.py)`", PAGE.read_text()))
    assert len(named) > 60
    assert sorted(path for path in named if not (ROOT / path).is_file()) == []


def test_every_row_of_its_table_has_a_place_and_a_proof() -> None:
    rows = [line.split("|")[1:-1] for line in PAGE.read_text().splitlines() if line.startswith("|")][2:]
    assert len(rows) > 35
    assert [row for row in rows if len(row) != 4 or not all(cell.strip() for cell in row[1:])] == []
