"""What a person types, and what is told in answer."""

from pathlib import Path

import pytest

from devcluster import cli, layout, packages, registry, shell, status
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
