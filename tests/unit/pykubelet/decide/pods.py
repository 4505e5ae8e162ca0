"""Pods for tests, written as the API writes them."""

from typing import Any

from nodekit.objects import codec
from pykubelet.model.pod import Pod


def pod(*containers: dict[str, Any], **spec: Any) -> Pod:
    """Pod `default/web` with these containers (a plain one when none is given) and this spec."""
    chosen = [{"name": "app", "image": "img:1", **container} for container in containers or ({},)]
    body = {
        "metadata": {"name": "web", "namespace": "default", "uid": "u1", "labels": {"app": "web", "a": 'say "hi"'}},
        "spec": {"containers": chosen, **spec},
    }
    return codec.decode(Pod, codec.encode(body))
