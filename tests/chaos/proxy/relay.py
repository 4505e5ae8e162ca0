"""A byte relay in front of the API server: it cuts one client off while the others go on."""

import contextlib
import selectors
import socket
import threading
from typing import Final

_CHUNK: Final = 1 << 16


class Relay:
    """Listens on `address` and passes on to `target` until it is closed; `cut` and `stall` end with `mend`."""

    def __init__(self, address: tuple[str, int], target: tuple[str, int]) -> None:
        self._address, self._target = address, target
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._listening: socket.socket | None = None
        self._stalled = self._closed = False
        self._listen()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Connections are reset and new ones refused."""
        with self._lock:
            if self._listening is not None:
                self._selector.unregister(self._listening)
                self._listening.close()
                self._listening = None
            for one in list(self._pairs):
                self._drop(one)

    def stall(self) -> None:
        """Connections stay and nothing passes: what a dead link is like."""
        self._stalled = True

    def mend(self) -> None:
        """All is well again."""
        with self._lock:
            self._stalled = False
            if self._listening is None:
                self._listen()

    def close(self) -> None:
        """Stop."""
        self._closed = True
        self._thread.join(5)
        self.cut()
        self._selector.close()

    def _listen(self) -> None:
        self._listening = socket.create_server(self._address)
        self._selector.register(self._listening, selectors.EVENT_READ)

    def _run(self) -> None:
        while not self._closed:
            events = self._selector.select(0.05)
            with self._lock:
                for key, _ in [] if self._stalled else events:
                    one = key.fileobj
                    assert isinstance(one, socket.socket)
                    if one is self._listening:
                        self._accept(one)
                    elif one in self._pairs:
                        self._pass_on(one)

    def _accept(self, listening: socket.socket) -> None:
        client, _ = listening.accept()
        try:
            target = socket.create_connection(self._target, timeout=5)
        except OSError:
            client.close()
            return
        for one, other in ((client, target), (target, client)):
            one.settimeout(5)
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, one: socket.socket) -> None:
        try:
            data = one.recv(_CHUNK)
            if data:
                self._pairs[one].sendall(data)
                return
        except OSError:
            pass
        self._drop(one)

    def _drop(self, one: socket.socket) -> None:
        other = self._pairs.pop(one, None)
        if other is None:
            return
        self._pairs.pop(other, None)
        for end in (one, other):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(end)
            end.close()
