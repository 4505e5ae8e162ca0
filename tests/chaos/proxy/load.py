"""Connections to Services at random, one after another, until SIGTERM; then what became of them, as JSON.

    python -m tests.chaos.proxy.load SEED WORKERS ADDRESS...

Every endpoint behind these addresses is healthy all the time: a connection that fails is the proxy's fault.
"""

import json
import random
import signal
import socket
import sys
import threading
import time
from typing import Any, Final

_PATIENCE: Final = 10.0  # a SYN that is dropped goes out again after 1, 3 and 7 s
_PAUSE: Final = 0.01


def main() -> None:
    """Call until told to end."""
    seed, workers, *addresses = sys.argv[1:]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    counts = [0] * int(workers)
    slow = [0] * int(workers)
    failures: list[tuple[float, str, str]] = []

    def call(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        while not stop.is_set():
            address = chance.choice(addresses)
            began = time.time()
            try:
                with socket.create_connection((address, 80), timeout=_PATIENCE) as one:
                    if not one.recv(50):
                        raise ConnectionError("closed without an answer")
            except OSError as error:
                failures.append((began, address, repr(error)))
            counts[number] += 1
            slow[number] += time.time() - began > 0.9
            time.sleep(_PAUSE)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(int(workers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result: dict[str, Any] = {"connections": sum(counts), "second_try": sum(slow), "failures": failures}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
