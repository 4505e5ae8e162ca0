"""The file that says which programs give credentials for images: CredentialProviderConfig (kubelet.config.k8s.io/v1).

Source: pkg/credentialprovider/plugin/config.go; a folder is read file by file in the order of names.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from nodekit import config
from nodekit.config import ConfigError, Document, Problem
from nodekit.config_types import Duration, Given, Section
from pykubelet.errors import StartupError

KIND: Final = "CredentialProviderConfig"
API_VERSIONS: Final = tuple(f"kubelet.config.k8s.io/{version}" for version in ("v1", "v1beta1", "v1alpha1"))
PROTOCOLS: Final = tuple(f"credentialprovider.kubelet.k8s.io/{version}" for version in ("v1", "v1beta1", "v1alpha1"))
_SUFFIXES: Final = (".json", ".yaml", ".yml")


class EnvVar(Section):
    """A variable of the program's environment."""

    name: str = ""
    value: str = ""


class TokenAttributes(Section):
    """Asks for a token of the Pod's ServiceAccount; the program is not run for Pods whose account lacks a key."""

    service_account_token_audience: str = ""
    cache_type: Literal["", "ServiceAccount", "Token"] = ""
    require_service_account: Given[bool | None] = None
    required_service_account_annotation_keys: tuple[str, ...] = ()
    optional_service_account_annotation_keys: tuple[str, ...] = ()


class Provider(Section):
    """One program: its file's `name`, the images it is asked about, and how long an answer holds if it does not say."""

    name: str = ""
    match_images: tuple[str, ...] = ()
    default_cache_duration: Given[Duration | None] = None
    api_version: str = ""
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    token_attributes: TokenAttributes | None = None


class CredentialProviderConfig(Section):
    """All of them."""

    providers: tuple[Provider, ...] = ()


def load(path: Path, programs: Path) -> tuple[Provider, ...]:
    """The providers of a file or folder, each a program in `programs`. Raises ConfigError and StartupError."""
    if not programs.is_dir():
        raise StartupError(f"--image-credential-provider-bin-dir {programs}: there is no such folder")
    found: list[Provider] = []
    problems: list[Problem] = []
    for file in _files(path):
        try:
            document = config.read([file], CredentialProviderConfig, api_version=API_VERSIONS, kind=KIND)
        except OSError as error:
            raise StartupError(f"--image-credential-provider-config {file}: {error.strerror}") from error
        problems += [*document.problems, *_problems(document, {one.name for one in found}, programs)]
        found += document.settings.providers
    if problems:
        raise ConfigError(problems)
    return tuple(found)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES and file.is_file())
    if not files:
        raise StartupError(f"--image-credential-provider-config {path}: there is no *.yaml, *.yml or *.json in it")
    return files


def _problems(document: Document[CredentialProviderConfig], known: set[str], programs: Path) -> Iterator[Problem]:
    if not document.settings.providers:
        yield document.problem("providers", "expected at least one provider")
    for number, provider in enumerate(document.settings.providers):
        at = f"providers[{number}]"
        if not provider.name or "/" in provider.name or " " in provider.name or provider.name in (".", ".."):
            yield document.problem(f"{at}.name", "expected the name of a program's file, without a slash or space")
        elif provider.name in known:
            yield document.problem(f"{at}.name", f"{provider.name!r} stands twice")
        elif not os.access(programs / provider.name, os.X_OK):
            yield document.problem(f"{at}.name", f"there is no program {programs / provider.name}")
        known.add(provider.name)
        if provider.api_version not in PROTOCOLS:
            yield document.problem(f"{at}.apiVersion", f"expected one of {', '.join(PROTOCOLS)}")
        if not provider.match_images:
            yield document.problem(f"{at}.matchImages", "expected at least one pattern")
        if provider.default_cache_duration is None:
            yield document.problem(f"{at}.defaultCacheDuration", "it is missing: how long credentials hold, such as 0s")
        elif provider.default_cache_duration < 0:
            yield document.problem(f"{at}.defaultCacheDuration", "expected at least 0s")
        if provider.token_attributes is not None:
            yield from _token_problems(document, provider, provider.token_attributes, f"{at}.tokenAttributes")


def _token_problems(
    document: Document[CredentialProviderConfig], provider: Provider, wanted: TokenAttributes, at: str
) -> Iterator[Problem]:
    if provider.api_version != PROTOCOLS[0]:
        yield document.problem(at, f"only programs of apiVersion {PROTOCOLS[0]} are given tokens")
    if not wanted.service_account_token_audience:
        yield document.problem(f"{at}.serviceAccountTokenAudience", "it is missing")
    if wanted.require_service_account is None:
        yield document.problem(f"{at}.requireServiceAccount", "it is missing: true or false")
    if not wanted.cache_type:
        yield document.problem(f"{at}.cacheType", "it is missing: ServiceAccount or Token")
    if wanted.require_service_account is False and wanted.required_service_account_annotation_keys:
        yield document.problem(f"{at}.requiredServiceAccountAnnotationKeys", "needs requireServiceAccount: true")
