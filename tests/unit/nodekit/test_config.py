"""Configuration is read strictly, and every mistake is told with its place."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodekit import config, config_types, duration
from nodekit.config_types import Amount, Duration, Given, Section
from nodekit.objects import quantity

HEAD = "apiVersion: test/v1\nkind: Test\n"


class Inner(Section):
    cache_ttl: Duration = 120.0
    enabled: bool = True


class Whole(Section):
    name: str = "default"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 10250
    health: Given[Annotated[int, msgspec.Meta(ge=0, le=65535)]] = 10248
    mode: Literal["a", "b"] = "a"
    wait: Duration = 60.0
    size: Amount = quantity.parse("10Mi")
    limits: dict[str, Amount] = {}
    servers: tuple[str, ...] = ()
    enforce: Given[tuple[str, ...]] = ("pods",)
    inner: Inner = Inner()
    inners: tuple[Inner, ...] = ()
    maybe: int | None = None
    factor: float = 1.0


def read(tmp_path: Path, *texts: str) -> config.Document[Whole]:
    paths = []
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        paths.append(path)
    return config.read(paths, Whole, api_version="test/v1", kind="Test")


def test_every_type_is_read(tmp_path: Path) -> None:
    document = read(
        tmp_path,
        HEAD + "name: n\nport: 1\nhealth: 0\nmode: b\nwait: 1m30s\nsize: 1Gi\nlimits: {cpu: 500m, memory: '1'}\n"
        "servers: [a, b]\nenforce: []\ninner: {cacheTTL: 5s, enabled: false}\ninners: [{cacheTTL: 1s}]\nmaybe: 0\n"
        "factor: 2\n",
    )
    assert document.problems == []
    assert document.settings == Whole(
        name="n",
        port=1,
        health=0,
        mode="b",
        wait=90.0,
        size=quantity.parse("1Gi"),
        limits={"cpu": quantity.parse("500m"), "memory": quantity.parse("1")},
        servers=("a", "b"),
        enforce=(),
        inner=Inner(cache_ttl=5.0, enabled=False),
        inners=(Inner(cache_ttl=1.0),),
        maybe=0,
        factor=2.0,
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name: ''\nport: 0\nmode: ''\nwait: 0s\nsize: '0'\nlimits: {}\nservers: []\ninner: {}\nfactor: 0\n",
        "name: null\nport: ~\nhealth:\ninner:\n  cacheTTL: 0s\n",
    ],
    ids=["an empty file", "zeros as kubeadm writes them", "nulls"],
)
def test_what_means_default(tmp_path: Path, text: str) -> None:
    document = read(tmp_path, HEAD + text)
    assert document.problems == []
    assert document.settings == Whole()
    assert not document.is_set("port")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("prot: 1", "3: prot: unknown field; did you mean 'port'?", id="a slip of the pen"),
        pytest.param("Port: 1", "3: Port: unknown field; did you mean 'port'?", id="wrong case"),
        pytest.param("zzz: 1", "3: zzz: unknown field", id="nothing near"),
        pytest.param("port: '1'", "3: port: expected an integer from 1 to 65535, got the string '1'", id="quoted"),
        pytest.param("port: 70000", "3: port: expected an integer from 1 to 65535, got 70000", id="out of range"),
        pytest.param("name: 5", "3: name: expected a string, got the number 5", id="a number for a string"),
        pytest.param("mode: c", "3: mode: expected one of 'a', 'b', got the string 'c'", id="not a choice"),
        pytest.param("wait: 90", '3: wait: expected a duration such as "1m30s", got the number 90', id="bare number"),
        pytest.param("wait: 9x", "3: wait: '9x' is not a duration", id="bad duration"),
        pytest.param("limits: {cpu: x}", "3: limits[cpu]: 'x' is not a quantity", id="bad quantity"),
        pytest.param("servers: a", "3: servers: expected a list, got the string 'a'", id="not a list"),
        pytest.param("inner: []", "3: inner: expected a table of fields, got a list", id="not a table"),
        pytest.param(
            "inner:\n  enabled: maybe",
            "4: inner.enabled: expected true or false, got the string 'maybe'",
            id="in a nested table",
        ),
        pytest.param(
            "inners:\n- cacheTTL: 1s\n- cachettl: 1s",
            "5: inners[1].cachettl: unknown field; did you mean 'cacheTTL'?",
            id="in a list",
        ),
        pytest.param("name: a\nname: b", "4: 'name' stands twice", id="a key that stands twice"),
    ],
)
def test_mistakes(tmp_path: Path, line: str, said: str) -> None:
    document = read(tmp_path, HEAD + line + "\n")
    assert str(document.problems[0]).startswith(f"{tmp_path}/0.yaml:{said}")
    assert len(document.problems) == 1


def test_all_mistakes_are_told_in_order(tmp_path: Path) -> None:
    document = read(tmp_path, "kind: Other\nport: x\ninner: {enabled: 1}\nnope: 1\n")
    error = config.ConfigError(reversed(document.problems))
    assert [line.split(": ", 1)[0].rsplit(":", 1)[1] for line in str(error).splitlines()] == ["1", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "0.yaml:1: not YAML"), ("a: 1\n---\nb: 2\n", "0.yaml:2: not YAML"), ("a\tb: 1\n\t- x", "not YAML")],
    ids=["an open bracket", "two documents", "tabs"],
)
def test_what_is_not_one_yaml_document(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(config.ConfigError, match=said):
        read(tmp_path, text)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match=r"no\.yaml:1: cannot be read: No such file"):
        config.read([tmp_path / "no.yaml"], Whole, api_version="test/v1", kind="Test")


def test_later_files_are_laid_over_earlier_ones(tmp_path: Path) -> None:
    document = read(
        tmp_path,
        HEAD + "port: 1\nservers: [a]\nlimits: {cpu: '1', memory: 1Gi}\n",
        HEAD + "servers: [b]\nlimits: {memory: 2Gi, cpu: null}\n",
        HEAD + "\n\nwait: 5x\n",
    )
    assert document.settings.port == 1
    assert document.settings.servers == ("b",)
    assert document.settings.limits == {"memory": quantity.parse("2Gi")}
    assert str(document.problems[0]).startswith(f"{tmp_path}/2.yaml:5: wait:")


def test_a_problem_of_a_callers_finds_its_line(tmp_path: Path) -> None:
    document = read(tmp_path, HEAD + "limits:\n  cpu: '1'\ninners:\n- cacheTTL: 1s\n")
    places = {path: str(document.problem(path, "no").place) for path in ("limits[cpu]", "inners[0].enabled", "name")}
    assert {path: place.rsplit(":", 1)[1] for path, place in places.items()} == {
        "limits[cpu]": "4",
        "inners[0].enabled": "6",
        "name": "1",
    }


def test_rendering_and_reading_gives_the_same(tmp_path: Path) -> None:
    whole = Whole(wait=0.25, maybe=3, limits={"cpu": quantity.parse("1500m")}, inners=(Inner(cache_ttl=3661.5),))
    text = HEAD + msgspec.yaml.encode(config.render(whole)).decode()
    document = read(tmp_path, text)
    assert document.problems == []
    assert document.settings == whole


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("1m30s", 90.0),
        ("1.5h", 5400.0),
        ("-1s", -1.0),
        (".5s", 0.5),
        ("1h0m0.25s", 3600.25),
        ("300ms", 0.3),
        ("2us", 2e-6),
        ("1h1ns", 3600.000000001),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "s", "1 s", "1d", "1m30", "--1s", "1s2"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration.parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (90, "1m30s"), (3600, "1h0m0s"), (0.1, "100ms"), (1.5, "1.5s"), (2e-6, "2µs"), (-5, "-5s")],
)
def test_durations_print_as_in_go(seconds: float, text: str) -> None:
    assert duration.text(seconds) == text


@given(st.integers(0, 10**15))
def test_durations_print_and_parse_back(nanos: int) -> None:
    seconds = nanos / 1e9
    assert duration.parse(duration.text(seconds)) == pytest.approx(seconds, abs=1e-9)


def test_types_without_a_rule_are_named() -> None:
    assert config_types.expected(config_types.plain(str)) == "a string"
