"""Flags that stand for fields of the configuration: their syntax, and that they go over the file and its drop-ins.

Source of the cases: cmd/kubelet/app/server_test.go and k8s.io/component-base/cli/flag, by behaviour.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from nodekit.config_logging import FileVerbosity
from nodekit.objects import quantity
from pykubelet import app, cli, flags
from pykubelet.config.parts import MemoryReservation, Taint, Threshold
from pykubelet.config.settings import Settings
from tests.unit import gotypes

CONFIG = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
OPTIONS = "k8s.io/kubernetes@v1.37.2/cmd/kubelet/app/options/options.go"
# What Options has, or the parser itself.
NOT_FIELDS = {
    "cloud-provider",
    *("bootstrap-kubeconfig", "cert-dir", "config", "config-dir", "hostname-override", "kubeconfig", "node-ip"),
    *("image-credential-provider-bin-dir", "image-credential-provider-config", "node-labels", "root-dir"),
}


def limits(**found: str) -> dict[str, Threshold]:
    return {name.replace("_", "."): Threshold.parse(text) for name, text in found.items()}


def ran_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Settings:
    found: list[Settings] = []
    monkeypatch.setattr(app, "main", lambda settings, _: found.append(settings))
    assert cli.main(["--kubeconfig=k", *arguments]) == 0
    return found[0]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A file and a drop-in that set what the flags of the tests set otherwise."""
    (tmp_path / "config.yaml").write_text(
        f"{CONFIG}maxPods: 20\nseccompDefault: true\nimageGCLowThresholdPercent: 90\n"
        "featureGates: {A: true, B: false}\nevictionHard: {memory.available: 1Gi, pid.available: 5%}\n"
        "kubeReserved: {cpu: 1, memory: 1Gi}\nregisterWithTaints: [{key: a, effect: NoExecute}]\n"
        "logging: {verbosity: 5}\nallowedUnsafeSysctls: [net.a]\n"
    )
    drop_ins = tmp_path / "more"
    drop_ins.mkdir()
    (drop_ins / "10.conf").write_text(f"{CONFIG}maxPods: 30\nkubeReserved: {{pid: 100}}\n")
    return [f"--config={tmp_path / 'config.yaml'}", f"--config-dir={drop_ins}", "--image-gc-high-threshold=95"]


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        pytest.param([], "max_pods", 30, id="no flag: the drop-in's"),
        pytest.param(["--max-pods=7"], "max_pods", 7, id="a number"),
        pytest.param(["--max_pods=0x10"], "max_pods", 16, id="written with an underscore, and in hex"),
        pytest.param(["--max-pods=0"], "max_pods", 0, id="a zero is meant, unlike in the file"),
        pytest.param(
            ["--eviction-hard=memory.available<100Mi, nodefs.available<10%"],
            "eviction_hard",
            limits(memory_available="100Mi", nodefs_available="10%"),
            id="a map replaces the file's as a whole",
        ),
        pytest.param(
            ["--eviction-hard=memory.available<100Mi", "--eviction-hard=pid.available<9%,memory.available<50Mi"],
            "eviction_hard",
            limits(memory_available="50Mi", pid_available="9%"),
            id="given twice, the second adds to the first",
        ),
        pytest.param(["--eviction-hard="], "eviction_hard", {}, id="an empty map: no thresholds at all"),
        pytest.param(
            ["--eviction-soft=memory.available<2Gi", "--eviction-soft-grace-period=memory.available=1m30s"],
            "eviction_soft_grace_period",
            {"memory.available": 90.0},
            id="a map of durations",
        ),
        pytest.param(
            ["--eviction-minimum-reclaim=imagefs.available=2Gi,nodefs.available=5%"],
            "eviction_minimum_reclaim",
            limits(imagefs_available="2Gi", nodefs_available="5%"),
            id="what is won back at least",
        ),
        pytest.param(["--eviction-max-pod-grace-period=-1"], "eviction_max_pod_grace_period", -1, id="below zero"),
        pytest.param(
            ["--kube-reserved=cpu=200m,ephemeral-storage=1Gi"],
            "kube_reserved",
            {"cpu": quantity.parse("200m"), "ephemeral-storage": quantity.parse("1Gi")},
            id="a map of amounts replaces the file's and the drop-in's",
        ),
        pytest.param(
            ["--feature-gates=B=true,C=0"],
            "feature_gates",
            {"A": True, "B": True, "C": False},
            id="feature gates go over the file's one by one",
        ),
        pytest.param(["--seccomp-default=false"], "seccomp_default", True, id="this one can only turn on"),
        pytest.param(
            ["--register-with-taints=x=y:NoSchedule,z:NoExecute"],
            "register_with_taints",
            (Taint(key="x", value="y", effect="NoSchedule"), Taint(key="z", effect="NoExecute")),
            id="taints",
        ),
        pytest.param(
            ["--register-with-taints=x:NoSchedule", "--register-with-taints="],
            "register_with_taints",
            (),
            id="of taints the last word counts, which may be none",
        ),
        pytest.param(
            ["--allowed-unsafe-sysctls=net.b,net.c", "--allowed-unsafe-sysctls=kernel.msg*"],
            "allowed_unsafe_sysctls",
            ("net.b", "net.c", "kernel.msg*"),
            id="a list replaces the file's; given twice, it grows",
        ),
        pytest.param(["--image-gc-low-threshold=80"], "image_gc_low_threshold_percent", 80, id="of another name"),
        pytest.param(["--minimum-image-ttl-duration=1h"], "image_minimum_gc_age", 3600.0, id="a duration"),
        pytest.param(
            ["--reserved-memory=0:memory=1Gi,hugepages-2Mi=4Mi;1:memory=2Gi", "--reserved-memory=2:memory=1"],
            "reserved_memory",
            (
                MemoryReservation(
                    numa_node=0, limits={"memory": quantity.parse("1Gi"), "hugepages-2Mi": quantity.parse("4Mi")}
                ),
                MemoryReservation(numa_node=1, limits={"memory": quantity.parse("2Gi")}),
                MemoryReservation(numa_node=2, limits={"memory": quantity.parse("1")}),
            ),
            id="memory of NUMA nodes",
        ),
        pytest.param(
            ["--manifest-url-header=a:hello,b:again", "--manifest-url-header=c:x:y"],
            "static_pod_url_header",
            {"a": ("hello",), "b": ("again",), "c": ("x:y",)},
            id="headers",
        ),
        pytest.param(
            ["--cpu-manager-policy-options=a=b,c"], "cpu_manager_policy_options", {"a": "b,c"}, id="a single pair"
        ),
    ],
)
def test_a_flag_goes_over_the_file_and_its_drop_ins(
    monkeypatch: pytest.MonkeyPatch, files: list[str], arguments: list[str], field: str, value: Any
) -> None:
    assert getattr(ran_with(monkeypatch, *files, *arguments), field) == value


@pytest.mark.parametrize(
    ("arguments", "verbosity"),
    [
        pytest.param([], 5, id="the file's"),
        pytest.param(["-v", "2"], 2, id="less than the file's"),
        pytest.param(["--v=0"], 0, id="none at all"),
    ],
)
def test_how_much_is_logged(
    monkeypatch: pytest.MonkeyPatch, files: list[str], arguments: list[str], verbosity: int
) -> None:
    assert ran_with(monkeypatch, *files, *arguments).logging.verbosity == verbosity


def test_verbosity_by_module(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = (FileVerbosity(file_pattern="pod*", verbosity=4), FileVerbosity(file_pattern="images", verbosity=2))
    assert ran_with(monkeypatch, "--vmodule=pod*=4,images=2").logging.vmodule == wanted


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        pytest.param("--max-pods=many", "argument --max-pods: expected an integer of at least 0", id="words"),
        pytest.param("--port=70000", "argument --port: expected an integer from 1 to 65535, got 70000", id="too much"),
        pytest.param("--eviction-hard=memory.available=1Gi", "--eviction-hard: expected name<value", id="a mark"),
        pytest.param("--eviction-hard=pid.available<1GB", "--eviction-hard: pid.available: '1GB'", id="no amount"),
        pytest.param("--eviction-hard=memory.available<101%", "from 0% to 100%", id="more than there is"),
        pytest.param("--eviction-hard=disk<1Gi", "--eviction-hard: evictionHard[disk]: unknown signal", id="no signal"),
        pytest.param(
            "--eviction-soft=memory.available<1Gi",
            "--eviction-soft: evictionSoft[memory.available]: needs an entry in evictionSoftGracePeriod",
            id="a soft limit without its period",
        ),
        pytest.param("--kube-reserved=cpu", "--kube-reserved: expected name=value,...", id="a name alone"),
        pytest.param("--feature-gates=A=maybe", "--feature-gates: A: expected true or false", id="no boolean"),
        pytest.param("--cgroup-driver=systemctl", "--cgroup-driver: expected one of 'cgroupfs'", id="no such choice"),
        pytest.param("--sync-frequency=10", "--sync-frequency: '10' is not a duration", id="a duration with no unit"),
        pytest.param("--address=here", "--address: address: expected an IP address, got 'here'", id="no address"),
        pytest.param("--register-with-taints=a=b", "--register-with-taints: expected key=value:", id="no effect"),
        pytest.param("--register-with-taints=a:NoExecute,a=b:NoExecute", "two taints a:NoExecute", id="twice"),
        pytest.param("--image-gc-high-threshold=70", "90 must be less than", id="with the file"),
        pytest.param(
            "--allowed-unsafe-sysctls=net.a,kernel.pid_max",
            "--allowed-unsafe-sysctls: allowedUnsafeSysctls[1]: the sysctls 'kernel.pid_max' are not known",
            id="a sysctl of the whole machine",
        ),
        pytest.param("--no-such-flag", "unrecognized arguments: --no-such-flag", id="no such flag"),
    ],
)
def test_a_mistake_is_told_with_the_flags_name(
    capsys: pytest.CaptureFixture[str], files: list[str], argument: str, says: str
) -> None:
    try:
        code: Any = cli.main(["--kubeconfig=k", *files, argument])
    except SystemExit as ended:
        code = ended.code
    assert code == 1
    assert says in capsys.readouterr().err


def test_a_flag_mends_what_is_wrong_in_the_file_only_if_it_replaces_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"{CONFIG}evictionHard: {{disk: 1Gi}}\n")
    ran_with(monkeypatch, f"--config={config}", "--eviction-hard=memory.available<1Gi")
    assert cli.main([f"--config={config}", "--kubeconfig=k", "--max-pods=3"]) == 1
    assert "config.yaml:3: evictionHard[disk]: unknown signal" in capsys.readouterr().err


def test_drop_ins_alone_go_over_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "10.conf").write_text(f"{CONFIG}maxPods: 30\n")
    assert ran_with(monkeypatch, f"--config-dir={tmp_path}").max_pods == 30


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        pytest.param("--registry-qps=9", "--registry-qps: registryPullQPS: has no effect yet: ", id="a field's"),
        pytest.param("--lock-file=x", "--lock-file has no effect", id="one that has no field"),
        pytest.param("--registry-qps=5", "", id="the default"),
        pytest.param("--max-pods=5", "", id="one that works"),
    ],
)
def test_a_flag_without_effect_is_warned_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, argument: str, says: str
) -> None:
    given = cli._parser().parse_args(["--kubeconfig=k", argument])
    _, warnings = cli._settings(given)
    assert [text[: len(says)] for text in warnings] == ([says] if says else [])


def test_every_flag_of_the_genuine_kubelet_is_taken() -> None:
    path = gotypes.CACHE / OPTIONS
    if not path.exists():
        pytest.skip("the Go module cache has no Kubernetes: go mod download k8s.io/kubernetes@v1.37.2")
    genuine = set(re.findall(r'^\tfs\.\w*Var\([^"]*?, "([a-z0-9-]+)"', path.read_text(), re.M))
    assert len(genuine) > 100
    ours = {flag.name for flag in flags.FIELDS} | set(flags.IGNORED) | NOT_FIELDS
    assert sorted(genuine - ours) == []
