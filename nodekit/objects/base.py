"""The struct every API object is made of, and the rule that gives its fields their JSON names. No I/O."""

from typing import dataclass_transform

import msgspec

# Words the API writes in capitals when they are not a field's first word. The API's spelling is irregular: a field
# that breaks the rule names itself with msgspec.field(name=...).
_CAPITALS = {
    "ip": "IP",
    "ips": "IPs",
    "id": "ID",
    "ids": "IDs",
    "uid": "UID",
    "uuid": "UUID",
    "pid": "PID",
    "ipc": "IPC",
    "cidr": "CIDR",
    "cidrs": "CIDRs",
    "fqdn": "FQDN",
    "api": "API",
    "os": "OS",
    "url": "URL",
    "tls": "TLS",
    "ca": "CA",
}


def api_name(field: str) -> str:
    """The JSON name of a snake_case field: `pod_ips` is `podIPs`, `restart_policy` is `restartPolicy`."""
    first, *rest = field.rstrip("_").split("_")
    return first + "".join(_CAPITALS.get(word, word.capitalize()) for word in rest)


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Object(msgspec.Struct, frozen=True, omit_defaults=True, rename=api_name):
    """A frozen API object: unknown JSON fields are ignored when read, defaults are left out when written."""
