"""A registry that wants a password, in front of the cluster's own: notes each request, and takes its time.

Run as a program inside the control plane's network: PORT=PASSWORD... UPSTREAM LOG. It prints a line once it listens.
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
_PASSED_ON = ("Accept", "Range")
_PASSED_BACK = ("Content-Type", "Docker-Content-Digest", "Etag", "Location")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    passwords: dict[int, str]
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
    *pairs, upstream, log = sys.argv[1:]
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
