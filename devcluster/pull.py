"""Pull images from a registry into a store: the distribution API, anonymous or by bearer token, digests verified."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devcluster import failures, oci
from devcluster.errors import DevClusterError

_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = (oci.MANIFEST, "application/vnd.docker.distribution.manifest.v2+json")
_TIMEOUT = 20.0
_CHUNK = 1 << 18


class PullError(DevClusterError):
    """The registry can't be reached or has no such image: another source may do."""


def configured() -> str:
    """The user's registry, $DEVCLUSTER_REGISTRY: https://host[:port][/prefix], with the paths of registry.k8s.io."""
    return os.environ.get("DEVCLUSTER_REGISTRY", "").rstrip("/")


@dataclass(slots=True)
class Registry:
    """One registry; `base` like https://registry.k8s.io. Tokens are kept by repository."""

    base: str
    _tokens: dict[str, str] = field(default_factory=dict)

    def pull(self, name: str, store: oci.Store) -> None:
        """Put the image of this full name, as made for this machine, into the store. PullError, DevClusterError."""
        _, repository, tag = oci.split(name)
        body, media_type = self._manifest(repository, tag, name)
        content = json.loads(body)
        if media_type in _INDEXES or "manifests" in content:
            digest = _for_this_machine(content, name)
            body, media_type = self._manifest(repository, digest, name)
            _verify(body, digest, name)
            content = json.loads(body)
        for part in (content["config"], *content["layers"]):
            self._blob(repository, part["digest"], store, name)
        store.name([name], store.add_bytes(body, media_type))

    def _manifest(self, repository: str, reference: str, name: str) -> tuple[bytes, str]:
        accept = ", ".join((*_INDEXES, *_MANIFESTS))
        with self._open(repository, f"manifests/{reference}", {"Accept": accept}, name) as answer:
            return answer.read(), answer.headers.get_content_type()

    def _blob(self, repository: str, digest: str, store: oci.Store, name: str) -> None:
        target = store.blob(digest)
        if target.exists():
            return
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        seen = hashlib.sha256()
        try:
            with self._open(repository, f"blobs/{digest}", {}, name) as answer, part.open("wb") as file:
                while chunk := answer.read(_CHUNK):
                    seen.update(chunk)
                    file.write(chunk)
            if f"sha256:{seen.hexdigest()}" != digest:
                raise DevClusterError(name, f"{self.base} sent a blob that is not {digest}: it is not used")
            part.replace(target)
        except (OSError, http.client.HTTPException) as error:
            if failures.no_room(error):
                raise failures.full_disk(name, str(part)) from error
            raise PullError(name, f"{self.base}: {error}") from error
        finally:
            part.unlink(missing_ok=True)

    def _open(self, repository: str, what: str, headers: Mapping[str, str], name: str) -> http.client.HTTPResponse:
        url = f"{_api(self.base)}/{repository}/{what}"
        try:
            return self._request(url, repository, headers)
        except urllib.error.HTTPError as error:
            challenge = error.headers.get("WWW-Authenticate", "")
            error.close()
            if error.code != 401 or not challenge.lower().startswith("bearer ") or repository in self._tokens:
                raise PullError(name, f"{url}: {error}") from error
        except (OSError, http.client.HTTPException) as error:
            raise PullError(name, f"{url}: {error}") from error
        try:
            self._tokens[repository] = _token(challenge)
            return self._request(url, repository, headers)
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise PullError(name, f"{url}: {error}") from error

    def _request(self, url: str, repository: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        request = urllib.request.Request(url, headers=dict(headers))
        if repository in self._tokens:  # not sent on to where blobs are redirected
            request.add_unredirected_header("Authorization", f"Bearer {self._tokens[repository]}")
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT)
        return answer


def _api(base: str) -> str:
    """https://host/prefix -> https://host/v2/prefix."""
    parts = urllib.parse.urlsplit(base)
    return f"{parts.scheme}://{parts.netloc}/v2{parts.path.rstrip('/')}"


def _for_this_machine(index: dict[str, Any], name: str) -> str:
    for entry in index["manifests"]:
        platform = entry.get("platform", {})
        if (platform.get("os"), platform.get("architecture")) == ("linux", oci.architecture()):
            return str(entry["digest"])
    raise PullError(name, f"it is not made for linux/{oci.architecture()}")


def _verify(body: bytes, digest: str, name: str) -> None:
    if f"sha256:{hashlib.sha256(body).hexdigest()}" != digest:
        raise DevClusterError(name, f"its manifest is not {digest}: it is not used")


def _token(challenge: str) -> str:
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urllib.parse.urlencode({key: fields[key] for key in ("service", "scope") if key in fields})
    with urllib.request.urlopen(f"{fields['realm']}?{query}", timeout=_TIMEOUT) as answer:
        found = json.loads(answer.read())
    return str(found.get("token") or found["access_token"])
