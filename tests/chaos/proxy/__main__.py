"""Let faults loose on pyproxy under load.

    sudo python -m tests.chaos.proxy --seed 7 --seconds 300 --services 5000

Needs root. The binaries of etcd and kube-apiserver are those of KUBEBUILDER_ASSETS, or the dev cluster's. The same seed
gives the same changes and the same faults at the same times. Exit status 1 when a connection was refused that would not
have been without faults, or when the kernel does not end with the API's truth.
"""

import argparse
import os
import random
import sys
import tempfile
from functools import partial
from pathlib import Path

from devcluster import binaries, tools
from devcluster import node as nodes
from devcluster.progress import Reporter
from tests.chaos.proxy import ground, play


def main() -> int:
    """Play once, and tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--baseline", type=float, default=30, help="seconds without faults, before")
    parser.add_argument("--services", type=int, default=5000)
    given = parser.parse_args()
    if "KUBEBUILDER_ASSETS" not in os.environ:
        assets = Path(tempfile.mkdtemp(prefix="chaos-binaries-"))
        nodes.link_binaries(assets, binaries.resolve(tools.CLUSTER, Reporter()))
        os.environ["KUBEBUILDER_ASSETS"] = str(assets)
    print(f"seed {given.seed}: {given.seconds:g} s at {given.services} Services", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        ground.made(Path(folder), services=given.services) as it,
    ):
        tell = partial(print, flush=True)
        verdict = play.run(it, seed=given.seed, seconds=given.seconds, baseline=given.baseline, tell=tell)
        if not verdict.good:
            print("the end of the agent's log:\n" + it.log.read_text()[-6000:])
    print("\n".join(verdict.lines()))
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
