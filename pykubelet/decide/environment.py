"""A container's environment variables from values, fields, ConfigMaps, Secrets and Services. No I/O.

Source: makeEnvironmentVariables in pkg/kubelet/kubelet_pods.go, pkg/kubelet/envvars.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

from pykubelet.decide import downward, expansion
from pykubelet.model.container import Container, EnvFromSource, EnvVarSource
from pykubelet.model.kinds import ConfigMap, ConfigMapOrNot, Missing, NotSynced, Secret, SecretOrNot, Service
from pykubelet.model.pod import Pod

MASTER_SERVICES = frozenset({"kubernetes"})


class ConfigError(Exception):
    """The container cannot be configured now; the message is what CreateContainerConfigError shows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sources:
    """Where values come from. `file_value(volume, path, key)` reads an env file of a volume; None: no such key."""

    config_map: Callable[[str], ConfigMapOrNot]
    secret: Callable[[str], SecretOrNot]
    services: tuple[Service, ...]
    facts: downward.Facts
    file_value: Callable[[str, str, str], str | None]


def of(pod: Pod, container: Container, sources: Sources) -> tuple[tuple[str, str], ...]:
    """Names and values; declared variables in their order, then those of Services. Raises ConfigError."""
    services = of_services(pod, sources.services)
    values: dict[str, str] = {}
    for source in container.env_from:
        values |= _whole(source, sources)
    for variable in container.env:
        if variable.value or variable.value_from is None:
            values[variable.name] = expansion.expand(variable.value, {**services, **values})
            continue
        found = _from(pod, container, variable.value_from, sources)
        if found is not None:
            values[variable.name] = found
    return (*values.items(), *((name, value) for name, value in services.items() if name not in values))


def of_services(pod: Pod, services: Iterable[Service]) -> dict[str, str]:
    """Variables that name the Services of the Pod's namespace, and always the API server's."""
    chosen: dict[str, Service] = {}
    for service in services:
        name, namespace = service.metadata.name, service.metadata.namespace
        if namespace == "default" and name in MASTER_SERVICES:
            chosen.setdefault(name, service)
        elif namespace == pod.metadata.namespace and pod.spec.enable_service_links:
            chosen[name] = service
    values: dict[str, str] = {}
    for name in sorted(chosen):
        values |= _of_service(chosen[name])
    return values


def _of_service(service: Service) -> dict[str, str]:
    prefix = service.metadata.name.upper().replace("-", "_")
    address, ports = service.spec.cluster_ip, service.spec.ports
    if not ports:
        return {}
    values = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0].port)}
    for port in ports:
        if port.name:
            values[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
    host = f"[{address}]" if ":" in address else address
    for number, port in enumerate(ports):
        url = f"{port.protocol.lower()}://{host}:{port.port}"
        if number == 0:
            values[f"{prefix}_PORT"] = url
        name = f"{prefix}_PORT_{port.port}_{port.protocol.upper()}"
        values |= {
            name: url,
            f"{name}_PROTO": port.protocol.lower(),
            f"{name}_PORT": str(port.port),
            f"{name}_ADDR": address,
        }
    return values


def _whole(source: EnvFromSource, sources: Sources) -> Mapping[str, str]:
    data: Mapping[str, str] = {}
    if ref := source.config_map_ref:
        found = _config_map(sources.config_map(ref.name), ref.name, optional=ref.optional)
        data = found.data if found else {}
    elif ref := source.secret_ref:
        secret = _secret(sources.secret(ref.name), ref.name, optional=ref.optional)
        data = {key: _text(value) for key, value in secret.data.items()} if secret else {}
    return {source.prefix + key: value for key, value in data.items()}


def _from(pod: Pod, container: Container, source: EnvVarSource, sources: Sources) -> str | None:
    """The value, or None for an optional one that is not there."""
    try:
        if source.field_ref:
            return downward.field(pod, source.field_ref.field_path, sources.facts)
        if source.resource_field_ref:
            return downward.resource(pod, container, source.resource_field_ref, sources.facts)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    namespace = pod.metadata.namespace
    if ref := source.config_map_key_ref:
        found = _config_map(sources.config_map(ref.name), ref.name, optional=ref.optional)
        if found and ref.key in found.data:
            return found.data[ref.key]
        if ref.optional:
            return None
        raise ConfigError(f"couldn't find key {ref.key} in ConfigMap {namespace}/{ref.name}")
    if ref := source.secret_key_ref:
        secret = _secret(sources.secret(ref.name), ref.name, optional=ref.optional)
        if secret and ref.key in secret.data:
            return _text(secret.data[ref.key])
        if ref.optional:
            return None
        raise ConfigError(f"couldn't find key {ref.key} in Secret {namespace}/{ref.name}")
    if file := source.file_key_ref:
        value = sources.file_value(file.volume_name, file.path, file.key)
        if value is None and not file.optional:
            raise ConfigError(f'environment variable key "{file.key}" not found in file "{file.path}"')
        return value
    return ""


def _config_map(found: ConfigMapOrNot, name: str, *, optional: bool) -> ConfigMap | None:
    match found:
        case ConfigMap():
            return found
        case Missing() if optional:
            return None
        case Missing():
            raise ConfigError(f'configmap "{name}" not found')
        case NotSynced():
            raise ConfigError(f'failed to sync configmap cache: "{name}" has not been read yet')
        case _:
            assert_never(found)


def _secret(found: SecretOrNot, name: str, *, optional: bool) -> Secret | None:
    match found:
        case Secret():
            return found
        case Missing() if optional:
            return None
        case Missing():
            raise ConfigError(f'secret "{name}" not found')
        case NotSynced():
            raise ConfigError(f'failed to sync secret cache: "{name}" has not been read yet')
        case _:
            assert_never(found)


def _text(value: bytes) -> str:
    # An environment holds bytes; surrogateescape carries those that are no UTF-8 through a str.
    return value.decode("utf-8", "surrogateescape")
