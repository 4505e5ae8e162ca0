"""The KubeletConfiguration: every field known, kubeadm's file read as kubeadm means it, mistakes told."""

import re
from pathlib import Path

import msgspec
import pytest

import pykubelet
from nodekit import config
from nodekit.config_logging import Logging, Options, Routing
from pykubelet.config import effects, load, parts, settings
from pykubelet.config.settings import Settings
from tests.unit import gotypes

TYPES = "k8s.io/kubelet@v0.37.2/config/v1beta1/types.go"
LOGS = "k8s.io/component-base@v0.37.2/logs/api/v1/types.go"
HEAD = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"

# What kubeadm 1.37 writes to /var/lib/kubelet/config.yaml.
KUBEADM = """\
apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    cacheTTL: 0s
    enabled: true
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
authorization:
  mode: Webhook
  webhook:
    cacheAuthorizedTTL: 0s
    cacheUnauthorizedTTL: 0s
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
clusterDomain: cluster.local
containerRuntimeEndpoint: ""
cpuManagerReconcilePeriod: 0s
crashLoopBackOff: {}
evictionPressureTransitionPeriod: 0s
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
httpCheckFrequency: 0s
imageMaximumGCAge: 0s
imageMinimumGCAge: 0s
kind: KubeletConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
memorySwap: {}
nodeStatusReportFrequency: 0s
nodeStatusUpdateFrequency: 0s
rotateCertificates: true
runtimeRequestTimeout: 0s
shutdownGracePeriod: 0s
shutdownGracePeriodCriticalPods: 0s
staticPodPath: /etc/kubernetes/manifests
streamingConnectionIdleTimeout: 0s
syncFrequency: 0s
volumeStatsAggPeriod: 0s
"""


def read(tmp_path: Path, text: str) -> config.Document[Settings]:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load.load(path)


@pytest.mark.parametrize(
    ("ours", "file", "genuine"),
    [
        (Settings, TYPES, "KubeletConfiguration"),
        (parts.X509, TYPES, "KubeletX509Authentication"),
        (parts.WebhookAuthentication, TYPES, "KubeletWebhookAuthentication"),
        (parts.Anonymous, TYPES, "KubeletAnonymousAuthentication"),
        (parts.Authentication, TYPES, "KubeletAuthentication"),
        (parts.WebhookAuthorization, TYPES, "KubeletWebhookAuthorization"),
        (parts.Authorization, TYPES, "KubeletAuthorization"),
        (parts.MemorySwap, TYPES, "MemorySwapConfiguration"),
        (parts.ShutdownGrace, TYPES, "ShutdownGracePeriodByPodPriority"),
        (parts.CrashLoopBackOff, TYPES, "CrashLoopBackOffConfig"),
        (parts.MemoryReservation, TYPES, "MemoryReservation"),
        (parts.UserNamespaces, TYPES, "UserNamespaces"),
        (parts.Tracing, "k8s.io/component-base@v0.37.2/tracing/api/v1/types.go", "TracingConfiguration"),
        (parts.Taint, "k8s.io/api@v0.37.2/core/v1/types.go", "Taint"),
        (Logging, LOGS, "LoggingConfiguration"),
        (Options, LOGS, "FormatOptions"),
        (Routing, LOGS, "TextOptions"),
    ],
    ids=lambda value: value if isinstance(value, str) and "/" not in value else "",
)
def test_every_field_of_the_genuine_type_is_known(ours: type[msgspec.Struct], file: str, genuine: str) -> None:
    assert {entry.encode_name for entry in msgspec.structs.fields(ours)} == gotypes.fields(file, genuine)


def test_kubeadms_file_means_the_defaults_but_for_what_it_sets(tmp_path: Path) -> None:
    document = read(tmp_path, KUBEADM)
    assert document.settings == Settings(
        authentication=parts.Authentication(x509=parts.X509(client_ca_file="/etc/kubernetes/pki/ca.crt")),
        cgroup_driver="systemd",
        cluster_dns=("10.96.0.10",),
        cluster_domain="cluster.local",
        rotate_certificates=True,
        static_pod_path="/etc/kubernetes/manifests",
    )
    assert list(effects.warnings(document)) == []


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        pytest.param("nodeStatusUpdateFrequency: 7s", "node_status_report_frequency", 7.0, id="report follows update"),
        pytest.param("maxParallelImagePulls: 3", "serialize_image_pulls", False, id="parallel pulls are not serial"),
        pytest.param("podPidsLimit: -5", "pod_pids_limit", -1, id="any negative limit is none"),
        pytest.param("readOnlyPort: 0", "read_only_port", 0, id="port 0 is off"),
        pytest.param("healthzPort: 0", "healthz_port", 0, id="healthz can be turned off"),
        pytest.param("resolvConf: ''", "resolv_conf", "", id="an empty resolvConf is meant"),
        pytest.param("evictionHard: {}", "eviction_hard", {}, id="an empty evictionHard is meant"),
        pytest.param("enforceNodeAllocatable: []", "enforce_node_allocatable", (), id="nothing to enforce is meant"),
        pytest.param(
            "evictionHard: {memory.available: 5%}\nmergeDefaultEvictionSettings: true",
            "eviction_hard",
            {**parts.EVICTION_HARD, "memory.available": parts.Threshold(fraction=0.05)},
            id="eviction settings are merged when asked",
        ),
    ],
)
def test_what_a_value_means(tmp_path: Path, text: str, field: str, value: object) -> None:
    assert getattr(read(tmp_path, HEAD + text).settings, field) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("imageGCLowThresholdPercent: 90", ":3: imageGCLowThresholdPercent: 90 must be less than"),
        ("maxParallelImagePulls: 3\nserializeImagePulls: true", ":3: maxParallelImagePulls: more than 1 needs"),
        *(
            (
                "imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages\n"
                f"preloadedImagesVerificationAllowlist: [a.example/*, a.example:5000/*, a/b, '{pattern}']",
                r":4: preloadedImagesVerificationAllowlist\[3\]: expected an image without tag and digest",
            )
            for pattern in ("a:1", "/*", "a/*/b", "a/**", "*", "A", " a/*")
        ),
        ("evictionHard: {memory.free: 5%}", r":3: evictionHard\[memory.free\]: unknown signal"),
        ("evictionHard: {memory.available: 500%}", "expected a percentage from 0% to 100%"),
        ("evictionSoft: {memory.available: 5%}", "needs an entry in evictionSoftGracePeriod"),
        ("enforceNodeAllocatable: [pods, none]", "'none' cannot stand beside others"),
        ("enforceNodeAllocatable: [pod]", r":3: enforceNodeAllocatable\[0\]: expected one of"),
        ("enforceNodeAllocatable: [system-reserved]", "needs systemReservedCgroup"),
        ("clusterDNS: [10.96.0]", r":3: clusterDNS\[0\]: expected an IP address"),
        ("shutdownGracePeriodCriticalPods: 5s", "must not be longer than shutdownGracePeriod"),
        ("cpuCFSQuotaPeriod: 2s", "expected a duration.*from 0.001 to 1, got 2s"),
        ("containerLogMaxFiles: 1", "expected an integer of at least 2, got 1"),
        ("crashLoopBackOff: {maxContainerRestartPeriod: 10m}", "from 1 to 300, got 10m"),
        ("registerWithTaints: [{key: a}]", r":3: registerWithTaints\[0\]: a taint needs a key and an effect"),
        ("runOnce: true", "no longer supported"),
        ("hairpinMode: x", "expected one of 'promiscuous-bridge', 'hairpin-veth', 'none'"),
    ],
)
def test_contradictions(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(config.ConfigError, match=said):
        read(tmp_path, HEAD + text)


def test_drop_ins_are_laid_over_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (tmp_path / "config.yaml").write_text(HEAD + "maxPods: 10\nclusterDNS: [10.0.0.1]\n")
    (folder / "20.conf").write_text(HEAD + "maxPods: 30\n")
    (folder / "10.conf").write_text(HEAD + "maxPods: 20\nclusterDNS: [10.0.0.2]\n")
    (folder / "30.yaml").write_text("not: read")
    found = load.load(tmp_path / "config.yaml", drop_ins=folder).settings
    assert (found.max_pods, found.cluster_dns) == (30, ("10.0.0.2",))


def test_a_field_without_effect_is_told_when_it_is_set_away_from_its_default(tmp_path: Path) -> None:
    document = read(tmp_path, HEAD + "oomScoreAdj: -999\nhairpinMode: none\n")
    assert [str(warning) for warning in effects.warnings(document)] == [
        f"{tmp_path}/config.yaml:4: hairpinMode: has no effect yet: the network plugin decides it"
    ]


def test_the_table_of_fields_without_effect_names_real_fields() -> None:
    assert set(effects.NO_EFFECT) <= {entry.name for entry in msgspec.structs.fields(settings.Settings)}


# A node with swap, or with cgroup v1, is served in any case; runOnce is refused.
NEEDS_NOTHING = {"fail_swap_on", "fail_cgroup_v1", "run_once"}


def test_every_field_has_an_effect_or_is_known_to_have_none() -> None:
    package = Path(pykubelet.__file__).parent
    merely_read = ("effects.py", "flags.py", "validate.py")
    sources = (path.read_text() for path in package.rglob("*.py") if path.name not in merely_read)
    used = set(re.findall(r"settings\.(\w+)", "\n".join(sources)))
    fields = {entry.name for entry in msgspec.structs.fields(Settings)}
    assert sorted(fields - used - effects.NO_EFFECT.keys() - NEEDS_NOTHING) == []
    assert sorted(effects.NO_EFFECT.keys() - fields) == []
