"""Obtain the images: from the user's registry, their official home, or built here. Kept in the cache by version."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from devcluster import binaries, files, gobuild, layout, oci, packages, pull, recipes, releases, shell, tools, versions
from devcluster.errors import DevClusterError
from devcluster.progress import Reporter

_OFFICIAL = "registry.k8s.io"
_VERSION = "7"  # of the recipes: images made by older ones are made again


def current() -> oci.Store:
    """The store as it is, whatever it lacks."""
    return oci.Store(store_folder(pull.configured()))


def _pull(registry: pull.Registry, store: oci.Store, report: Reporter) -> None:
    for name in recipes.names():
        if name not in store.images():
            with report.step(f"pull {name}", about=10):
                registry.pull(name, store)


def store_folder(registry: str = "") -> Path:
    """One folder for each set of versions and recipes, and for each registry of the user's."""
    identity = [
        _VERSION,
        registry,
        versions.KUBERNETES,
        versions.ETCD,
        versions.PAUSE,
        versions.AGNHOST,
        versions.DEBIAN,
    ]
    digest = hashlib.sha256(" ".join(identity).encode()).hexdigest()[:12]
    return layout.cache_home() / "images" / digest


def obtain(report: Reporter, *, given: str = "") -> oci.Store:
    """The store with every image in it. `given` is the user's folder of binaries.

    Images from the user's registry are kept apart from the others; one that it lacks is an error, as it was asked for.
    """
    store = current()
    if not _is_full(store):
        lock = layout.cache_home() / "images.lock"
        with files.alone(lock, lambda: report.say("another devcluster makes the images: waiting for it")):
            if not _is_full(store):
                _fill(store, report, given)
    return store


def _is_full(store: oci.Store) -> bool:
    return store.images().keys() >= set(recipes.names())


def _fill(store: oci.Store, report: Reporter, given: str) -> None:
    mine = pull.configured()
    if mine:
        _pull(pull.Registry(mine), store, report)
        return
    site = releases.Site()
    if releases.reachable(site, f"{_OFFICIAL}/"):
        try:
            _pull(pull.Registry(f"https://{_OFFICIAL}"), store, report)
        except pull.PullError as error:
            report.say(f"{error}; building the images instead")
        else:
            return
    else:
        report.say(f"{_OFFICIAL} can't be reached: the images are built instead")
    packages.ensure(packages.FOR_IMAGES, report)
    needed = [*tools.IMAGES, tools.BY_NAME["etcd"]]
    found = binaries.resolve(needed, report, given=given)
    base = debian_root(report, recipes.DEBIAN_PACKAGES)
    with report.step("build the images", about=15):
        _build(store, found, base)


def _build(store: oci.Store, found: dict[str, Path], base: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="devcluster-") as scratch:
        of = recipes.Ingredients(
            binaries=found,
            sources=gobuild.module_folder("k8s.io/kubernetes", versions.KUBERNETES) / "test" / "images",
            pause=_compile("pause", recipes.PAUSE_SOURCE, Path(scratch)),
            sh=_compile("sh", recipes.SH_SOURCE, Path(scratch)),
            busybox=_busybox(),
            applets=tuple(shell.run("busybox applets", [_busybox(), "--list"]).split()),
        )
        copy = Path(scratch) / "base.tar"
        shutil.copyfile(base, copy)
        debian = store.add_file(copy, oci.LAYER)
        for recipe in recipes.every(of):
            layers = [debian] if recipe.on_debian else []
            layers += [store.add_layer(tree) for tree in recipe.layers]
            store.add_image(recipe.names, recipe.config, layers)


def _compile(name: str, code: str, folder: Path) -> Path:
    source, program = folder / f"{name}.c", folder / name
    source.write_text(code)
    shell.run(f"compile {name}", ["gcc", "-static", "-Os", "-s", "-o", program, source])
    return program


def _busybox() -> Path:
    path = Path(shutil.which("busybox") or "/bin/busybox").resolve()
    if b"/lib64/ld-linux" in path.read_bytes()[:4096]:  # the interpreter a dynamic program names near its start
        raise DevClusterError("busybox", f"{path} is not static", hint="apt-get install busybox-static")
    return path


def debian_root(report: Reporter, names: Sequence[str]) -> Path:
    """A tar of a small Debian with these packages; made once for each release and list of packages."""
    identity = f"{versions.DEBIAN} {' '.join(names)}"
    key = hashlib.sha256(identity.encode()).hexdigest()[:12]
    target = layout.cache_home() / "debian" / f"{versions.DEBIAN}-{key}.tar"
    if target.exists():
        return target
    log = layout.cache_home() / "log" / "debootstrap.log"
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="root-", dir=target.parent))
    try:
        with report.step("make a small Debian for the images", about=60):
            include = ",".join(names)
            shell.logged(
                "debootstrap",
                ["debootstrap", "--variant=minbase", f"--include={include}", versions.DEBIAN, folder],
                log=log,
            )
            _slim(folder)
            part = target.with_suffix(".part")
            shell.logged(
                "pack the Debian root",
                ["tar", "--numeric-owner", "--mtime=@0", "--sort=name", "-C", folder, "-cf", part, "."],
                log=log,
            )
            part.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target


def _slim(root: Path) -> None:
    """Drop what no container reads, and put nginx's page where its image has it."""
    for pattern in (
        "var/cache/apt/archives/*.deb",
        "var/lib/apt/lists/*",
        "var/log/*",
        "usr/share/doc/*",
        "usr/share/man/*",
        "usr/share/locale/*",
    ):
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    html = root / "usr/share/nginx/html"
    html.mkdir(parents=True, exist_ok=True)
    (root / "var/log/nginx").mkdir(parents=True, exist_ok=True)
    for page in (root / "var/www/html").glob("index*.html"):
        shutil.copyfile(page, html / "index.html")
    site = root / "etc/nginx/sites-available/default"
    if site.exists():
        site.write_text(site.read_text().replace("root /var/www/html", "root /usr/share/nginx/html"))
    resolv = root / "etc/resolv.conf"
    resolv.unlink(missing_ok=True)
    resolv.touch()
