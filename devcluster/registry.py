"""The cluster's image registry: Debian's docker-registry over a folder we lay out, so nothing needs pushing."""

from __future__ import annotations

import json
from pathlib import Path

from devcluster import controlplane, netns, oci, processes
from devcluster.layout import Layout
from devcluster.spec import REGISTRY_PORT, ClusterSpec

PROGRAM = "docker-registry"


def folder(layout: Layout) -> Path:
    """What the registry serves."""
    return layout.root / "registry"


def start(layout: Layout, spec: ClusterSpec, store: oci.Store) -> processes.Program:
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
    program = controlplane.program(layout, PROGRAM, [PROGRAM, "serve", config])
    controlplane.launch(program)

    def answers() -> str | None:
        host = spec.primary.control_plane()
        try:
            netns.connect(layout.netns(netns.CONTROL_PLANE), (host, REGISTRY_PORT), 2).close()
        except OSError as error:
            return str(error)
        return None

    processes.wait(program, answers, timeout=30)
    return program
