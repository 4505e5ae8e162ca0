"""What credential-provider programs are asked, for which images, and what their answers mean. No I/O.

Source: k8s.io/kubelet credentialprovider/v1, URLsMatch in pkg/credentialprovider/keyring.go.
"""

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from nodekit import duration
from nodekit.objects.base import Object
from pykubelet.model import image_names
from pykubelet.model.runtime_config import AuthConfig

_REQUEST: Final = "CredentialProviderRequest"
_RESPONSE: Final = "CredentialProviderResponse"
GLOBAL: Final = "global"


class _Request(Object):
    api_version: str
    kind: str
    image: str
    service_account_token: str = ""
    service_account_annotations: Mapping[str, str] = {}


class _Auth(msgspec.Struct, frozen=True):
    username: str = ""
    password: str = ""


class _Response(Object):
    api_version: str = ""
    kind: str = ""
    cache_key_type: Literal["", "Image", "Registry", "Global"] = ""
    cache_duration: str | None = None
    auth: dict[str, _Auth] | None = None


class Answer(msgspec.Struct, frozen=True):
    """`key` is what it may be given out for again: an image, a registry, or all. `holds` in seconds, None: unsaid."""

    key: str
    holds: float | None
    auths: tuple[tuple[str, AuthConfig], ...]


def matches(pattern: str, image: str) -> bool:
    """Whether `*.registry.example:5000/path` is about the image: labels one by one, the port, the start of the path."""
    wanted_host, _, wanted_path = pattern.removeprefix("https://").removeprefix("http://").partition("/")
    host, _, path = image_names.repository(image).partition("/")
    wanted_name, _, wanted_port = wanted_host.partition(":")
    name, _, port = host.partition(":")
    wanted, given = wanted_name.split("."), name.split(".")
    if wanted_port != port or len(wanted) != len(given) or not all(map(fnmatch.fnmatchcase, given, wanted)):
        return False
    return path.startswith(wanted_path)


def request(image: str, *, api_version: str, token: str = "", annotations: Mapping[str, str] | None = None) -> bytes:
    """What the program reads on its standard input."""
    asked = _Request(
        api_version=api_version,
        kind=_REQUEST,
        image=image,
        service_account_token=token,
        service_account_annotations=annotations or {},
    )
    return msgspec.json.encode(asked)


def read(printed: bytes, image: str, *, api_version: str) -> Answer:
    """What the program printed. ValueError says what is wrong with it."""
    try:
        found = msgspec.json.decode(printed, type=_Response)
    except msgspec.DecodeError as error:
        raise ValueError(f"it printed no {_RESPONSE}: {error}") from error
    if (found.api_version, found.kind) != (api_version, _RESPONSE):
        raise ValueError(f"expected {_RESPONSE} of {api_version}, got {found.kind!r} of {found.api_version!r}")
    match found.cache_key_type:
        case "Image":
            key = image
        case "Registry":
            key = registry(image)
        case "Global":
            key = GLOBAL
        case _:
            raise ValueError("cacheKeyType is missing: expected Image, Registry or Global")
    auths = tuple(
        (server, AuthConfig(username=one.username, password=one.password)) for server, one in (found.auth or {}).items()
    )
    return Answer(key, duration.parse(found.cache_duration) if found.cache_duration else None, auths)


def registry(image: str) -> str:
    """The image's registry, with its port."""
    return image_names.repository(image).partition("/")[0]


def of(auths: Iterable[tuple[str, AuthConfig]], image: str) -> tuple[AuthConfig, ...]:
    """Those that are for the image, the most specific first."""
    fitting = [(server, auth) for server, auth in auths if matches(server, image)]
    return tuple(auth for _, auth in sorted(fitting, key=lambda pair: len(pair[0]), reverse=True))
