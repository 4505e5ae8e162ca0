"""Log lines look like klog's."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from nodekit import logs
from nodekit.config_logging import FileVerbosity, Logging


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        yield io.StringIO()
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = before
        root.setLevel(level)


log = logging.getLogger("pykubelet.test")


def test_a_line_has_severity_time_pid_place_message_and_pairs(stream: io.StringIO) -> None:
    logs.setup(Logging(), stream=stream)
    log.warning("Could not %s", "start", extra=logs.fields(pod="default/web", tries=3, last=True))
    shape = (
        r'W\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ test_logs\.py:\d+\] Could not start pod="default/web" tries=3 last=true\n'
    )
    assert re.fullmatch(shape, stream.getvalue())


def test_no_line_can_be_forged(stream: io.StringIO) -> None:
    logs.setup(Logging(), stream=stream)
    log.info("a\nI1124 b", extra=logs.fields(c="d\ne"))
    assert [line[0] for line in stream.getvalue().splitlines()] == ["I", "\t"]


def test_a_traceback_follows_its_line(stream: io.StringIO) -> None:
    logs.setup(Logging(), stream=stream)
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        log.exception("Oh")
    assert stream.getvalue().endswith("RuntimeError: broken\n")


@pytest.mark.parametrize(
    ("settings", "seen"),
    [
        pytest.param(Logging(), ["info"], id="by default info is seen"),
        pytest.param(Logging(verbosity=4), ["info", "debug"], id="4 shows debug"),
        pytest.param(Logging(verbosity=6), ["info", "debug", "library"], id="6 shows the libraries' debug"),
        pytest.param(
            Logging(vmodule=(FileVerbosity(file_pattern="test_*", verbosity=4),)),
            ["info", "debug"],
            id="a file may have another verbosity",
        ),
    ],
)
def test_verbosity(stream: io.StringIO, settings: Logging, seen: list[str]) -> None:
    logs.setup(settings, stream=stream)
    log.info("info")
    log.debug("debug")
    logging.getLogger("aiohttp.client").debug("library")
    assert [line.rpartition(" ")[2] for line in stream.getvalue().splitlines()] == seen


def test_json(stream: io.StringIO) -> None:
    logs.setup(Logging(format="json"), stream=stream)
    log.error("no", extra=logs.fields(pod="p"))
    line = json.loads(stream.getvalue())
    assert {name: line[name] for name in ("msg", "level", "pod")} == {"msg": "no", "level": "error", "pod": "p"}
