"""The command line, as units and kubeadm write it for the genuine kubelet."""

from pathlib import Path

import pytest

from pykubelet import app, cli
from pykubelet.config.settings import Settings
from pykubelet.options import Options

CONFIG = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"


def started(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[Settings, Options]:
    """What the agent would run with."""
    found: list[tuple[Settings, Options]] = []
    monkeypatch.setattr(app, "main", lambda settings, options: found.append((settings, options)))
    assert cli.main(arguments) == 0
    return found[0]


def test_the_version_is_what_kubeadm_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "Kubernetes v1.37.2\n"


def test_the_command_line_of_a_unit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"{CONFIG}maxPods: 20\nclusterDomain: cluster.local\n")
    settings, options = started(
        monkeypatch,
        f"--config={config}",
        "--kubeconfig=/etc/kubernetes/kubelet.conf",
        "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf",
        "--container-runtime-endpoint=unix:///run/containerd/containerd.sock",
        "--pod-infra-container-image=registry.k8s.io/pause:3.10",
        "--hostname-override=Node-1",
        "--node-ip=198.18.0.5,fd00::5",
        "--node-labels=a=b,c=",
        "--register-with-taints=dedicated=db:NoSchedule,gpu:NoExecute",
        "--register-node=false",
        "--v=2",
    )
    assert (settings.max_pods, settings.cluster_domain) == (20, "cluster.local")
    assert options.node_name == "node-1"
    assert options.node_ips == ("198.18.0.5", "fd00::5")
    assert options.labels == (("a", "b"), ("c", ""))
    assert [(t.key, t.value, t.effect) for t in settings.register_with_taints] == [
        ("dedicated", "db", "NoSchedule"),
        ("gpu", "", "NoExecute"),
    ]
    assert options.register is False


@pytest.mark.parametrize(
    ("argument", "field", "value"),
    [
        pytest.param("--max-pods=7", "max_pods", 7, id="a number"),
        pytest.param("--cluster-dns=198.18.64.10,fd00::a", "cluster_dns", ("198.18.64.10", "fd00::a"), id="a list"),
        pytest.param("--fail-swap-on=false", "fail_swap_on", False, id="a boolean with a value"),
        pytest.param("--seccomp-default", "seccomp_default", True, id="a boolean without one"),
        pytest.param("--runtime-request-timeout=2m", "runtime_request_timeout", 120.0, id="a duration"),
        pytest.param("--pod-manifest-path=/m", "static_pod_path", "/m", id="a field of another name"),
    ],
)
def test_a_flag_goes_over_the_file(monkeypatch: pytest.MonkeyPatch, argument: str, field: str, value: object) -> None:
    settings, _ = started(monkeypatch, "--kubeconfig=k", argument)
    assert getattr(settings, field) == value


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--config=/nowhere/config.yaml", "--kubeconfig=k"], "/nowhere/config.yaml", id="no such file"),
        pytest.param([], "--kubeconfig is missing", id="no API server"),
        pytest.param(
            ["--kubeconfig=k", "--cloud-provider=aws"],
            "use --cloud-provider=external",
            id="a cloud that was built in once",
        ),
        pytest.param(["--kubeconfig=/nowhere/kubelet.conf"], "/nowhere/kubelet.conf", id="no such kubeconfig"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*arguments, "--node-ip=127.0.0.1"]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "argument",
    [
        pytest.param("--no-such-flag", id="an unknown flag"),
        pytest.param("--fail-swap-on=perhaps", id="no boolean"),
        pytest.param("--node-labels=a", id="a label without a value"),
        pytest.param("--register-with-taints=a=b:Sometimes", id="an effect there is not"),
    ],
)
def test_a_flag_that_makes_no_sense_is_refused(argument: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--kubeconfig=k", argument])
