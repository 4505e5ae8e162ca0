"""What request an httpGet of a container's probe or hook asks for. No I/O.

Source: NewRequestForHTTPGetAction in pkg/probe/http/request.go.
"""

from urllib.parse import urlsplit, urlunsplit

from pykubelet.model.container import Container, HTTPGetAction

Headers = list[tuple[str, str]]
"""Names and values, in their order; a name may come twice."""


class NoSuchPortError(Exception):
    """The container has no port of that name."""


def url_of(action: HTTPGetAction, container: Container, address: str) -> str:
    """Where the request goes; `address` is the Pod's. NoSuchPortError."""
    host = action.host or address
    port = port_number(action.port, container)
    parts = urlsplit(action.path or "/")
    bracketed = f"[{host}]" if ":" in host else host
    path = parts.path if parts.path.startswith("/") else f"/{parts.path}"
    return urlunsplit((action.scheme.lower() or "http", f"{bracketed}:{port}", path, parts.query, ""))


def port_number(port: int | str, container: Container) -> int:
    """The number of a port given by number or by the container's name for it. NoSuchPortError."""
    if isinstance(port, int):
        return port
    for named in container.ports:
        if named.name == port:
            return named.container_port
    if port.isdigit():
        return int(port)
    raise NoSuchPortError(f"couldn't find port: {port} in container {container.name}")


def headers_of(action: HTTPGetAction, *, user_agent: str) -> Headers:
    """Those asked for, and a User-Agent and Accept unless they are; an empty Accept asks for none to be sent."""
    asked = [(header.name, header.value) for header in action.http_headers]
    named = {name.lower(): value for name, value in reversed(asked)}
    found = [(name, value) for name, value in asked if name.lower() != "accept" or named["accept"]]
    if "user-agent" not in named:
        found.append(("User-Agent", user_agent))
    if "accept" not in named:
        found.append(("Accept", "*/*"))
    return found
