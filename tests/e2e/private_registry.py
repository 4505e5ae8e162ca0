"""A registry that wants a password, in front of the cluster's own: notes each request, and takes its time.

Run as a program inside the control plane's network: PAIRING_PORT PORT=PASSWORD... UPSTREAM LOG. It prints a line once
it listens. At the pairing port an image that is asked for is answered for when another is asked for as well.
"""

import base64
import http.client
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

USER = "e2e"
DELAY = 1.0
"""Seconds until a manifest is answered for: long enough for pulls to meet."""
ALONE = 20.0
"""Seconds until one is answered for at the pairing port if no other comes."""
_PASSED_ON = ("Accept", "Range")
_PASSED_BACK = ("Content-Type", "Docker-Content-Digest", "Etag", "Location")


class Pairing:
    """Holds who comes first until somebody with another name is there too."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._here: set[str] = set()
        self._met: set[str] = set()

    def wait(self, name: str) -> None:
        """Until another is there, for ALONE at most. Who has met another once waits no more."""
        with self._changed:
            self._here.add(name)
            if len(self._here) > 1:
                self._met |= self._here
                self._changed.notify_all()
            self._changed.wait_for(lambda: name in self._met, timeout=ALONE)
            self._here.discard(name)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    passwords: dict[int, str]
    pairing_port: int
    pairing = Pairing()
    upstream: str
    log: Path

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        began = time.time()
        port = self.server.server_address[1]
        wanted = "Basic " + base64.b64encode(f"{USER}:{self.passwords[port]}".encode()).decode()
        let_in = self.headers.get("Authorization") == wanted
        if not let_in:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="e2e"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            if "/manifests/" in self.path:
                if port == self.pairing_port and self.command == "HEAD":
                    self.pairing.wait(self.path)
                else:
                    time.sleep(DELAY)
            self._pass_on()
        note = {"began": began, "ended": time.time(), "port": port, "method": self.command, "path": self.path}
        with self.log.open("a") as log:
            log.write(json.dumps({**note, "let_in": let_in}) + "\n")

    def _pass_on(self) -> None:
        connection = http.client.HTTPConnection(self.upstream, timeout=20)
        headers = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
        connection.request(self.command, self.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name in _PASSED_BACK:
            if value := answer.getheader(name):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        connection.close()

    def log_message(self, *args: object) -> None:
        return


def main() -> None:
    pairing_port, *pairs, upstream, log = sys.argv[1:]
    Handler.pairing_port = int(pairing_port)
    Handler.passwords = {int(port): password for port, _, password in (pair.partition("=") for pair in pairs)}
    Handler.upstream, Handler.log = upstream, Path(log)
    host = upstream.rpartition(":")[0].strip("[]")
    servers = [ThreadingHTTPServer((host, port), Handler) for port in Handler.passwords]
    print("listening", flush=True)
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main()
