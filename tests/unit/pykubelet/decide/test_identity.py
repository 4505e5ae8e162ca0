"""The node's certificates: what they say, when the next is due, what signers and clocks mean."""

import pytest

from nodekit.objects.meta import ObjectMeta
from pykubelet.decide import identity
from pykubelet.decide.identity import Held, Refused
from pykubelet.model.certificates import RequestCondition
from pykubelet.model.signing import SigningRequest, SigningRequestStatus

DAY = 86400.0
NOW = 1_800_000_000.0


def held(**changes: object) -> Held:
    values: dict[str, object] = {
        "not_before": NOW,
        "not_after": NOW + 10 * DAY,
        "common_name": "system:node:n1",
        "organizations": ("system:nodes",),
        "dns_names": ("n1",),
        "addresses": ("198.18.0.11",),
    }
    return Held(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("random", "days"),
    [
        pytest.param(0.0, 7.0, id="seven tenths of its life at the earliest"),
        pytest.param(0.5, 8.0, id="spread evenly"),
        pytest.param(1.0, 9.0, id="nine tenths at the latest"),
    ],
)
def test_when_a_certificate_is_due(random: float, days: float) -> None:
    assert identity.rotate_at(held(), random=random) == pytest.approx(NOW + days * DAY)


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        pytest.param({}, True, id="the same"),
        pytest.param({"addresses": ("198.18.0.11", "fd00::1")}, True, id="one address more than is needed"),
        pytest.param({"addresses": ()}, False, id="the node has an address that is not in it"),
        pytest.param({"common_name": "system:node:n2"}, False, id="another node's"),
        pytest.param({"organizations": ()}, False, id="not a node's"),
    ],
)
def test_which_certificate_is_still_the_right_one(changes: dict[str, object], fits: bool) -> None:
    assert identity.fits(held(**changes), identity.serving("n1", ["198.18.0.11"])) is fits


def test_a_node_named_by_its_address_has_no_host_name() -> None:
    wanted = identity.serving("198.18.0.11", ["fd00::1"])
    assert wanted.dns_names == ()
    assert wanted.addresses == ("198.18.0.11", "fd00::1")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        pytest.param(NOW + DAY, "", id="it holds"),
        pytest.param(NOW + 11 * DAY, "expired at", id="it is over"),
        pytest.param(NOW - DAY, "set this machine's clock", id="the clock is behind"),
    ],
)
def test_what_is_wrong_with_a_certificate(now: float, said: str) -> None:
    found = identity.trouble(held(), now=now)
    assert said in found
    assert bool(found) is bool(said)


def answered(*conditions: str, certificate: bytes = b"") -> SigningRequest:
    told = tuple(RequestCondition(type=one, status="True", reason="Because", message="of this") for one in conditions)
    return SigningRequest(
        metadata=ObjectMeta(name="csr-1"), status=SigningRequestStatus(conditions=told, certificate=certificate)
    )


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        pytest.param(answered(), None, id="nobody looked at it"),
        pytest.param(answered("Approved"), None, id="approved and not signed yet"),
        pytest.param(answered("Approved", certificate=b"PEM"), b"PEM", id="signed"),
        pytest.param(answered("Denied"), Refused("Denied", "Because", "of this"), id="denied"),
        pytest.param(answered("Approved", "Failed"), Refused("Failed", "Because", "of this"), id="the signer failed"),
    ],
)
def test_what_a_signers_answer_means(found: SigningRequest, answer: object) -> None:
    assert identity.answer(found) == answer


def test_a_request_asks_for_what_the_signer_allows() -> None:
    made = identity.request(identity.client("n1"), b"PEM", name=identity.bootstrap_name(b"PEM"))
    assert made.spec.signer_name == "kubernetes.io/kube-apiserver-client-kubelet"
    assert made.spec.usages == ("digital signature", "client auth")
    assert made.metadata.name == identity.bootstrap_name(b"PEM")
    assert identity.request(identity.client("n1"), b"PEM").metadata.generate_name == "csr-"
