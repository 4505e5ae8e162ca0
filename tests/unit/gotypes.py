"""The fields of genuine Go structs, read from the Go module cache where there is one."""

import os
import re
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("GOMODCACHE") or Path.home() / "go/pkg/mod")


def fields(file: str, struct: str) -> set[str]:
    """The JSON names of a struct's fields; skips the test when the module is not in the cache."""
    path = CACHE / file
    if not path.exists():
        pytest.skip(f"the Go module cache has no {file}: go mod download k8s.io/kubernetes@v1.37.2")
    found = re.search(rf"^type {struct} struct \{{(.*?)^\}}", path.read_text(), re.S | re.M)
    assert found, f"no struct {struct} in {file}"
    names = set(re.findall(r'`json:"(\w+)', found[1]))
    if "OutputRoutingOptions `json" in found[1]:
        names |= fields(file, "OutputRoutingOptions")
    return names
