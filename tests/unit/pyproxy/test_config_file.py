"""A changed configuration file is noticed once it can be read."""

import asyncio
from pathlib import Path

from nodekit.aio import virtual
from pyproxy.observe import config_file


def test_a_broken_change_is_passed_over_and_a_good_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("old")
    asked: list[str] = []

    def readable(one: Path) -> bool:
        asked.append(one.read_text())
        return asked[-1] != "broken"

    async def scenario() -> None:
        task = asyncio.create_task(config_file.changed(path, readable))
        await asyncio.sleep(5)
        path.write_text("broken")
        await asyncio.sleep(10)
        assert not task.done()
        (tmp_path / "next").write_text("new")
        (tmp_path / "next").rename(path)
        await task

    virtual.run(scenario())
    assert asked == ["broken", "new"]
