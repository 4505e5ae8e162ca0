"""The cluster's image registry: Debian's docker-registry over a folder we lay out, so nothing needs pushing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

from devcluster import controlplane, netns, oci, packages, processes
from devcluster.layout import Layout, cache_home
from devcluster.progress import Reporter
from devcluster.spec import REGISTRY_PORT, ClusterSpec

PROGRAM: Final = "docker-registry"


def folder(layout: Layout) -> Path:
    """What the registry serves."""
    return layout.root / "registry"


def program(report: Reporter) -> Path:
    """The machine's own, or Debian's, whose package would serve at *:5000 from its installation on."""
    mine = shutil.which(PROGRAM)
    if mine:
        return Path(mine)
    target = cache_home() / "bin" / "docker-registry-debian"
    return packages.take_apart({PROGRAM: (f"usr/bin/{PROGRAM}",)}, target, report) / PROGRAM


def start(layout: Layout, spec: ClusterSpec, store: oci.Store, binary: Path) -> processes.Program:
    """Serve the store's images, and whatever is pushed later, at `spec.registry`."""
    root = folder(layout)
    oci.export_to_registry(store, root)
    config = layout.root / "registry.yml"
    settings = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(root)}, "delete": {"enabled": True}},
        "http": {"addr": spec.registry},
    }
    config.write_text(json.dumps(settings, indent=1))
    server = controlplane.program(layout, PROGRAM, [binary, "serve", config])
    controlplane.launch(server)

    def answers() -> str | None:
        host = spec.primary.control_plane()
        try:
            netns.connect(layout.netns(netns.CONTROL_PLANE), (host, REGISTRY_PORT), 2).close()
        except OSError as error:
            return str(error)
        return None

    processes.wait(server, answers, timeout=30)
    return server
