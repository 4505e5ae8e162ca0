"""Find each genuine binary: in the user's folder, in the cache, as an official release, or built from Go modules."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from devcluster import files, gobuild, layout, packages, releases
from devcluster.errors import DevClusterError
from devcluster.progress import Reporter
from devcluster.tools import Tool


def cached(tool: Tool) -> Path:
    """Where the cache keeps this version of a tool."""
    return layout.cache_home() / "bin" / tool.version / tool.name


def user_folders(given: str = "") -> list[Path]:
    """Folders named by the user: --binaries, $DEVCLUSTER_BINARIES, then $KUBEBUILDER_ASSETS."""
    named = [given, os.environ.get("DEVCLUSTER_BINARIES", ""), os.environ.get("KUBEBUILDER_ASSETS", "")]
    folders = [Path(folder).absolute() for folder in named if folder]
    for folder in folders:
        if not folder.is_dir():
            raise DevClusterError("--binaries", f"{folder} is no folder")
    return folders


def resolve(wanted: Iterable[Tool], report: Reporter, *, given: str = "") -> dict[str, Path]:
    """Every wanted binary by name, fetched or built if need be."""
    folders = user_folders(given)
    found, missing = _look(wanted, folders)
    if missing:
        lock = layout.cache_home() / "binaries.lock"
        with files.alone(lock, lambda: report.say("another devcluster fetches binaries: waiting for it")):
            others, missing = _look(missing, folders)
            found |= others | _obtain(missing, report)
    return found


def _look(wanted: Iterable[Tool], folders: list[Path]) -> tuple[dict[str, Path], list[Tool]]:
    """Those that are in the user's folders or in the cache, and the rest."""
    found: dict[str, Path] = {}
    missing: list[Tool] = []
    for tool in wanted:
        candidates = [*(folder / tool.name for folder in folders), cached(tool)]
        path = next((path for path in candidates if os.access(path, os.X_OK) and path.is_file()), None)
        if path is None:
            missing.append(tool)
        else:
            found[tool.name] = path
    return found, missing


def _obtain(missing: list[Tool], report: Reporter) -> dict[str, Path]:
    site = releases.configured_site()
    found: dict[str, Path] = {}
    hosts: dict[str, bool] = {}
    to_build: list[Tool] = []
    for tool in missing:
        host = tool.release.path.partition("/")[0] if tool.release else ""
        if host and host not in hosts:
            hosts[host] = releases.reachable(site, f"{host}/")
            if not hosts[host]:
                report.say(f"{host} can't be reached: its binaries are built from Go modules instead")
        if not (host and hosts[host]):
            to_build.append(tool)
            continue
        try:
            with report.step(f"download {tool.name} {tool.version}", about=10):
                found[tool.name] = releases.fetch(site, tool, cached(tool))
        except releases.UnreachableError as error:
            report.say(f"{error}; building it instead")
            to_build.append(tool)
    if to_build:
        packages.ensure(packages.FOR_GO_BUILDS, report)
    for tool in to_build:
        with report.step(f"build {tool.name} {tool.version}", about=tool.seconds):
            work, log = layout.cache_home() / "gobuild", layout.cache_home() / "log" / f"build-{tool.name}.log"
            found[tool.name] = gobuild.build(tool, cached(tool), work=work, log=log)
    return found
