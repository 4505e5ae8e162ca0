"""Reads the kubelet's configuration file and its drop-ins into settings, or tells every mistake in them."""

import dataclasses
from pathlib import Path

import msgspec

from nodekit import config, yamltree
from nodekit.config import Document
from nodekit.yamltree import Place
from pykubelet.config import parts, validate
from pykubelet.config.settings import API_VERSION, KIND, Settings


def load(path: Path, *, drop_ins: Path | None = None) -> Document[Settings]:
    """Read the file, with each `*.conf` below `drop_ins` laid over it in the order of their paths.

    Raises config.ConfigError with every mistake.
    """
    return checked(read(path, drop_ins=drop_ins))


def read(path: Path | None, *, drop_ins: Path | None = None) -> Document[Settings]:
    """As `load`, with mistakes in values left to `checked`, as flags may yet mend them. No file at all: the defaults.

    Raises config.ConfigError when a file is not YAML.
    """
    paths = [path] if path is not None else []
    paths += sorted(drop_ins.rglob("*.conf")) if drop_ins is not None else []
    if not paths:
        return Document(Settings(), {}, [], Place("the defaults", yamltree.NO_LINE))
    document = config.read(paths, Settings, api_version=API_VERSION, kind=KIND)
    return dataclasses.replace(document, settings=_completed(document))


def checked(document: Document[Settings]) -> Document[Settings]:
    """The document; raises config.ConfigError with every mistake in it."""
    problems = [*document.problems, *validate.problems(document)]
    if problems:
        raise config.ConfigError(problems)
    return document


def _completed(document: Document[Settings]) -> Settings:
    """Defaults that depend on other fields. Source: SetDefaults_KubeletConfiguration."""
    settings = document.settings
    if document.is_set("nodeStatusUpdateFrequency") and not document.is_set("nodeStatusReportFrequency"):
        frequency = settings.node_status_update_frequency
        settings = msgspec.structs.replace(settings, node_status_report_frequency=frequency)
    if not document.is_set("serializeImagePulls"):
        serial = (settings.max_parallel_image_pulls or 1) < 2
        settings = msgspec.structs.replace(settings, serialize_image_pulls=serial)
    if settings.pod_pids_limit < 0:
        settings = msgspec.structs.replace(settings, pod_pids_limit=-1)
    if settings.merge_default_eviction_settings:
        merged = {**parts.EVICTION_HARD, **settings.eviction_hard}
        settings = msgspec.structs.replace(settings, eviction_hard=merged)
    return settings
