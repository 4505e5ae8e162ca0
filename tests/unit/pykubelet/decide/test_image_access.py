"""Whose Pods may use an image that is on the node. Cases as in pkg/kubelet/images/pullmanager of 1.37."""

import datetime as dt

import pytest

from pykubelet.decide import image_access
from pykubelet.decide.image_access import Policy, Verdict
from pykubelet.model.image_access import EVERYBODY, NOBODY, Access, AccountUse, ImagePulledRecord, SecretUse

IMAGE, ID = "registry.example/team/app:1", "sha256:1"
NOW = dt.datetime(2026, 11, 27, 12, 0, 0, 500, dt.UTC)
KEY = SecretUse("uid", "ns", "key", "hash")
ACCOUNT = AccountUse("uid", "ns", "default")


def secrets(*uses: SecretUse) -> Access:
    return Access(kubernetes_secrets=uses)


def accounts(*uses: AccountUse) -> Access:
    return Access(kubernetes_service_accounts=uses)


def record(access: Access, *, of: str = IMAGE) -> ImagePulledRecord:
    return image_access.recorded(None, of, ID, access, NOW)


@pytest.mark.parametrize(
    ("policy", "image", "preloaded", "pulled"),
    [
        pytest.param(Policy("NeverVerify"), IMAGE, False, False, id="never"),
        pytest.param(Policy("NeverVerifyPreloadedImages"), IMAGE, False, True, id="what a kubelet pulled"),
        pytest.param(Policy("AlwaysVerify"), IMAGE, True, True, id="always"),
        pytest.param(
            Policy("NeverVerifyAllowlistedImages", ("registry.example/team/app",)), IMAGE, False, False,
            id="listed by name",
        ),
        pytest.param(
            Policy("NeverVerifyAllowlistedImages", ("registry.example/team/*",)), IMAGE, False, False,
            id="listed by the start of its name",
        ),
        pytest.param(
            Policy("NeverVerifyAllowlistedImages", ("registry.example/team",)), IMAGE, True, True,
            id="a name is no start",
        ),
        pytest.param(
            Policy("NeverVerifyAllowlistedImages", ("registry.example/team/*",)), "registry.example/teammate/app",
            True, True, id="not listed",
        ),
    ],
)  # fmt: skip
def test_when_credentials_are_asked_for(policy: Policy, image: str, preloaded: bool, pulled: bool) -> None:
    assert (policy.asks(image, pulled=False), policy.asks(image, pulled=True)) == (preloaded, pulled)


@pytest.mark.parametrize(
    ("known", "verdict"),
    [
        pytest.param(record(EVERYBODY), Verdict.KNOWN, id="it is everybody's"),
        pytest.param(None, Verdict.MUST_PULL, id="nothing is known of it"),
        pytest.param(record(NOBODY), Verdict.MUST_PULL, id="a pull whose end nobody saw"),
        pytest.param(record(EVERYBODY, of="elsewhere/app:1"), Verdict.MUST_PULL, id="known by another name only"),
        pytest.param(record(EVERYBODY, of="registry.example/team/app:2"), Verdict.KNOWN, id="by another tag"),
        pytest.param(record(secrets(KEY)), None, id="it depends on secrets"),
        pytest.param(record(accounts(ACCOUNT)), None, id="it depends on accounts"),
    ],
)
def test_what_the_record_alone_says(known: ImagePulledRecord | None, verdict: Verdict | None) -> None:
    assert image_access.judged(known, IMAGE) == verdict


RENEWED = SecretUse("uid", "ns", "key", "other")
COPY = SecretUse("2", "elsewhere", "copy", "hash")


@pytest.mark.parametrize(
    ("known", "offers", "verdict", "learned"),
    [
        pytest.param(secrets(KEY), [secrets(KEY)], Verdict.KNOWN, NOBODY, id="the very secret"),
        pytest.param(secrets(KEY), [secrets(COPY)], Verdict.KNOWN, secrets(COPY), id="another with the same content"),
        pytest.param(secrets(KEY), [secrets(RENEWED)], Verdict.KNOWN, secrets(RENEWED), id="the same, changed"),
        pytest.param(secrets(KEY), [secrets(SecretUse("3", "ns", "key", "other"))], Verdict.MUST_PULL, NOBODY,
                     id="a new secret of the same name"),
        pytest.param(secrets(KEY), [], Verdict.MUST_PULL, NOBODY, id="a Pod without any"),
        pytest.param(secrets(KEY), [EVERYBODY], Verdict.MUST_PULL, NOBODY, id="the node's own are no proof"),
        pytest.param(secrets(SecretUse("uid", "ns", "key", "")), [secrets(SecretUse("2", "b", "c", ""))],
                     Verdict.MUST_PULL, NOBODY, id="no hash fits no hash"),
        pytest.param(accounts(ACCOUNT), [EVERYBODY, accounts(ACCOUNT)], Verdict.KNOWN, NOBODY, id="the same account"),
        pytest.param(accounts(ACCOUNT), [accounts(AccountUse("2", "ns", "default"))], Verdict.MUST_PULL, NOBODY,
                     id="another account of that name"),
        pytest.param(accounts(ACCOUNT), [secrets(KEY)], Verdict.MUST_PULL, NOBODY, id="a secret is no account"),
    ],
)  # fmt: skip
def test_what_the_pod_has(known: Access, offers: list[Access], verdict: Verdict, learned: Access) -> None:
    assert image_access.offered(record(known), IMAGE, offers) == (verdict, learned)


def test_a_record_does_not_grow_for_ever() -> None:
    many = secrets(*(SecretUse(str(number), "ns", f"s{number:03}", "hash") for number in range(100)))
    full = record(many)
    assert image_access.offered(full, IMAGE, [secrets(COPY)]) == (Verdict.KNOWN, NOBODY)
    renewed = SecretUse("7", "ns", "s007", "other")
    assert image_access.offered(full, IMAGE, [secrets(renewed)]) == (Verdict.MUST_PULL, NOBODY)


def test_what_is_recorded_is_joined() -> None:
    first = record(secrets(KEY))
    assert image_access.recorded(first, IMAGE, ID, secrets(KEY), NOW) is first, "nothing new"
    assert image_access.recorded(first, IMAGE, ID, NOBODY, NOW) is first
    both = image_access.recorded(first, IMAGE, ID, secrets(COPY), NOW)
    assert both.credential_mapping["registry.example/team/app"] == secrets(COPY, KEY), "by namespace and name"
    renewed = image_access.recorded(first, IMAGE, ID, secrets(RENEWED), NOW)
    assert renewed.credential_mapping["registry.example/team/app"] == secrets(RENEWED)
    open_to_all = image_access.recorded(both, IMAGE, ID, EVERYBODY, NOW)
    assert open_to_all.credential_mapping["registry.example/team/app"] == EVERYBODY
    assert image_access.recorded(open_to_all, IMAGE, ID, secrets(KEY), NOW) is open_to_all
    elsewhere = image_access.recorded(first, "mirror.example/app:1", ID, EVERYBODY, NOW)
    assert set(elsewhere.credential_mapping) == {"registry.example/team/app", "mirror.example/app"}
