"""pyproxy and the genuine kube-proxy, in turn, on the same API server with the same Services.

    sudo python -m tests.bench.proxy --sizes 0,1000,5000,10000 --alone 100000 --rounds 3

One network namespace holds etcd, the API server and the proxy; two backends and a client are joined to it. Nothing else
runs there, so the figures are the proxies' own. For each size and round each proxy is started on empty tables. Sizes in
`--alone` are for pyproxy only. All samples go to OUT.json, the table to OUT.md and the plots to OUT.svg; with `--docs`
the table also goes into that folder's benchmarks.md and the plots beside it.
"""

import argparse
import dataclasses
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from devcluster import binaries, tools
from devcluster import node as nodes
from devcluster.progress import Reporter
from tests.bench.proxy import lab, plan, report
from tests.bench.proxy.api import Api
from tests.bench.proxy.measure import CPUS, PROXIES, Bench, Sample
from tests.contract import apiserver


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="0,1000,5000,10000", type=_numbers)
    parser.add_argument("--alone", default="100000", type=_numbers)
    parser.add_argument("--endpoints", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--changes", type=int, default=15)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("build/bench-proxy"))
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--keep", action="store_true", help="add to the samples of earlier runs")
    options = parser.parse_args()
    # Who is told to end cleans up as after an interrupt: etcd, the API server and the proxy are other processes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if "KUBEBUILDER_ASSETS" in os.environ:
        return _bench(options)
    with tempfile.TemporaryDirectory(prefix="bench-binaries-") as folder:
        # The dev cluster's own, all linked from one folder.
        nodes.link_binaries(Path(folder), binaries.resolve(tools.CLUSTER, Reporter()))
        os.environ["KUBEBUILDER_ASSETS"] = folder
        return _bench(options)


def _bench(options: argparse.Namespace) -> int:
    options.out.parent.mkdir(parents=True, exist_ok=True)
    kept = options.out.with_suffix(".json")
    samples = [Sample(**one) for one in json.loads(kept.read_text())] if options.keep and kept.exists() else []
    for sample in _measure(options):
        samples.append(sample)
        print(report.line(sample), file=sys.stderr, flush=True)
        kept.write_text(json.dumps([dataclasses.asdict(one) for one in samples]))
    report.write(samples, options.out, docs=options.docs)
    print(options.out.with_suffix(".md").read_text())
    return 0


def _numbers(text: str) -> list[int]:
    return sorted(int(number) for number in text.split(",") if number)


def _measure(options: argparse.Namespace) -> Iterator[Sample]:
    """Sizes grow, as Services are only ever added."""
    for ground in (plan.IPV4, plan.IPV6):
        sizes = [size for size in sorted({*options.sizes, *options.alone}) if plan.of_size(size) is ground]
        if not sizes:
            continue
        ranges = ",".join(dict.fromkeys((plan.IPV4.services, ground.services)))
        with apiserver.running(f"--service-cluster-ip-range={ranges}") as server, lab.networks(ground, cpus=CPUS):
            api = Api()
            api.ask("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}, "spec": {"podCIDR": "198.19.1.0/24"}})
            address = {"status": {"addresses": [{"type": "InternalIP", "address": ground.node}]}}
            api.ask("PATCH", "/api/v1/nodes/n1/status", address)
            bench = Bench(server, api, ground)
            filled = 0
            for size in sizes:
                api.fill(ground, range(filled, size), endpoints=options.endpoints)
                filled = size
                for number in range(options.rounds):
                    # Each goes first in turn, so a machine whose speed drifts hurts both alike.
                    proxies = PROXIES if number % 2 == 0 else PROXIES[::-1]
                    for proxy in proxies if size in options.sizes else PROXIES[:1]:
                        yield bench.measure(proxy, size, changes=options.changes, connections=options.connections)
            api.close()


if __name__ == "__main__":
    sys.exit(main())
