"""Reads what the current context of a kubeconfig file says, nothing more."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from nodekit import yamltree
from nodekit.kube.credentials import AuthError
from nodekit.objects import codec


class _Kebab(msgspec.Struct, rename=lambda name: name.replace("_", "-")):
    pass


class Cluster(_Kebab):
    """Where the servers are."""

    server: str = ""
    servers: list[str] | None = None
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""


class Exec(msgspec.Struct, rename="camel"):
    """How a user signs in by a command."""

    command: str
    api_version: str = ""
    args: list[str] | None = None
    env: list[dict[str, str]] | None = None
    install_hint: str = ""


class User(_Kebab):
    """What proves who we are."""

    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    username: str = ""
    exec: Exec | None = None
    auth_provider: dict[str, Any] | None = None


class _Context(_Kebab):
    cluster: str = ""
    user: str = ""


class _NamedCluster(_Kebab):
    name: str
    cluster: Cluster


class _NamedUser(_Kebab):
    name: str
    user: User


class _NamedContext(_Kebab):
    name: str
    context: _Context


class _Kubeconfig(_Kebab):
    current_context: str = ""
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


def current(path: Path) -> tuple[Cluster, User, str]:
    """The cluster, the user and the user's name; raises AuthError with the file and what is wrong in it."""
    try:
        document = yamltree.plain(path.read_bytes(), file=str(path))
    except OSError as error:
        raise AuthError(f"{path}: {error.strerror}") from error
    except yamltree.YamlError as error:
        raise AuthError(str(error)) from error
    try:
        config = msgspec.convert(codec.without_nulls(document), _Kubeconfig)
    except msgspec.ValidationError as error:
        raise AuthError(f"{path}: not a kubeconfig: {error}") from error
    context = _named(path, "context", config.current_context, {c.name: c.context for c in config.contexts or ()})
    cluster = _named(path, "cluster", context.cluster, {c.name: c.cluster for c in config.clusters or ()})
    user = _named(path, "user", context.user, {u.name: u.user for u in config.users or ()}) if context.user else User()
    return cluster, user, context.user


def _named(path: Path, kind: str, name: str, among: Mapping[str, Any]) -> Any:
    if name not in among:
        known = ", ".join(sorted(among)) or "none"
        raise AuthError(f"{path}: there is no {kind} {name!r}; known: {known}")
    return among[name]
