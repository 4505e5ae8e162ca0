"""Speak to the cluster's API from outside its network: a few verbs over connections made inside the namespace.

Also writes kubeconfigs. What devcluster asks is small; a full client library costs a second to import.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster import files, netns
from devcluster.errors import DevClusterError
from devcluster.pki import Pair
from devcluster.spec import url_host

Object = dict[str, Any]
_FIELD_MANAGER = "devcluster"


def write_kubeconfig(path: Path, *, server: str, ca: Path, client: Pair, user: str) -> Path:
    """A kubeconfig with everything inside it."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "devcluster", "cluster": {"server": server, "certificate-authority-data": _data(ca)}}],
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": _data(client.cert), "client-key-data": _data(client.key)},
            }
        ],
        "contexts": [{"name": "devcluster", "context": {"cluster": "devcluster", "user": user}}],
        "current-context": "devcluster",
    }
    files.write(path, json.dumps(config, indent=1) + "\n", mode=0o600)
    return path


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


class ApiError(Exception):
    """The API refused a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class UnreachableError(OSError):
    """The API server did not answer; says at which address."""


class _Connection(http.client.HTTPSConnection):
    """HTTPS whose socket is made inside a network namespace."""

    def __init__(self, namespace: str, host: str, port: int, *, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._namespace = namespace
        self._tls = context
        self._patience = timeout

    def connect(self) -> None:
        raw: socket.socket = netns.connect(self._namespace, (self.host, self.port), self._patience)
        self.sock = self._tls.wrap_socket(raw, server_hostname=self.host)


@dataclass(frozen=True, slots=True)
class Client:
    """One API server as one user. `UnreachableError`, an OSError, if it can't be reached; `ApiError` if it refuses."""

    namespace: str
    host: str
    port: int
    ca: Path
    credentials: Pair

    def request(self, method: str, path: str, body: object = None, *, content: str = "application/json") -> bytes:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.credentials.cert, self.credentials.key)
        connection = _Connection(self.namespace, self.host, self.port, context=context, timeout=15)
        try:
            connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": content, "Accept": "application/json"},
            )
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"https://{url_host(self.host)}:{self.port}: {error}") from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise ApiError(answer.status, _message(data))
        return data

    def get(self, path: str) -> Object:
        found: Object = json.loads(self.request("GET", path))
        return found

    def find(self, path: str) -> Object | None:
        """The object, or None if there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def apply(self, path: str, obj: Object) -> Object:
        """Server-side apply: the object is as said here, whoever wrote it before."""
        query = f"{path}?fieldManager={_FIELD_MANAGER}&force=true"
        try:
            answer = self.request("PATCH", query, obj, content="application/apply-patch+yaml")
        except ApiError as error:
            raise DevClusterError(f"apply {obj['kind']} {obj['metadata']['name']}", str(error)) from error
        applied: Object = json.loads(answer)
        return applied

    def delete(self, path: str) -> bool:
        """False if it was gone already."""
        try:
            self.request("DELETE", path)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def ready(self) -> str | None:
        """None if the API server says it is ready, else why not: the shape `processes.wait` asks."""
        try:
            self.request("GET", "/readyz")
        except (OSError, ApiError) as error:
            return str(error)
        return None


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data[:300].decode(errors="replace")
