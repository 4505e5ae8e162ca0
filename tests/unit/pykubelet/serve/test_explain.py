"""The agent is asked over its socket."""

import asyncio
from pathlib import Path

import pytest

from pykubelet import cli
from pykubelet.serve import explain


async def test_a_pod_is_explained_to_who_may_enter_the_folder(tmp_path: Path) -> None:
    pods = {("default", "web"): ("It waits.", "It waits for a long time.")}
    async with explain.listening(tmp_path, lambda *name: pods.get(name)):
        assert (tmp_path / explain.SOCKET).stat().st_mode & 0o077 == 0
        assert await asyncio.to_thread(explain.ask, tmp_path, "default/web") == (
            True,
            "It waits.\nIt waits for a long time.\n",
        )
        assert await asyncio.to_thread(explain.ask, tmp_path, "web") == (
            True,
            "It waits.\nIt waits for a long time.\n",
        )
        assert await asyncio.to_thread(explain.ask, tmp_path, "default/none") == (False, "no such Pod on this node\n")


def test_nobody_there_is_said_to_be_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "pod", "default/web", f"--root-dir={tmp_path}"]) == 1
    assert "no pykubelet answers" in capsys.readouterr().err
