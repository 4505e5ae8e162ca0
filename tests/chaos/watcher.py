"""Watches the Pods of a namespace as the API tells of them: no status may go backwards."""

import json
import subprocess
import threading
from typing import Any

from tests.e2e.kube import Kube

_ORDER = {"": 0, "Pending": 1, "Running": 2, "Succeeded": 3, "Failed": 3}


class Watcher:
    """A thread that reads `kubectl get pods --watch`. `complaints` is what it found wrong."""

    def __init__(self, kube: Kube) -> None:
        self.complaints: list[str] = []
        self.seen = 0
        self._phases: dict[str, str] = {}
        self._restarts: dict[str, int] = {}
        self._process = kube.start("get", "pods", "--watch", "--output-watch-events", "-o", "json")
        self._thread = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._thread.join(10)
        self._process.communicate()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            self.seen += 1
            if event["type"] != "DELETED":
                self._judge(event["object"])

    def _judge(self, pod: dict[str, Any]) -> None:
        uid, status = pod["metadata"]["uid"], pod["status"]
        name = pod["metadata"]["name"]
        before, now = self._phases.get(uid, ""), status.get("phase", "")
        if _ORDER[now] < _ORDER[before] or (_ORDER[before] == 3 and now != before):
            self.complaints.append(f"{name}: phase {now} after {before}")
        self._phases[uid] = now
        for one in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
            key = f"{uid}/{one['name']}"
            if one["restartCount"] < self._restarts.get(key, 0):
                self.complaints.append(f"{name}/{one['name']}: restartCount {one['restartCount']} after more")
            self._restarts[key] = one["restartCount"]
