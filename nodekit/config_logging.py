"""The `logging` table that both agents' configurations have. Source: k8s.io/component-base logs/api/v1."""

from typing import Annotated, Literal

import msgspec

from nodekit import duration
from nodekit.config_types import Amount, Section, Special
from nodekit.objects.quantity import Quantity


def _nanoseconds(text: str) -> float:
    return int(text) / 1e9


class Routing(Section):
    """Where a format's lines go."""

    split_stream: bool = False
    info_buffer_size: Amount = Quantity.of(0)


class Options(Section):
    """What each format may be told."""

    text: Routing = Routing()
    json: Routing = Routing()


class FileVerbosity(Section):
    """Another verbosity for the files that match."""

    file_pattern: str = ""
    verbosity: int = 0


class Logging(Section):
    """Format and verbosity of the log; seconds between flushes."""

    format: Literal["text", "json"] = "text"
    flush_frequency: Annotated[
        float,
        Special(
            duration.parse,
            duration.text,
            'a duration such as "5s", or an integer of nanoseconds',
            of_number=_nanoseconds,
        ),
    ] = 5.0
    verbosity: Annotated[int, msgspec.Meta(ge=0)] = 0
    vmodule: tuple[FileVerbosity, ...] = ()
    options: Options = Options()
