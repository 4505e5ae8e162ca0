"""Storms over a node of a dev cluster, each followed by a quiet in which all must be as the API says.

python -m tests.chaos.storms --cluster NAME --seed 7 --minutes 20     (a failing seed is run again by the same command)
"""

import argparse
import contextlib
import itertools
import sys
import time
import uuid
from collections.abc import Iterator
from random import Random

from devcluster.api import Cluster
from devcluster.errors import DevClusterError
from pykubelet.cri.errors import CriError
from tests.chaos import invariants, pods
from tests.chaos.ground import Ground
from tests.chaos.invariants import Deleted, Expected
from tests.chaos.plan import Action, Do, Plan
from tests.chaos.watcher import Watcher
from tests.e2e import kube as k
from tests.e2e.kube import Kube
from tests.e2e.lab import added

NODE = "n7"
QUIET = 120.0
"""Seconds in which all must have settled after the last fault."""


class Broken(AssertionError):
    """An invariant does not hold; says which, and with what seed."""


class Storms:
    """`run` storms for a while and raises Broken."""

    def __init__(self, kube: Kube, place: Ground, seed: int) -> None:
        self.kube, self.place, self.seed = kube, place, seed
        self.plan = Plan(seed)
        self.expected = Expected()
        self.counts: dict[str, int] = {}

    def run(self, *, seconds: float = 0.0, at_least: int = 1) -> None:
        """So many storms, then others until the time is up, and a last quiet when all Pods are deleted."""
        watcher = Watcher(self.kube)
        until = time.monotonic() + seconds
        try:
            for number in itertools.count(1):
                print(f"=== storm {number} of seed {self.seed}", flush=True)
                self._storm(self.plan.storm())
                self._quiet(watcher, number)
                if number >= at_least and time.monotonic() > until:
                    break
            for name in self.plan.end():
                self._do(Action(0, 0, Do.DELETE, name))
            self._quiet(watcher, 0)
        finally:
            watcher.stop()
        done = ", ".join(f"{count} x {do}" for do, count in sorted(self.counts.items()))
        print(f"=== all held; {done}; {watcher.seen} states of Pods watched", flush=True)

    def _storm(self, actions: list[Action]) -> None:
        began = time.monotonic()
        for action in actions:
            time.sleep(max(0.0, began + action.at - time.monotonic()))
            print(f"  {action}", flush=True)
            self._do(action)

    def _quiet(self, watcher: Watcher, number: int) -> None:
        self.place.heal()
        began = time.monotonic()
        while complaints := self._look():
            if time.monotonic() - began > QUIET:
                break
            time.sleep(1)
        complaints += invariants.kept(self.place, self.expected) + watcher.complaints
        if complaints:
            lines = "\n  ".join(complaints)
            raise Broken(f"storm {number} of seed {self.seed}, after {QUIET:.0f} s of quiet at most:\n  {lines}")
        print(f"  quiet after {time.monotonic() - began:.0f} s: {len(self.expected.alive)} Pods", flush=True)

    def _look(self) -> list[str]:
        try:
            return invariants.settled(self.kube, self.place, self.expected)
        except (k.CommandError, DevClusterError, CriError, KeyError) as error:
            return [f"{type(error).__name__}: {error}"]

    def _do(self, action: Action) -> None:
        self.counts[action.do] = self.counts.get(action.do, 0) + 1
        name, place = action.pod, self.place
        match action.do:
            case Do.CREATE | Do.CREATE_STATIC:
                self._create(action)
            case Do.DELETE | Do.DELETE_AT_ONCE:
                self._delete(name, at_once=action.do is Do.DELETE_AT_ONCE)
            case Do.LABEL:
                if self.expected.alive[name] != pods.STATIC:
                    self.kube.run("label", "pod", name, f"n={action.number}", "--overwrite")
            case Do.CHANGE_IMAGE:
                self.kube.run("set", "image", f"pod/{name}", f"main={k.AGNHOST}")
            case Do.CHANGE_CONFIG:
                self.expected.word = f"word-{action.number}"
                self.kube.apply(_words(self.expected.word))
            case Do.KILL_KUBELET:
                place.kill_kubelet()
            case Do.START_KUBELET:
                place.start_kubelet()
            case Do.KILL_CONTAINERD:
                place.kill_containerd()
            case Do.CUT | Do.HEAL:
                place.cut(off=action.do is Do.CUT)
            case Do.SLOW_CNI:
                place.slow_cni(action.number)
            case Do.QUICK_CNI:
                place.slow_cni(0)
            case Do.FILL_DISK:
                place.fill_disk()
            case Do.FREE_DISK:
                place.free_disk()

    def _create(self, action: Action) -> None:
        name = action.pod
        kind = self.expected.alive[name] = name.rpartition("-")[0]
        manifest = pods.BY_NAME[kind if kind != pods.STATIC else "steady"].make(Random(int(action.number)))
        manifest["metadata"] = {"name": name, "namespace": self.kube.namespace}
        if kind == pods.STATIC:
            self.place.write_static(name, manifest)
            return
        manifest["spec"]["nodeName"] = self.place.node.name
        self.kube.apply(manifest)

    def _delete(self, name: str, *, at_once: bool) -> None:
        kind = self.expected.alive.pop(name)
        self.expected.deleted[name] = Deleted(time.clock_gettime(time.CLOCK_BOOTTIME), at_once)
        if kind == pods.STATIC:
            self.place.remove_static(name)
        else:
            how = ("--force", "--grace-period=0") if at_once else ()
            self.kube.run("delete", "pod", name, "--wait=false", *how)


def _words(word: str) -> k.Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "words"}, "data": {"word": word}}


@contextlib.contextmanager
def ground(cluster: str) -> Iterator[tuple[Kube, Ground]]:
    """A node of its own and a namespace, for as long as this is open."""
    program = (str(Cluster(cluster).files.kubectl),)
    everywhere = Kube("default", program)
    kube = Kube(f"chaos-{uuid.uuid4().hex[:6]}", program)
    if any(node.name == NODE for node in Cluster(cluster).nodes()):
        raise SystemExit(f"cluster {cluster} has a node {NODE}: another chaos runs, or was cut short; remove the node")
    _forget_pods(everywhere)
    with contextlib.ExitStack() as stack:
        stack.callback(everywhere.run, "delete", "namespace", kube.namespace, "--wait=false", "--ignore-not-found")
        node = stack.enter_context(added(cluster, NODE))
        stack.callback(_forget_pods, everywhere)
        everywhere.run("taint", "node", NODE, "e2e=chaos:NoSchedule", "--overwrite")
        everywhere.run("create", "namespace", kube.namespace)
        k.wait_for(lambda: kube.exists("serviceaccount", "default"), "the namespace's service account")
        kube.apply(_words("first"))
        place = Ground(Cluster(cluster), node)
        place.prepare()
        yield kube, place


def _forget_pods(everywhere: Kube) -> None:
    """Nobody ends the Pods of a node that is taken away: a node of the same name would run them again."""
    chosen = ("pods", "--all-namespaces", f"--field-selector=spec.nodeName={NODE}")
    everywhere.run("delete", *chosen, "--force", "--grace-period=0", "--wait=false")


def main() -> int:
    """Storm as the command line says; 1 if an invariant is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cluster", default="dev")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=20)
    given = parser.parse_args()
    with ground(given.cluster) as (kube, place):
        try:
            Storms(kube, place, given.seed).run(seconds=given.minutes * 60)
        except Broken as error:
            print(f"{error}\nthe same again: make chaos SEED={given.seed} MINUTES={given.minutes:g}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
