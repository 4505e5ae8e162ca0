"""The KubeProxyConfiguration: every field known, kubeadm's file read as kubeadm means it, mistakes told."""

from pathlib import Path

import msgspec
import pytest

from nodekit import config
from pyproxy.config import effects, load, settings
from pyproxy.config.settings import Settings
from tests.unit import gotypes

TYPES = "k8s.io/kube-proxy@v0.37.2/config/v1alpha1/types.go"
HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

# What kubeadm 1.37 puts into the kube-proxy ConfigMap.
KUBEADM = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: null
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: false
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
kind: KubeProxyConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: ""
mode: ""
nftables:
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
  forwardHealthCheckVip: false
  networkName: ""
  rootHnsEndpointName: ""
  sourceVip: ""
"""


def read(tmp_path: Path, text: str) -> config.Document[Settings]:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load.load(path)


@pytest.mark.parametrize(
    ("ours", "genuine"),
    [
        (Settings, "KubeProxyConfiguration"),
        (settings.IPTables, "KubeProxyIPTablesConfiguration"),
        (settings.IPVS, "KubeProxyIPVSConfiguration"),
        (settings.NFTables, "KubeProxyNFTablesConfiguration"),
        (settings.Conntrack, "KubeProxyConntrackConfiguration"),
        (settings.Winkernel, "KubeProxyWinkernelConfiguration"),
        (settings.DetectLocal, "DetectLocalConfiguration"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_field_of_the_genuine_type_is_known(ours: type[msgspec.Struct], genuine: str) -> None:
    assert {entry.encode_name for entry in msgspec.structs.fields(ours)} == gotypes.fields(TYPES, genuine)


def test_every_field_of_the_client_connection_is_known() -> None:
    names = {entry.encode_name for entry in msgspec.structs.fields(settings.ClientConnection)}
    file = "k8s.io/component-base@v0.37.2/config/v1alpha1/types.go"
    assert names == gotypes.fields(file, "ClientConnectionConfiguration")


def test_kubeadms_file_means_the_defaults_but_for_what_it_sets(tmp_path: Path) -> None:
    document = read(tmp_path, KUBEADM)
    assert document.settings == Settings(
        client_connection=settings.ClientConnection(kubeconfig="/var/lib/kube-proxy/kubeconfig.conf"),
        cluster_cidr="10.244.0.0/16",
    )
    assert list(effects.warnings(document)) == []


@pytest.mark.parametrize(
    ("text", "healthz", "metrics"),
    [
        ("bindAddress: '::'", "[::]:10256", "[::1]:10249"),
        ("healthzBindAddress: 198.18.0.1", "198.18.0.1:10256", "127.0.0.1:10249"),
        ("healthzBindAddress: 198.18.0.1:1\nmetricsBindAddress: 'fd00::1'", "198.18.0.1:1", "[fd00::1]:10249"),
        ("metricsBindAddress: '[::]:99'", "0.0.0.0:10256", "[::]:99"),
    ],
)
def test_where_it_listens(tmp_path: Path, text: str, healthz: str, metrics: str) -> None:
    found = read(tmp_path, HEAD + text).settings
    assert (found.healthz_bind_address, found.metrics_bind_address) == (healthz, metrics)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bindAddress: x", ":3: bindAddress: expected an IP address, got 'x'"),
        ("healthzBindAddress: 0.0.0.0:0", ":3: healthzBindAddress: expected a port from 1 to 65535"),
        ("metricsBindAddress: here:1", ":3: metricsBindAddress: expected an IP address and a port"),
        ("nodePortAddresses: [primary, primary]", r":3: nodePortAddresses\[1\]: 'primary' stands twice"),
        ("nodePortAddresses: [10.0.0.1]", r":3: nodePortAddresses\[0\]: expected a CIDR or one of all, localhost, p"),
        ("clusterCIDR: 10.0.0.0/8,fd00::/8,fd01::/16", ":3: clusterCIDR: expected one CIDR, or two"),
        ("nftables: {minSyncPeriod: 1m}", ":3: nftables.minSyncPeriod: must not be longer than syncPeriod"),
        ("detectLocalMode: BridgeInterface", "detectLocal.bridgeInterface: is needed by"),
        ("mode: ipvs", ":3: mode: 'ipvs' is not offered; expected 'nftables' or 'iptables'"),
        ("mode: userspace", ":3: mode: expected one of 'iptables'"),
        ("iptables: {masqueradeBit: 32}", ":3: iptables.masqueradeBit: expected an integer from 0 to 31, got 32"),
        ("conntrack: {maxPercore: 1}", "conntrack.maxPercore: unknown field; did you mean 'maxPerCore'"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(config.ConfigError, match=said):
        read(tmp_path, HEAD + text)


def test_a_written_configuration_reads_back_the_same(tmp_path: Path) -> None:
    before = read(tmp_path, HEAD + "mode: nftables\nconntrack: {tcpEstablishedTimeout: 0s}\nnodePortAddresses: [all]\n")
    written = load.text(before.settings)
    assert "tcpEstablishedTimeout: 0s" in written
    assert "minSyncPeriod: 1s" in written
    assert read(tmp_path, written).settings == before.settings


def test_a_field_without_effect_is_told_when_it_is_set_away_from_its_default(tmp_path: Path) -> None:
    document = read(tmp_path, HEAD + "ipvs: {scheduler: rr, syncPeriod: 30s}\n")
    assert [str(warning) for warning in effects.warnings(document)] == [
        f"{tmp_path}/config.yaml:3: ipvs.scheduler: has no effect yet: there is no ipvs mode"
    ]


def test_the_table_of_fields_without_effect_names_real_fields() -> None:
    for path in effects.NO_EFFECT:
        effects._value(Settings(), path)
