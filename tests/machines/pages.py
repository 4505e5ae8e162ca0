"""The commands of the pages in docs/: what a reader would type, and where. Tests run them as they stand."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True)
class Block:
    """Commands that stand together, the section they are in, and the machine they are for, as the page calls it."""

    section: str
    where: str
    commands: str

    def with_texts(self, texts: Mapping[str, str]) -> str:
        """The commands with texts in place of the page's examples, each of which must stand in them."""
        commands = self.commands
        for example, text in texts.items():
            assert example in commands
            commands = commands.replace(example, text)
        return commands


def blocks(page: str) -> list[Block]:
    """Every block of commands of a page, in order. It names its machine after the language: ```bash worker."""
    found, section = [], ""
    pattern = r"^## (?P<section>[^\n]*)$|^```bash(?: (?P<where>[\w-]+))?\n(?P<commands>.*?)^```$"
    for match in re.finditer(pattern, (DOCS / page).read_text(), re.DOTALL | re.MULTILINE):
        if match["section"]:
            section = match["section"]
        else:
            assert match["where"], f"docs/{page}, {section}: for which machine are these commands? {match['commands']}"
            found.append(Block(section, match["where"], match["commands"]))
    return found


def section(page: str, title: str) -> list[Block]:
    """The blocks of one section."""
    found = [block for block in blocks(page) if block.section == title]
    assert found, f"docs/{page} has no commands in a section {title!r}"
    return found
