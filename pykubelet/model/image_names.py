"""Image names as Pods write them: are they names at all, and which tag is meant. No I/O.

Source: the grammar of github.com/distribution/reference.
"""

import re
from typing import Final

_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME: Final = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)


def full(name: str) -> str | None:
    """The name with the tag `latest` if it has neither tag nor digest; None if it is no image name."""
    found = _NAME.fullmatch(name)
    if found is None or len(found["name"]) > 255:
        return None
    return name if found["tag"] or found["digest"] else f"{name}:latest"


def bare(name: str) -> str:
    """The name as it is written, without tag and digest; all of it if it is no image name."""
    found = _NAME.fullmatch(name)
    return found["name"] if found else name


def repository(name: str) -> str:
    """The name without tag and digest, with the registry spelled out: `docker.io/library/nginx` for `nginx`."""
    written = bare(name)
    registry, slash, rest = written.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        registry, rest = "docker.io", written
    if registry == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    return f"{registry}/{rest}"
