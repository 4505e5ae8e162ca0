"""What Pods that nobody knows left behind goes; what anybody knows stays."""

from pathlib import Path

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
    keeps = Housekeeping(
        volumes,  # type: ignore[arg-type]
        files,
        cgroups,  # type: ignore[arg-type]
        Shelves(tmp_path / "kept"),
        known=lambda uid: uid == "known",
        places=Places(logs=logs, log_links=links),
        clock=SystemClock(),
    )
    await keeps.sweep()
    assert volumes.removed == [], "it may just be between two states"
    await keeps.sweep()
    assert (volumes.removed, volumes.swept) == (["gone"], 2)
    assert list(cgroups.found) == ["known"]
    assert files.known() == ["known"]
    assert [folder.name for folder in logs.iterdir()] == ["default_web_known"]
    assert [link.name for link in links.iterdir()] == ["known"]
