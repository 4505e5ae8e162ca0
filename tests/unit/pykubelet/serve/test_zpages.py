"""/statusz, /flagz and /debug, in the forms in which they may be asked for."""

import asyncio
import datetime as dt
import logging
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request

from nodekit.config_logging import Logging
from nodekit.serve.zpages import Flagz, Statusz
from pykubelet import cli, flags
from pykubelet.serve import debug

STATUSZ = Statusz(
    "kubelet", version="1.37.2", started=dt.datetime(2026, 11, 6, 1, 2, 3, tzinfo=dt.UTC), paths=("/healthz",)
)
STRUCTURED = "application/json;g=config.k8s.io;v=v1beta1;as=Statusz"


def asking(accept: str, *, method: str = "GET", **more: Any) -> web.Request:
    return make_mocked_request(method, "/", headers={"Accept": accept}, **more)


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        pytest.param("", 200, "text/plain; charset=utf-8", id="text when nothing is asked for"),
        pytest.param("*/*", 200, "text/plain; charset=utf-8", id="text when anything is"),
        pytest.param(STRUCTURED, 200, STRUCTURED, id="an object"),
        pytest.param(STRUCTURED.replace("json", "yaml"), 200, STRUCTURED.replace("json", "yaml"), id="in YAML"),
        pytest.param(f"text/html, {STRUCTURED}", 200, STRUCTURED, id="the second of two"),
        pytest.param("application/json", 406, "application/json", id="an object of no version"),
        pytest.param(STRUCTURED.replace("Statusz", "Flagz"), 406, "application/json", id="another object"),
        pytest.param("text/html", 406, "application/json", id="a page"),
    ],
)
async def test_statusz_answers_in_the_form_asked_for(accept: str, status: int, kind: str) -> None:
    answer = await STATUSZ.get(asking(accept))
    assert (answer.status, answer.headers["Content-Type"]) == (status, kind)


async def test_statusz_tells_since_when_it_runs() -> None:
    text = str((await STATUSZ.get(asking(""))).text)
    assert text.startswith("\nkubelet statusz\nWarning: ")
    assert "\n\nStarted: Fri Nov  6 01:02:03 UTC 2026\nUp: " in text
    old = await STATUSZ.get(asking(STRUCTURED.replace("v1beta1", "v1alpha1")))
    assert "deprecated" in old.headers["Warning"]
    found = msgspec.json.decode(old.body)  # type: ignore[arg-type]
    assert (found["kind"], found["apiVersion"], found["startTime"]) == (
        "Statusz",
        "config.k8s.io/v1alpha1",
        "2026-11-06T01:02:03Z",
    )


@pytest.mark.parametrize(
    ("words", "name", "text"),
    [
        pytest.param([], "port", "10250", id="a default of the configuration"),
        pytest.param(["--cluster-dns=198.18.64.10,fd00::a"], "cluster-dns", "[198.18.64.10,fd00::a]", id="a list"),
        pytest.param(["--node-labels=a=b,c=d"], "node-labels", "[a=b,c=d]", id="labels"),
        pytest.param(["--register-with-taints=a=b:NoExecute"], "register-with-taints", "[a=b:NoExecute]", id="taints"),
        pytest.param(["--eviction-hard=b<1%,a<1Gi"], "eviction-hard", "a<1Gi,b<1%", id="limits, by name"),
        pytest.param(["--feature-gates=B=1,A=f"], "feature-gates", "A=false,B=true", id="feature gates"),
        pytest.param(["--kube-reserved=memory=1024Mi"], "kube-reserved", "memory=1Gi", id="amounts"),
        pytest.param(["--vmodule=pod*=4"], "vmodule", "[pod*=4]", id="a verbosity of some files"),
        pytest.param(["--runtime-request-timeout=90s"], "runtime-request-timeout", "1m30s", id="a duration"),
        pytest.param(["--fail-swap-on=false"], "fail-swap-on", "false", id="a switch"),
        pytest.param(["--client-ca-file=/etc/ca.crt"], "client-ca-file", "/etc/ca.crt", id="one of a section"),
        pytest.param(["--tls-min-version=VersionTLS13"], "tls-min-version", "VersionTLS13", id="one of some words"),
        pytest.param(["--event-qps=5"], "event-qps", "5", id="one that has no effect, but was given"),
    ],
)
async def test_flagz_shows_flags_as_they_are(words: list[str], name: str, text: str) -> None:
    parser = cli._parser()
    shown = flags.shown(parser, parser.parse_args(words))
    assert shown[name] == text
    assert f"\n{name}={text}\n" in str((await Flagz("kubelet", shown).get(asking(""))).text)


def body(data: bytes) -> StreamReader:
    loop = asyncio.get_running_loop()
    reader = StreamReader(BaseProtocol(loop), 1 << 16, loop=loop)
    reader.feed_data(data)
    reader.feed_eof()
    return reader


@pytest.mark.parametrize(
    ("method", "data", "status", "level"),
    [
        pytest.param("PUT", b"5", 200, logging.DEBUG, id="more"),
        pytest.param("PUT", b"0", 200, logging.INFO, id="less"),
        pytest.param("PUT", b"-1", 400, None, id="what is no number"),
        pytest.param("GET", b"", 406, None, id="it cannot be read"),
    ],
)
async def test_verbosity_is_changed_while_running(
    method: str, data: bytes, status: int, level: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Logging] = []
    monkeypatch.setattr(debug.logs, "setup", told.append)
    request = asking("", method=method, payload=body(data))
    answer = await debug.Verbosity(Logging(), enabled=True).put(request)
    assert answer.status == status
    assert [(logging.DEBUG if one.verbosity >= 4 else logging.INFO) for one in told] == ([level] if level else [])


async def test_tasks_are_shown_by_name_with_the_line_they_wait_at() -> None:
    text = debug.tasks()
    assert "test_zpages.py" in text
