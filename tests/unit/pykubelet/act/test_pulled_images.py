"""The files that say whose Pods may use which image: written, read again, and what is done without them."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from nodekit.aio import virtual
from nodekit.aio.clock import VirtualClock
from pykubelet.act.pulled_images import PulledImages
from pykubelet.decide.image_access import Policy
from pykubelet.errors import PodError
from pykubelet.model.image_access import EVERYBODY, Access, Credential, SecretUse
from pykubelet.model.observed import Image
from pykubelet.model.runtime_config import AuthConfig

IMAGE, ID = "registry.example/app:1", "sha256:abc"
KEY = Access(kubernetes_secrets=(SecretUse("uid", "ns", "key", "hash"),))
LATER = 4e9


def images(folder: Path) -> PulledImages:
    return PulledImages(folder, Policy(), clock=VirtualClock())


def pull(pulled: PulledImages, access: Access) -> None:
    with pulled.pulling(IMAGE) as record:
        record(ID, access)


async def may_use(pulled: PulledImages, *offers: Access) -> bool:
    async def get() -> Sequence[Credential]:
        return [Credential(AuthConfig(), offer) for offer in offers]

    return await pulled.may_use(IMAGE, ID, get)


def files(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / "image_manager" / kind).iterdir())


async def test_what_was_put_on_the_node_is_everybodys(tmp_path: Path) -> None:
    assert await may_use(images(tmp_path))


async def test_what_a_secret_opened_is_open_to_those_who_have_it_after_a_restart_too(tmp_path: Path) -> None:
    pull(images(tmp_path), KEY)
    again = images(tmp_path)
    assert await may_use(again, KEY)
    assert not await may_use(again)
    pull(again, EVERYBODY)
    assert await may_use(images(tmp_path))


async def test_a_record_is_a_genuine_one(tmp_path: Path) -> None:
    pull(images(tmp_path), KEY)
    (file,) = files(tmp_path, "pulled")
    assert file.name == f"sha256-{hashlib.sha256(ID.encode()).hexdigest()}"
    assert file.stat().st_mode & 0o777 == 0o600
    found = json.loads(file.read_text())
    assert found.pop("lastUpdatedTime").endswith("Z")
    secret = {"uid": "uid", "namespace": "ns", "name": "key", "credentialHash": "hash"}
    assert found == {
        "kind": "ImagePulledRecord",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "imageRef": ID,
        "credentialMapping": {"registry.example/app": {"kubernetesSecrets": [secret]}},
    }
    assert files(tmp_path, "pulling") == []


async def test_while_it_is_pulled_it_is_nobodys(tmp_path: Path) -> None:
    pulled = images(tmp_path)
    with pulled.pulling(IMAGE):
        (file,) = files(tmp_path, "pulling")
        assert json.loads(file.read_text()) == {
            "kind": "ImagePullIntent",
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "image": IMAGE,
        }
        assert not await may_use(pulled, KEY)
        with pulled.pulling(IMAGE):
            pass
        assert files(tmp_path, "pulling"), "another Pod's pull goes on"
    assert files(tmp_path, "pulling") == []


async def test_a_pull_whose_end_nobody_saw_makes_it_nobodys(tmp_path: Path) -> None:
    died = images(tmp_path).pulling(IMAGE)
    died.__enter__()
    again = images(tmp_path)
    assert not await may_use(again, KEY)
    again.settle([Image(id=ID, repo_tags=(IMAGE,), size=1)], LATER)
    assert files(tmp_path, "pulling") == []
    assert not await may_use(again, KEY)
    pull(again, KEY)
    assert await may_use(again, KEY)


def test_records_go_with_their_images(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        pulled = PulledImages(tmp_path, Policy(), clock=clock)
        await clock.sleep(0.5)
        pull(pulled, KEY)
        pulled.settle([Image(id=ID, repo_tags=(IMAGE,), size=1)], LATER)
        pulled.settle([], 0.0)
        pulled.settle([], clock.now().timestamp() - 0.1)
        assert len(files(tmp_path, "pulled")) == 1, "it is there, or it came after the look, if only by a moment"
        pulled.settle([], LATER)
        assert files(tmp_path, "pulled") == []

    virtual.run(scenario())


async def test_an_unreadable_record_makes_it_nobodys(tmp_path: Path) -> None:
    pull(images(tmp_path), EVERYBODY)
    (file,) = files(tmp_path, "pulled")
    file.write_text("{")
    again = images(tmp_path)
    assert not await may_use(again, KEY)
    pull(again, KEY)
    assert json.loads(file.read_text())["imageRef"] == ID
    assert await may_use(images(tmp_path), KEY)


async def test_without_a_disk_nothing_is_pulled_and_what_was_stays_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    pulled = images(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", full)
        with pytest.raises(PodError, match="Failed to record image pull intent"), pulled.pulling(IMAGE):
            pytest.fail("nothing may be pulled")
    with pulled.pulling(IMAGE) as record, monkeypatch.context() as broken:
        broken.setattr(Path, "replace", full)
        record(ID, EVERYBODY)
    assert not await may_use(images(tmp_path), KEY)
