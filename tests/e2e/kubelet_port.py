"""Asks a node's :10250 directly, as whoever a test wants to be."""

import dataclasses
import http.client
import socket
import ssl
from pathlib import Path

from devcluster import netns, pki
from devcluster.api import Cluster

PORT = 10250
TIMEOUT = 20


@dataclasses.dataclass(frozen=True)
class Caller:
    """How somebody shows who they are; the default shows nothing."""

    pair: pki.Pair | None = None
    token: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: http.client.HTTPMessage


class KubeletPort:
    """The port of one node, reached from the control plane's network. Connections are kept, one for each caller."""

    def __init__(self, lab: Cluster, node: str) -> None:
        self._namespace = lab.files.netns(netns.CONTROL_PLANE)
        self.address = (lab.node(node).address, PORT)
        self._open: dict[Caller, http.client.HTTPConnection] = {}

    def ask(self, who: Caller, method: str, path: str, body: bytes | None = None) -> Answer:
        """Raises ssl.SSLError or OSError when there is no answer at all."""
        headers = dict(who.headers) | ({"Authorization": f"Bearer {who.token}"} if who.token else {})
        connection = self._open.pop(who, None) or self.connect(who)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            found = Answer(answer.status, answer.read(), answer.headers)
        except BaseException:
            connection.close()
            raise
        if not answer.will_close:
            self._open[who] = connection
        return found

    def connect(self, who: Caller) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(*self.address)
        connection.sock = self.secure(who)
        return connection

    def secure(self, who: Caller) -> ssl.SSLSocket:
        """A connection whose certificate is not looked at: nodes of the dev cluster sign their own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if who.pair:
            context.load_cert_chain(who.pair.cert, who.pair.key)
        return context.wrap_socket(self.plain())

    def plain(self) -> socket.socket:
        return netns.connect(self._namespace, self.address, TIMEOUT)

    def close(self) -> None:
        """Close what is kept, and forget it: whoever asks next gets a new connection."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()


def certificate(folder: Path, name: str, *, user: str, group: str, ca: pki.Pair) -> Caller:
    return Caller(pki.client(ca, pki.pair(folder, name), pki.Subject(user, (group,) if group else ())))
