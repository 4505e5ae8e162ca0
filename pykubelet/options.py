"""What the command line says: where things are and who this node is."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from pykubelet.desired.last_known import Keep


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """`kubeconfig` None: no API server, static Pods only. Empty `node_ips`: the address of the default route.

    `given_ips` are those of --node-ip alone, for an external cloud's sake. `flags` is the command line as people read
    it, defaults included.
    """

    node_name: str
    kubeconfig: Path | None
    bootstrap_kubeconfig: Path | None = None
    root: Path = Path("/var/lib/kubelet")
    certificates: Path = Path("/var/lib/kubelet/pki")
    node_ips: tuple[str, ...] = ()
    given_ips: tuple[str, ...] = ()
    external_cloud: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    register: bool = True
    verbosity: int = 0
    flags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    last_known: Keep = Keep.ALL
    credential_providers: Path | None = None
    """The file, or folder of files, that says which programs give credentials for images."""
    credential_programs: Path | None = None
    """The folder of these programs."""
