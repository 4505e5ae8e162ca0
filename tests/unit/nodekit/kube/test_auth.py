"""Kubeconfigs are read as kubectl reads them, and what is wrong in one is said."""

import base64
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodekit.kube import auth


def kubeconfig(folder: Path, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> Path:
    path = folder / "it.conf"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "current-context": "it",
        "clusters": [{"name": "c", "cluster": cluster or {"server": "https://one:6443"}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "it", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize(
    ("cluster", "servers"),
    [
        pytest.param({"server": "https://one:6443/"}, ("https://one:6443",), id="one server"),
        pytest.param({"server": "https://a, https://b"}, ("https://a", "https://b"), id="several, with commas"),
        pytest.param(
            {"server": "https://a", "servers": ["https://b", "https://a"]},
            ("https://a", "https://b"),
            id="more of them in a list, each once",
        ),
    ],
)
def test_servers(tmp_path: Path, cluster: dict[str, Any], servers: tuple[str, ...]) -> None:
    assert auth.load(kubeconfig(tmp_path, cluster=cluster)).cluster.servers == servers


def test_a_kubeconfig_that_changed_is_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = kubeconfig(tmp_path, cluster={"server": "https://one"}, user={"token": "a"})
    credentials = auth.load(path)
    assert not credentials.reread()
    kubeconfig(tmp_path, cluster={"server": "https://one"}, user={"token": "longer"})
    assert not credentials.reread(), "the cluster is the same"
    assert credentials.headers() == {"Authorization": "Bearer longer"}
    kubeconfig(tmp_path, cluster={"server": "https://another"}, user={"token": "a"})
    assert credentials.reread()
    assert credentials.cluster.servers == ("https://another",)
    path.write_text("half of")
    assert not credentials.reread()
    assert not credentials.reread()
    assert caplog.text.count("what was in the kubeconfig before goes on being used") == 1
    assert credentials.cluster.servers == ("https://another",)


def test_whoever_has_another_identity_keeps_it_when_the_kubeconfig_changes(tmp_path: Path) -> None:
    credentials = auth.load(kubeconfig(tmp_path, cluster={"server": "https://one"}, user={"token": "a"}))
    credentials.identity = auth.Identity(token=auth.Source(data=b"renewed"))
    kubeconfig(tmp_path, cluster={"server": "https://another"}, user={"token": "longer"})
    assert credentials.reread()
    assert credentials.headers() == {"Authorization": "Bearer renewed"}


def test_another_server_stays_in_place_of_those_of_the_kubeconfig(tmp_path: Path) -> None:
    credentials = auth.load(kubeconfig(tmp_path, cluster={"server": "https://one"}, user={"token": "a"}))
    credentials = credentials.at("https://mine:6443/")
    kubeconfig(tmp_path, cluster={"server": "https://another"}, user={"token": "longer"})
    assert not credentials.reread()
    assert credentials.cluster.servers == ("https://mine:6443",)
    assert credentials.headers() == {"Authorization": "Bearer longer"}


def test_a_token_file_is_read_again_each_time(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    credentials = auth.load(kubeconfig(tmp_path, user={"tokenFile": "token", "token": "ignored"}))
    assert credentials.headers() == {"Authorization": "Bearer one"}
    (tmp_path / "token").write_text("two\n")
    assert credentials.headers() == {"Authorization": "Bearer two"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"current-context": "other"}, "no context 'other'; known: it", id="no such context"),
        pytest.param({"clusters": None}, "no cluster 'c'; known: none", id="no clusters"),
        pytest.param({"users": [{"name": "u", "user": {"token": 5}}]}, "not a kubeconfig: .*token", id="a wrong type"),
        pytest.param({"users": [{"name": "u", "user": {"username": "me"}}]}, "'u' signs in by", id="a password"),
        pytest.param(
            {"users": [{"name": "u", "user": {"client-key-data": "%"}}]}, "is not base64", id="data that is no base64"
        ),
        pytest.param({"clusters": [{"name": "c", "cluster": {}}]}, "no API server is named", id="no server"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = kubeconfig(tmp_path)
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    with pytest.raises(auth.AuthError, match=said):
        auth.load(path)


def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(auth.AuthError, match=r"no\.conf: No such file"):
        auth.load(tmp_path / "no.conf")


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    credentials = auth.load(kubeconfig(tmp_path, user={"client-certificate": "c.crt", "client-key": "c.key"}))
    with pytest.raises(auth.AuthError, match=r"c\.crt: No such file"):
        credentials.tls()


def test_an_authority_that_is_none_is_named(tmp_path: Path) -> None:
    data = base64.b64encode(b"nonsense").decode()
    cluster = {"server": "https://one", "certificate-authority-data": data}
    with pytest.raises(auth.AuthError, match="inline data: not a PEM certificate authority"):
        auth.load(kubeconfig(tmp_path, cluster=cluster)).tls()


@pytest.mark.parametrize(
    ("host", "server"), [("10.0.0.1", "https://10.0.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")]
)
def test_in_a_pod(host: str, server: str) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "6443"}
    assert auth.in_cluster(environment).cluster.servers == (server,)


def test_outside_of_a_pod() -> None:
    with pytest.raises(auth.AuthError, match="not in a Pod"):
        auth.in_cluster({})


def plugin(folder: Path, script: str, **more: Any) -> auth.Credentials:
    path = folder / "sign-in"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(stat.S_IRWXU)
    entry = {"command": "./sign-in", "apiVersion": "client.authentication.k8s.io/v1", "args": ["a b"], **more}
    return auth.load(kubeconfig(folder, user={"exec": entry}))


def printed(**status: str) -> str:
    found = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return f"cat <<'END'\n{json.dumps(found)}\nEND\n"


async def test_a_plugin_signs_in_once_while_its_token_holds(tmp_path: Path) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    script = 'echo "$1 $HOW" >> "$OUT"\n' + printed(token="t", expirationTimestamp=later)
    out = tmp_path / "out"
    credentials = plugin(tmp_path, script, env=[{"name": "HOW", "value": "well"}, {"name": "OUT", "value": str(out)}])
    await credentials.prepare()
    await credentials.prepare()
    assert credentials.headers() == {"Authorization": "Bearer t"}
    assert out.read_text() == "a b well\n"
    assert credentials.refused()
    await credentials.prepare()
    assert out.read_text() == "a b well\n" * 2


async def test_a_plugin_signs_in_again_when_its_token_expired(tmp_path: Path) -> None:
    early = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    credentials = plugin(tmp_path, f"echo >> {tmp_path}/out\n" + printed(token="t", expirationTimestamp=early))
    await credentials.prepare()
    await credentials.prepare()
    assert (tmp_path / "out").read_text() == "\n\n"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param("echo no such user >&2; exit 3", "exit code 3: no such user", id="a failure"),
        pytest.param("echo hello", "printed no ExecCredential", id="no JSON"),
        pytest.param(printed(), "printed neither a token nor a certificate", id="nothing to use"),
        pytest.param(printed(token="t").replace("io/v1", "io/v1beta1"), "asked for", id="another version"),
    ],
)
async def test_what_a_plugin_did_wrong_is_said(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(auth.AuthError, match=f"sign-in: .*{said}"):
        await plugin(tmp_path, script).prepare()


async def test_a_plugin_signs_in_for_another_server_too(tmp_path: Path) -> None:
    credentials = plugin(tmp_path, printed(token="t")).at("https://mine:6443")
    await credentials.prepare()
    assert credentials.headers() == {"Authorization": "Bearer t"}


async def test_a_plugin_that_is_not_there(tmp_path: Path) -> None:
    credentials = plugin(tmp_path, "", installHint="get it from somewhere")
    os.remove(tmp_path / "sign-in")
    with pytest.raises(auth.AuthError, match=r"sign-in: cannot be run: No such file.*\(get it from somewhere\)"):
        await credentials.prepare()
