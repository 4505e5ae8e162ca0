"""gRPC reads its settings once, when it is imported: ours must have been made by then."""

import subprocess
import sys

PROGRAM = """
import os, sys

class Look:
    def find_spec(self, name, path=None, target=None):
        if name == "grpc":
            print(os.environ.get("GRPC_EXPERIMENTS"))

sys.meta_path.insert(0, Look())
import pykubelet.cli
"""


def test_they_are_made_before_anything_imports_grpc() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["-event_engine_client"]
