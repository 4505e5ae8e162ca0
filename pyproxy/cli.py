"""The command line."""

import argparse
import dataclasses
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from nodekit import config, logs, yamltree
from nodekit.config import Document
from nodekit.kube import auth
from pyproxy import KUBERNETES_VERSION, app, errors, flags, looking, translate
from pyproxy.config import effects, load, validate
from pyproxy.config.settings import Settings
from pyproxy.report import http

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent; the exit code: 0 when it was told to end, 1 when it can't go on, 2 for a wrong command line."""
    given = flags.parse(arguments)
    if given.version:
        print(f"Kubernetes v{KUBERNETES_VERSION}")
        return 0
    try:
        return _run(given, sys.argv[1:] if arguments is None else arguments)
    except (errors.ProxyError, auth.AuthError, config.ConfigError, OSError) as error:
        print(f"pyproxy: {error}", file=sys.stderr)
        return 1


def _run(given: argparse.Namespace, arguments: Sequence[str]) -> int:
    document = _document(given)
    settings = document.settings
    if given.write_config_to is not None:
        given.write_config_to.write_text(load.text(settings))
        return 0
    logs.setup(settings.logging)
    for problem in effects.warnings(document):
        log.warning("%s", problem)
    if given.cleanup:
        return 0 if app.cleanup() else 1
    options = translate.options(settings, document=document, server=given.master)
    options = app.adapted(dataclasses.replace(options, counting=given.count_connections))
    if given.dry_run:
        print(looking.dry_run(options), end="")
        return 0
    if given.command == "dump":
        text, differs = looking.dump(options, diff=given.diff)
        print(text, end="")
        return int(differs)
    if given.command == "explain":
        print(looking.explain_target(options, given.target), end="")
        return 0
    app.prepare(settings, options)
    if given.init_only:
        return 0
    options = app.adapted(options)
    shown = http.Shown(options.mode.value, lambda: config.render(settings), flags.shown(given))
    if app.main(options, shown=shown, file=given.config, readable=_readable):
        log.info("%s has changed: starting anew with it; the rules stay in force", given.config)
        os.execv(sys.executable, [sys.executable, "-m", "pyproxy", *arguments])
    return 0


def _readable(path: Path) -> bool:
    """Whether a changed configuration can be used; why not is told, and the old one stays in force."""
    try:
        load.load(path)
    except (config.ConfigError, OSError) as error:
        log.error("the changed configuration is not used: %s", error)
        return False
    return True


def _document(given: argparse.Namespace) -> Document[Settings]:
    """The configuration of the file, or else of the flags; raises ConfigError with every mistake."""
    if given.config is not None:
        document = load.load(given.config)
        return dataclasses.replace(document, settings=flags.apply_always(document.settings, given))
    settings = flags.apply_always(flags.apply(Settings(), given), given)
    document = Document(settings, {}, [], yamltree.Place(str(Path("command line")), 0))
    problems = [*validate.problems(document)]
    if problems:
        raise config.ConfigError(problems)
    return document
