"""The command line: what it refuses, what it prints, what flags and files become."""

import errno
from pathlib import Path

import pytest
import yaml

from pyproxy import KUBERNETES_VERSION, cli, errors, flags, translate, wiring
from pyproxy.act.nftables.kernel import Kernel
from pyproxy.config import load
from pyproxy.config.settings import Settings
from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.options import DetectLocal, Mode, NodePorts

HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
BOTH = frozenset(Family)


def test_the_version_is_what_kubeadm_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"Kubernetes v{KUBERNETES_VERSION}\n"


def test_a_wrong_field_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(HEAD + "clusterCIDR: nonsense\nmoed: nftables\n")
    assert cli.main(["--config", str(path)]) == 1
    told = capsys.readouterr().err
    assert f"{path}:3" in told
    assert f"{path}:4" in told


def test_a_written_configuration_reads_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    assert cli.main(["--write-config-to", str(path), "--cluster-cidr", "10.0.0.0/8", "--masquerade-all"]) == 0
    settings = load.load(path).settings
    assert settings.cluster_cidr == "10.0.0.0/8"
    assert settings.nftables.masquerade_all


@pytest.mark.parametrize(
    ("config", "field", "wanted"),
    [
        pytest.param({}, "node_ports", NodePorts(), id="NodePorts answer on the node's own addresses by default"),
        pytest.param({"nodePortAddresses": ["all"]}, "node_ports", NodePorts(False, BOTH), id="all is everywhere"),
        pytest.param({}, "mode", Mode.NFTABLES, id="nftables is the mode where none is said"),
        pytest.param({"mode": "iptables"}, "mode", Mode.IPTABLES, id="iptables is the mode where it is said"),
        pytest.param(
            {"mode": "iptables", "iptables": {"masqueradeBit": 3}, "nftables": {"masqueradeBit": 4}},
            "masquerade_bit",
            3,
            id="each mode has its own masquerade bit",
        ),
        pytest.param(
            {"mode": "iptables"},
            "node_ports",
            NodePorts(primary=False, everywhere=BOTH, loopback=True),
            id="with iptables NodePorts answer everywhere by default",
        ),
        pytest.param(
            {"mode": "iptables", "iptables": {"localhostNodePorts": False}},
            "node_ports",
            NodePorts(primary=False, everywhere=BOTH),
            id="with iptables loopback can be left out",
        ),
        pytest.param(
            {"mode": "iptables", "nodePortAddresses": ["10.0.0.0/8"]},
            "node_ports",
            NodePorts(False, frozenset({Family.IPV6}), (Prefix(Address(bytes((10, 0, 0, 0))), 8),)),
            id="a prefix without loopback in it leaves loopback out",
        ),
        pytest.param(
            {"mode": "iptables", "iptables": {"minSyncPeriod": "2s"}}, "min_sync_period", 2.0, id="of iptables"
        ),
        pytest.param({}, "min_sync_period", 0.005, id="a default minimum period holds nothing up"),
        pytest.param({"nftables": {"minSyncPeriod": "2s"}}, "min_sync_period", 2.0, id="one in the file is honoured"),
        pytest.param({}, "bind_address", None, id="no address of its own to bind to"),
        pytest.param(
            {"bindAddress": "10.1.2.3"}, "bind_address", Address(bytes((10, 1, 2, 3))), id="an address to bind to"
        ),
        pytest.param({"hostnameOverride": "N1"}, "node", "n1", id="node names are lower case"),
        pytest.param(
            {"detectLocalMode": "BridgeInterface", "detectLocal": {"bridgeInterface": "cni0"}},
            "interface",
            "cni0",
            id="a bridge can tell Pods",
        ),
        pytest.param({}, "detect_local", DetectLocal.CLUSTER_CIDR, id="the cluster's CIDR tells Pods by default"),
    ],
)
def test_what_a_file_becomes(tmp_path: Path, config: dict, field: str, wanted: object) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(HEAD + yaml.safe_dump(config) if config else HEAD)
    document = load.load(path)
    assert getattr(translate.options(document.settings, document=document), field) == wanted


def test_every_flag_stands_for_a_field() -> None:
    arguments = flags.parser().parse_args(["--nodeport-addresses=10.0.0.0/8,primary", "--conntrack-udp-timeout=1m30s"])
    settings = flags.apply(Settings(), arguments)
    assert settings.node_port_addresses == ("10.0.0.0/8", "primary")
    assert settings.conntrack.udp_timeout == 90
    for flag in flags._FIELDS:
        found: object = settings
        for name in flag.path.split("."):
            found = getattr(found, name)


@pytest.mark.parametrize(
    ("words", "name", "text"),
    [
        pytest.param([], "proxy-mode", "", id="an empty default"),
        pytest.param(["--proxy-mode=nftables"], "proxy-mode", "nftables", id="a word"),
        pytest.param(
            ["--nodeport-addresses=primary,127.0.0.0/8"], "nodeport-addresses", "[primary,127.0.0.0/8]", id="a list"
        ),
        pytest.param([], "config-sync-period", "15m0s", id="a duration"),
        pytest.param([], "kube-api-qps", "5", id="a number that need not be whole"),
        pytest.param(["--masquerade-all"], "masquerade-all", "true", id="a switch"),
        pytest.param(["--feature-gates=A=true,B=false"], "feature-gates", "A=true,B=false", id="gates"),
        pytest.param(["--count-connections=services"], "count-connections", "services", id="one of ours"),
    ],
)
def test_flags_are_shown_as_the_genuine_one_shows_them(words: list[str], name: str, text: str) -> None:
    assert flags.shown(flags.parse(words))[name] == text


def test_a_server_alone_is_asked_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    options = translate.options(Settings(), server="https://one:6443/")
    found = wiring.credentials(options)
    assert found.cluster.servers == ("https://one:6443",)
    assert found.headers() == {}


def test_who_may_not_talk_to_the_kernel_is_told_what_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Kernel) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Kernel, "_widen", refused)
    with pytest.raises(
        errors.RulesetError, match="opening nf_tables: Operation not permitted: run it as root, or with"
    ):
        Kernel()
