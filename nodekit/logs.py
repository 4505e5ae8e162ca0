"""Log lines in klog shape or JSON, at the verbosity the command line or the configuration asked for.

    I1124 10:15:01.123456    4242 pod_worker.py:77] Started the container pod="default/web" container="app"

`log.info("Started the container", extra=logs.fields(pod=key, container=name))`. Verbosity below 4 shows info and above,
4 and more debug too, 6 and more the debug lines of the libraries as well.
"""

import fnmatch
import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TextIO

from nodekit.config_logging import Logging

_LETTERS: Final = {
    logging.DEBUG: "I",
    logging.INFO: "I",
    logging.WARNING: "W",
    logging.ERROR: "E",
    logging.CRITICAL: "F",
}
_FIELDS: Final = "klog_fields"
_DEBUG: Final = 4
_LIBRARIES: Final = 6
_OURS: Final = ("nodekit", "pykubelet", "pyproxy")


def fields(**named: object) -> dict[str, Any]:
    """Key-value pairs for a log call's `extra`."""
    return {_FIELDS: named}


def setup(settings: Logging, *, stream: TextIO | None = None) -> None:
    """Send every log line to `stream` (standard error), as the settings say; replaces what an earlier call set up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else KlogFormatter())
    handler.addFilter(_Verbosity(settings))
    root = logging.getLogger()
    for other in root.handlers[:]:
        root.removeHandler(other)
    root.addHandler(handler)
    most = max([settings.verbosity, *(item.verbosity for item in settings.vmodule)])
    root.setLevel(logging.DEBUG if most >= _DEBUG else logging.INFO)
    logging.captureWarnings(True)


class _Verbosity(logging.Filter):
    """Lets a record through if the verbosity of its file allows."""

    def __init__(self, settings: Logging) -> None:
        super().__init__()
        self._verbosity = settings.verbosity
        self._modules = [(item.file_pattern, item.verbosity) for item in settings.vmodule]

    def filter(self, record: logging.LogRecord) -> bool:
        ours = record.name.partition(".")[0] in _OURS
        if record.levelno >= (logging.INFO if ours else logging.WARNING):
            return True
        verbosity = self._verbosity
        for pattern, other in self._modules:
            if fnmatch.fnmatch(record.module, pattern):
                verbosity = other
                break
        return verbosity >= (_DEBUG if ours else _LIBRARIES)


class KlogFormatter(logging.Formatter):
    """One record in klog's text form."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; further ones (a traceback, a message of several lines) begin with a tab, so that none is forged."""
        when = datetime.fromtimestamp(record.created)
        letter = _LETTERS.get(record.levelno, "I")
        head = f"{letter}{when:%m%d %H:%M:%S.%f} {record.process or os.getpid():7d} {record.filename}:{record.lineno}]"
        pairs = "".join(f" {name}={_quoted(value)}" for name, value in _pairs(record).items())
        text = f"{head} {record.getMessage()}{pairs}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text.replace("\r", "\\r").replace("\n", "\n\t")


class JsonFormatter(logging.Formatter):
    """One record in the form of Kubernetes' JSON logs."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "ts": round(record.created * 1000, 3),
            "caller": f"{record.filename}:{record.lineno}",
            "msg": record.getMessage(),
        }
        if record.levelno < logging.WARNING:
            line["v"] = _DEBUG if record.levelno < logging.INFO else 0
        else:
            line["level"] = record.levelname.lower()
        line |= {
            name: value if isinstance(value, int | float) else str(value) for name, value in _pairs(record).items()
        }
        if record.exc_info:
            line["err"] = str(record.exc_info[1])
            line["stacktrace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _pairs(record: logging.LogRecord) -> Mapping[str, object]:
    found = getattr(record, _FIELDS, {})
    return found if isinstance(found, Mapping) else {}


def _quoted(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else json.dumps(str(value), ensure_ascii=False)
