"""Asks the API server who a token belongs to (TokenReview) and what a user may do (SubjectAccessReview)."""

from nodekit.kube import errors as kube_errors
from nodekit.kube.client import Client
from nodekit.objects.base import Object
from pykubelet.serve import authz
from pykubelet.serve.identity import Identity

TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"
ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class UserInfo(Object):
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class TokenReviewSpec(Object):
    token: str = ""


class TokenReviewStatus(Object):
    authenticated: bool = False
    user: UserInfo = UserInfo()
    error: str = ""


class TokenReview(Object, tag_field="kind", tag="TokenReview"):
    api_version: str = "v1"
    spec: TokenReviewSpec = TokenReviewSpec()
    status: TokenReviewStatus = TokenReviewStatus()


class ResourceAttributes(Object):
    verb: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""


class AccessReviewSpec(Object):
    resource_attributes: ResourceAttributes = ResourceAttributes()
    user: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class AccessReviewStatus(Object):
    allowed: bool = False
    reason: str = ""


class AccessReview(Object, tag_field="kind", tag="SubjectAccessReview"):
    api_version: str = "v1"
    spec: AccessReviewSpec = AccessReviewSpec()
    status: AccessReviewStatus = AccessReviewStatus()


class ApiReviews:
    """Satisfies authn.TokenReviews and authz.Authorizer for the node of this name."""

    def __init__(self, client: Client, *, node: str) -> None:
        self._client = client
        self._node = node

    async def who(self, token: str) -> Identity | None:
        """Raises nodekit.kube.errors.ApiError."""
        asked = TokenReview(api_version="authentication.k8s.io/v1", spec=TokenReviewSpec(token=token))
        answer = (await self._client.post(TOKENS, asked, TokenReview)).status
        if not answer.authenticated:
            return None
        user = answer.user
        return Identity(name=user.username, uid=user.uid, groups=user.groups, extra=user.extra)

    async def allows(self, user: Identity, wanted: authz.Attributes) -> bool:
        asked = AccessReview(
            api_version="authorization.k8s.io/v1",
            spec=AccessReviewSpec(
                resource_attributes=ResourceAttributes(
                    verb=wanted.verb,
                    version="v1",
                    resource="nodes",
                    subresource=wanted.subresource,
                    name=self._node,
                ),
                user=user.name,
                uid=user.uid,
                groups=user.groups,
                extra=dict(user.extra),
            ),
        )
        try:
            return (await self._client.post(ACCESS, asked, AccessReview)).status.allowed
        except kube_errors.ApiError as error:
            raise authz.Undecided(str(error)) from error
