"""What a person types, and what is told in answer."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from devcluster import cli, kube, layout, netns, packages, pki, registry, shell, status
from devcluster.progress import Reporter


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        pytest.param(["kubectl", "get", "pods"], ["get", "pods"], id="a verb first"),
        pytest.param(["kubectl", "-n", "hello", "get", "pods"], ["-n", "hello", "get", "pods"], id="an option first"),
        pytest.param(["--name", "x", "kubectl", "--help"], ["--help"], id="kubectl's own help"),
        pytest.param(["kubectl", "--", "get", "pods"], ["get", "pods"], id="set apart"),
    ],
)
def test_what_comes_after_kubectl_is_kubectls(
    typed: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(cli.state, "need", lambda _: None)
    monkeypatch.setattr(cli, "_become", became.append)
    assert cli.main(typed) == 0
    assert became[0][1:] == expected


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param(["run", "--", "kubectl", "get", "pods"], id="in the control plane's network"),
        pytest.param(["--name", "kubectl", "run", "--", "kubectl", "get", "pods"], id="of a cluster of that name"),
        pytest.param(["--quiet", "exec", "n1", "--", "kubectl", "get", "pods"], id="on a node"),
    ],
)
def test_a_program_of_that_name_is_a_program(typed: list[str]) -> None:
    options = cli._options(typed)
    assert cli._command(options) == ["kubectl", "get", "pods"]


@pytest.mark.parametrize(
    ("user", "alias"),
    [
        pytest.param("", "alias kubectl=/x/kubectl", id="root"),
        pytest.param("me", "alias kubectl='sudo /x/kubectl'", id="somebody by sudo"),
    ],
)
def test_how_to_go_on_from_there(user: str, alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", user)
    assert alias in status.hints(layout.Layout("dev", Path("/x"))).splitlines()


def test_a_package_is_taken_apart_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def logged(what: str, argv: list[object], *, log: Path, cwd: Path | None = None, **_: object) -> None:
        words = [str(word) for word in argv]
        asked.append(words[:2])
        if words[:2] == ["apt-get", "download"]:
            assert cwd is not None
            (cwd / f"{words[2]}_1.0_amd64.deb").touch()
        if words[0] == "dpkg-deb":
            program = Path(words[3]) / "usr/bin/docker-registry"
            program.parent.mkdir(parents=True)
            program.write_text("a program")

    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shell, "logged", logged)
    monkeypatch.setattr(packages.shell, "has", lambda _: True)
    found = registry.program(Reporter(quiet=True))
    assert found.read_text() == "a program"
    assert ["apt-get", "install"] not in asked
    asked.clear()
    assert registry.program(Reporter(quiet=True)) == found
    assert asked == [], "it is there already"


def refused(*_: object) -> None:
    raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def no_api_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netns, "connect", refused)
    authority = pki.authority(layout.state_home(), "ca", "kubernetes")
    kube.Client("dev-cp", "198.18.0.2", 6443, authority.cert, authority).delete("/api/v1/nodes/n1")


def full_disk(_: pytest.MonkeyPatch) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/var/x")


def forbidden(_: pytest.MonkeyPatch) -> None:
    error = kube.ApiError(403, "not you")
    error.add_note("n2: nor there")
    raise error


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        pytest.param(
            no_api_server,
            ["the API server can't be reached: https://198.18.0.2:6443: [Errno 111]", "`make status`"],
            id="no API server",
        ),
        pytest.param(full_disk, ["the disk is full", "/var/x", "df -h"], id="a full disk"),
        pytest.param(forbidden, ["refused it: 403: not you", "also: n2: nor there"], id="a refusal"),
    ],
)
def test_what_no_step_foresaw_is_told_without_a_traceback(
    happens: Callable[[pytest.MonkeyPatch], None],
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DEVCLUSTER_STATE", str(tmp_path))
    monkeypatch.setattr(cli.cluster, "remove_node", lambda *_: happens(monkeypatch))
    assert cli.main(["node", "remove", "n1"]) == 1
    told = capsys.readouterr().err
    for part in ("node remove failed: ", "what to do: ", *said):
        assert part in told
