"""Puts together what pulls images: how many at once, with whose credentials, and who may use what was pulled."""

from nodekit.aio.clock import SystemClock
from nodekit.kube.client import Client
from pykubelet.act.credential_plugins import CredentialPlugins
from pykubelet.act.credentials import ApiAccounts, ImageCredentials
from pykubelet.act.image_actions import ImageActions
from pykubelet.act.images import Images
from pykubelet.act.pulled_images import PulledImages
from pykubelet.act.volumes.tokens import Tokens
from pykubelet.config import credential_providers
from pykubelet.config.settings import Settings
from pykubelet.cri import runtime_api
from pykubelet.decide import image_access
from pykubelet.options import Options
from pykubelet.wiring.api import ApiLoop


class Pulls:
    """`actions` gets Pods their images; `records` remembers whose each is; `forget` is for Pods that are gone."""

    def __init__(
        self,
        settings: Settings,
        options: Options,
        *,
        client: Client,
        service: runtime_api.ImageService,
        api: ApiLoop,
    ) -> None:
        at_once = 1 if settings.serialize_image_pulls else settings.max_parallel_image_pulls
        credentials = ImageCredentials(
            api.referenced, node_file=options.root / "config.json", plugins=_credential_plugins(options, client)
        )
        self.forget = credentials.forget
        self.records = PulledImages(options.root, _access_policy(settings), clock=SystemClock())
        self.actions = ImageActions(
            Images(service, at_once=at_once), api.events, credentials=credentials.get, pulled=self.records
        )


def _access_policy(settings: Settings) -> image_access.Policy:
    if not settings.feature_gates.get("KubeletEnsureSecretPulledImages", True):
        return image_access.Policy("NeverVerify")
    return image_access.Policy(
        settings.image_pull_credentials_verification_policy, settings.preloaded_images_verification_allowlist
    )


def _credential_plugins(options: Options, client: Client) -> CredentialPlugins | None:
    if options.credential_providers is None or options.credential_programs is None:
        return None
    clock = SystemClock()
    providers = credential_providers.load(options.credential_providers, options.credential_programs)
    accounts = ApiAccounts(client, Tokens(client, now=lambda: clock.now().timestamp()))
    return CredentialPlugins(providers, options.credential_programs, accounts=accounts, clock=clock)
