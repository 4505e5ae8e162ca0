"""What Pods that nobody knows left behind goes; what anybody knows stays."""

import errno
import os
from pathlib import Path

import pytest

from nodekit.aio.clock import SystemClock
from nodekit.kube.shelf import Shelves
from pykubelet.act.files import PodFiles
from pykubelet.act.housekeeping import Housekeeping, Places
from pykubelet.model.ids import Uid


class Cgroups:
    def __init__(self) -> None:
        self.found = {Uid("gone"): "/kubepods/podgone", Uid("known"): "/kubepods/podknown"}

    def pods(self) -> dict[Uid, str]:
        return dict(self.found)

    async def remove(self, path: str) -> None:
        self.found = {uid: other for uid, other in self.found.items() if other != path}


class Volumes:
    def __init__(self) -> None:
        self.removed: list[Uid] = []
        self.swept = 0

    async def remove(self, uid: Uid) -> None:
        self.removed.append(uid)

    async def sweep(self) -> None:
        self.swept += 1


def housekeeping(folder: Path, files: PodFiles, cgroups: Cgroups, volumes: Volumes) -> Housekeeping:
    return Housekeeping(
        volumes,  # type: ignore[arg-type]
        files,
        cgroups,  # type: ignore[arg-type]
        Shelves(folder / "kept"),
        known=lambda uid: uid == "known",
        places=Places(logs=folder / "logs", log_links=folder / "links"),
        clock=SystemClock(),
    )


async def test_leftovers_go_at_the_second_look(tmp_path: Path) -> None:
    files = PodFiles(tmp_path, cluster_domain="")
    logs, links = tmp_path / "logs", tmp_path / "links"
    for uid in ("gone", "known"):
        files.make(Uid(uid))
        (logs / f"default_web_{uid}").mkdir(parents=True)
        (logs / f"default_web_{uid}" / "0.log").touch()
    links.mkdir()
    for uid in ("gone", "known"):
        (links / uid).symlink_to(logs / f"default_web_{uid}" / "0.log")
    cgroups, volumes = Cgroups(), Volumes()
    keeps = housekeeping(tmp_path, files, cgroups, volumes)
    await keeps.sweep()
    assert volumes.removed == [], "it may just be between two states"
    await keeps.sweep()
    assert (volumes.removed, volumes.swept) == (["gone"], 2)
    assert list(cgroups.found) == ["known"]
    assert files.known() == ["known"]
    assert [folder.name for folder in logs.iterdir()] == ["default_web_known"]
    assert [link.name for link in links.iterdir()] == ["known"]


async def test_a_link_that_cannot_be_removed_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    links = tmp_path / "links"
    links.mkdir()
    for name in ("a", "b"):
        (links / name).symlink_to("nowhere")
    tried = []

    def refuse(path: str) -> None:
        tried.append(Path(path).name)
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "unlink", refuse)
    await housekeeping(tmp_path, PodFiles(tmp_path, cluster_domain=""), Cgroups(), Volumes()).sweep()
    assert sorted(tried) == ["a", "b"]
    assert caplog.text.count("Read-only file system") == 2


async def test_what_can_be_looked_at_is_kept_tidy_while_the_rest_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> dict[Uid, str]:
        raise OSError(errno.EIO, "Input/output error")

    files, cgroups, volumes = PodFiles(tmp_path, cluster_domain=""), Cgroups(), Volumes()
    files.make(Uid("other"))
    keeps = housekeeping(tmp_path, files, cgroups, volumes)
    with monkeypatch.context() as patch:
        patch.setattr(cgroups, "pods", away)
        await keeps.sweep()
        await keeps.sweep()
    assert volumes.removed == ["other"]
    assert "cgroups of Pods cannot be looked at now" in caplog.text
    with monkeypatch.context() as patch:
        patch.setattr(files, "known", away)
        patch.setattr(Shelves, "sweep", lambda _: away())
        await keeps.sweep()
        await keeps.sweep()
    assert list(cgroups.found) == ["known"]
