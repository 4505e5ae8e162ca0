"""Image names: what is one, and what is meant."""

import pytest

from pykubelet.model import image_names


@pytest.mark.parametrize(
    ("name", "full"),
    [
        pytest.param("nginx", "nginx:latest", id="without a tag the latest is meant"),
        pytest.param("registry.k8s.io/pause:3.10.2", "registry.k8s.io/pause:3.10.2", id="a tag stays"),
        pytest.param("localhost:5000/a/b", "localhost:5000/a/b:latest", id="a port is no tag"),
        pytest.param(f"a@sha256:{'0' * 64}", f"a@sha256:{'0' * 64}", id="a digest needs no tag"),
        pytest.param("Nginx", None, id="capitals are no name"),
        pytest.param("a b", None, id="a space is no name"),
        pytest.param("", None, id="nothing is no name"),
    ],
)
def test_full(name: str, full: str | None) -> None:
    assert image_names.full(name) == full


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        pytest.param("nginx:1", "docker.io/library/nginx", id="a short name is the official one"),
        pytest.param("me/app", "docker.io/me/app", id="an account at Docker Hub"),
        pytest.param("localhost:5000/a:1", "localhost:5000/a", id="a registry with a port"),
    ],
)
def test_repository(name: str, repository: str) -> None:
    assert image_names.repository(name) == repository


@pytest.mark.parametrize("name", ["localhost:5000/a", "localhost:5000/a:1", f"localhost:5000/a:1@sha256:{'0' * 64}"])
def test_bare(name: str) -> None:
    assert image_names.bare(name) == "localhost:5000/a"
