"""pyproxy as a process, against a genuine API server, while things go wrong around it: nobody is refused.

Needs root and KUBEBUILDER_ASSETS, a folder with etcd and kube-apiserver. The seed of a failing run is in its output;
`make chaos-proxy SEED=...` plays it again, for longer and with more Services.
"""

import os
import random
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.chaos.proxy import faults, ground, play
from tests.chaos.proxy.agent import PYPROXY
from tests.chaos.proxy.ground import Ground

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif("KUBEBUILDER_ASSETS" not in os.environ, reason="KUBEBUILDER_ASSETS names no genuine binaries"),
    pytest.mark.timeout(240),
]
SERVICES = 300


@pytest.fixture(scope="module")
def made() -> Iterator[Ground]:
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        ground.made(Path(folder), services=SERVICES, arguments=("--count-connections=endpoints",)) as it,
    ):
        yield it


def _last_words(made: Ground) -> str:
    return f"pyproxy's last words:\n{made.log.read_text()[-4000:]}"


def test_faults_by_a_seed_refuse_nobody_and_leave_the_apis_truth(made: Ground) -> None:
    """Each fault once or twice, but for the API server's restart, which takes as long as all the others."""
    seed = random.randrange(1 << 32)
    chosen = tuple(fault for fault in faults.ALL if fault is not faults.restart_api_server)
    verdict = play.run(made, seed=seed, seconds=15, baseline=3, chosen=chosen)
    assert verdict.good, "\n".join([*verdict.lines(), _last_words(made)])


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(("flush", "ruleset"), id="everything flushed"),
        pytest.param(("delete", "table", "ip", "pyproxy"), id="the table deleted"),
        pytest.param(("flush", "map", "ip", "pyproxy", "endpoints"), id="a map flushed"),
        pytest.param(
            ("add", "element", "ip", "pyproxy", "cluster-ips", "{ 203.0.113.1 }"), id="an element added by hand"
        ),
    ],
)
def test_what_others_do_to_the_table_is_healed(made: Ground, edit: tuple[str, ...]) -> None:
    subprocess.run(["nft", *edit], check=True)
    assert made.converged(10) == "", _last_words(made)


def test_what_others_do_while_the_table_is_written_anew_is_healed_too(made: Ground) -> None:
    """Whoever comes while the kernel makes the change has his turn right after it, before pyproxy hears again."""
    for _ in range(6):
        with subprocess.Popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as nft:
            assert nft.stdin is not None
            for _ in range(30):
                print("flush ruleset", file=nft.stdin, flush=True)
                time.sleep(random.uniform(0, 0.04))  # it is others who keep the time
        assert made.converged(10) == "", _last_words(made)


def test_buffers_made_too_small_cost_one_rewrite_and_not_one_for_each_change(made: Ground) -> None:
    faults.small_buffers(made, random.Random(1))
    assert made.converged(10) == "", _last_words(made)
    rewritten = _rewritten(made)
    assert rewritten
    chance = random.Random(2)
    for _ in range(30):
        made.change(chance)
    assert made.converged(10) == "", _last_words(made)
    # One more is in order: what mended the last edit may have been written before that edit's notice was read.
    assert _rewritten(made) <= rewritten + 1


def _rewritten(made: Ground) -> int:
    return made.log.read_text().count("it is written anew")


def test_connections_are_told_of_by_service_and_endpoint(made: Ground) -> None:
    before = _connections("live5")
    answers = [ground.call(made.address("live5")) for _ in range(12)]
    after = _connections("live5")
    assert after["service"] - before.get("service", 0) == 12
    for name, address in ground.BACKENDS.items():
        endpoint = f"{address}:8080"
        assert after.get(endpoint, 0) - before.get(endpoint, 0) == answers.count(name)


def _connections(service: str) -> dict[str, float]:
    with urllib.request.urlopen("http://127.0.0.1:10249/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        sample.labels.get("endpoint", "service"): sample.value
        for family in families
        for sample in family.samples
        if sample.labels.get("service") == service and sample.labels["ip_family"] == "IPv4"
    }


def test_init_only_sets_what_needs_root_and_writes_no_rule(made: Ground) -> None:
    timeout = Path("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established")
    before, tables = timeout.read_text(), _tables()
    # None of the table's size: that is the machine's, not this namespace's.
    flags = ("--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=1h7s")
    server = "--master=https://198.18.0.99:1"  # nobody is there, and nobody is asked
    try:
        subprocess.run([PYPROXY, "--init-only", server, *flags], check=True, timeout=20)
        assert int(timeout.read_text()) == 3607
        assert _tables() == tables
    finally:
        timeout.write_text(before)


def _tables() -> str:
    return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout


def test_cleanup_leaves_nothing_of_ours_and_all_of_others(made: Ground) -> None:
    subprocess.run(["nft", "add", "table", "ip", "somebody-elses"], check=True)
    made.agent.stop()
    assert "pyproxy" in _tables()
    subprocess.run([PYPROXY, "--cleanup"], check=True)
    assert _tables() == "table ip somebody-elses\n"
