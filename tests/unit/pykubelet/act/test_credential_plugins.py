"""Programs that give credentials for images: real ones, run as processes."""

import json
from pathlib import Path

import msgspec
import pytest

from nodekit.aio.clock import SystemClock
from nodekit.config import ConfigError
from nodekit.kube import fake
from nodekit.kube.client import Client
from nodekit.objects import codec
from nodekit.objects.meta import ObjectMeta
from pykubelet.act.credential_plugins import CredentialPlugins
from pykubelet.act.credentials import ApiAccounts, ImageCredentials
from pykubelet.act.volumes.tokens import Tokens
from pykubelet.config import credential_providers
from pykubelet.config.credential_providers import EnvVar, Provider, TokenAttributes
from pykubelet.decide import image_credentials
from pykubelet.errors import StartupError
from pykubelet.model.ids import Uid
from pykubelet.model.image_access import EVERYBODY, AccountUse
from pykubelet.model.kinds import SERVICE_ACCOUNTS, ServiceAccount
from pykubelet.model.pod import Pod
from tests.unit.pykubelet.decide.pods import pod

VERSION = "credentialprovider.kubelet.k8s.io/v1"
IMAGE = "registry.example:5000/team/app:1"
# Notes what it was asked, and answers as its environment says.
PROGRAM = """#!/bin/sh
cat >> "$LOG"; echo >> "$LOG"
[ -z "$FAIL" ] || { echo "$FAIL" >&2; exit 3; }
printf '%s' "$ANSWER"
"""


class Accounts:
    async def token(self, pod: Pod, audience: str) -> str:
        return f"token-for-{audience}"

    async def account(self, pod: Pod) -> ServiceAccount:
        return ServiceAccount(metadata=ObjectMeta(name="sa", uid="sa-uid", annotations={"team": "a"}))

    def forget(self, uid: Uid) -> None:
        return None


def answer(key: str = "Image", **more: object) -> str:
    auth = {"*.example:5000": {"username": "u", "password": "p"}, "other.example": {"username": "x", "password": "y"}}
    return json.dumps(
        {"apiVersion": VERSION, "kind": "CredentialProviderResponse", "cacheKeyType": key, "auth": auth, **more}
    )


class Node:
    """A folder with the program in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "give"
        program.write_text(PROGRAM)
        program.chmod(0o755)

    def plugins(self, said: str, *, fail: str = "", **fields: object) -> CredentialPlugins:
        env = {"LOG": str(self.folder / "log"), "ANSWER": said, "FAIL": fail}
        provider = Provider(
            **{
                "name": "give",
                "match_images": ("*.example:5000",),
                "default_cache_duration": 60.0,
                "api_version": VERSION,
                "env": tuple(EnvVar(name=name, value=value) for name, value in env.items()),
                **fields,
            }
        )
        return CredentialPlugins((provider,), self.folder, accounts=Accounts(), clock=SystemClock())

    def asked(self) -> list[dict[str, object]]:
        log = self.folder / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.mark.parametrize(
    ("pattern", "image", "about"),
    [
        ("registry.example:5000", IMAGE, True),
        ("*.example:5000", IMAGE, True),
        ("*.example:5000/team", IMAGE, True),
        ("*.example:5000/other", IMAGE, False),
        ("*.example", IMAGE, False),
        ("*:5000", IMAGE, False),
        ("docker.io", "nginx", True),
    ],
)
def test_which_images_a_pattern_is_about(pattern: str, image: str, about: bool) -> None:
    assert image_credentials.matches(pattern, image) is about


async def test_a_program_is_asked_once_and_its_answer_used_again(tmp_path: Path) -> None:
    node = Node(tmp_path)
    plugins = node.plugins(answer("Registry"))
    (one,) = await plugins.get(pod(), IMAGE)
    assert (one.auth.username, one.auth.password) == ("u", "p")
    assert one.access == EVERYBODY, "they are the node's own"
    assert await plugins.get(pod(), "registry.example:5000/another") == (one,)
    assert node.asked() == [{"apiVersion": VERSION, "kind": "CredentialProviderRequest", "image": IMAGE}]
    assert await plugins.get(pod(), "elsewhere.example/x") == ()
    assert len(node.asked()) == 1


@pytest.mark.parametrize(
    ("said", "fail"),
    [
        pytest.param("nonsense", "", id="no JSON"),
        pytest.param(answer("Sometimes"), "", id="a word that is none"),
        pytest.param(answer().replace("/v1", "/v9"), "", id="another version"),
        pytest.param("", "no network", id="a failure"),
    ],
)
async def test_a_program_that_fails_gives_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, said: str, fail: str
) -> None:
    assert await Node(tmp_path).plugins(said, fail=fail).get(pod(), IMAGE) == ()
    assert f"no credentials for {IMAGE} from give" in caplog.text
    assert fail in caplog.text


async def test_an_answer_that_does_not_hold_is_asked_for_again(tmp_path: Path) -> None:
    node = Node(tmp_path)
    plugins = node.plugins(answer("Global", cacheDuration="0s"))
    for _ in range(2):
        await plugins.get(pod(), IMAGE)
    assert len(node.asked()) == 2


@pytest.mark.parametrize(
    ("account", "needed", "asked"),
    [
        pytest.param("robot", "team", {"team": "a"}, id="an account with the key"),
        pytest.param("robot", "other", None, id="an account without it"),
        pytest.param("", "team", None, id="no account"),
    ],
)
async def test_a_token_of_the_pods_account_is_given_where_it_is_wanted(
    tmp_path: Path, account: str, needed: str, asked: dict[str, str] | None
) -> None:
    node = Node(tmp_path)
    wanted = TokenAttributes(
        service_account_token_audience="aud",
        cache_type="ServiceAccount",
        require_service_account=True,
        required_service_account_annotation_keys=(needed,),
    )
    plugins = node.plugins(answer(), token_attributes=wanted)
    of = pod(serviceAccountName=account)
    found = await plugins.get(of, IMAGE)
    assert bool(found) == (asked is not None)
    if asked is not None:
        assert found[0].access.kubernetes_service_accounts == (AccountUse("sa-uid", of.metadata.namespace, account),)
        (one,) = node.asked()
        assert (one["serviceAccountToken"], one["serviceAccountAnnotations"]) == ("token-for-aud", asked)
        other = msgspec.structs.replace(of, metadata=msgspec.structs.replace(of.metadata, uid="u2"))
        await plugins.get(other, IMAGE)
        assert len(node.asked()) == 1


CONFIG = """apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: give
  matchImages: ["*.example:5000"]
  defaultCacheDuration: 12h
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  env: [{name: A, value: b}]
"""


def test_the_file_is_read(tmp_path: Path) -> None:
    Node(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (provider,) = credential_providers.load(tmp_path / "config.yaml", tmp_path)
    assert (provider.name, provider.default_cache_duration, provider.env[0].value) == ("give", 43200.0, "b")
    assert credential_providers.load(tmp_path, tmp_path) == (provider,)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: give", "name: take", "there is no program"),
        ("name: give", "name: ../give", "without a slash"),
        ("defaultCacheDuration: 12h", "", "how long credentials hold"),
        ("k8s.io/v1\n  env", "k8s.io/v7\n  env", "expected one of credentialprovider"),
        ('["*.example:5000"]', "[]", "at least one pattern"),
        ("matchImages", "matchImage", "did you mean 'matchImages'"),
        ("- name: give", "- tokenAttributes: {cacheType: Token}\n  name: give", "serviceAccountTokenAudience"),
    ],
)
def test_a_mistake_in_it_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    Node(tmp_path)
    file = tmp_path / "config.yaml"
    assert old in CONFIG
    file.write_text(CONFIG.replace(old, new))
    with pytest.raises(ConfigError, match=said):
        credential_providers.load(file, tmp_path)


def test_missing_places_are_told(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="no such folder"):
        credential_providers.load(tmp_path, tmp_path / "none")
    with pytest.raises(StartupError, match=r"no \*\.yaml"):
        credential_providers.load(tmp_path, tmp_path)


async def test_a_pods_token_is_kept_for_as_long_as_the_pod(tmp_path: Path) -> None:
    Node(tmp_path)
    api, issued = fake.FakeApi(), list[int]()

    def issue(_: object) -> bytes:
        issued.append(1)
        return codec.encode({"status": {"token": "t", "expirationTimestamp": "2100-01-01T00:00:00Z"}})

    api.answer("POST", ".*/serviceaccounts/sa/token", issue)
    api.put(SERVICE_ACCOUNTS, ServiceAccount(metadata=ObjectMeta(name="sa", namespace="default", uid="sa-uid")))
    client = Client(api)
    accounts = ApiAccounts(client, Tokens(client, now=lambda: 0.0))
    wanted = TokenAttributes(service_account_token_audience="aud", cache_type="Token", require_service_account=True)
    provider = Provider(name="give", match_images=("*.example:5000",), api_version=VERSION, token_attributes=wanted)
    plugins = CredentialPlugins((provider,), tmp_path, accounts=accounts, clock=SystemClock())
    credentials = ImageCredentials(None, node_file=tmp_path / "none", plugins=plugins)  # type: ignore[arg-type]
    made = pod(serviceAccountName="sa")
    await credentials.get(made, IMAGE)
    await credentials.get(made, IMAGE)
    assert len(issued) == 1
    credentials.forget(made.uid)
    await credentials.get(made, IMAGE)
    assert len(issued) == 2
