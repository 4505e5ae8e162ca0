"""Which client certificates are believed, and whose they are."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509

from pykubelet.serve.client_certificates import CREDENTIAL, Authority, of_subject
from pykubelet.serve.identity import Distrusted
from tests.unit.pykubelet.serve.certificate_maker import CLIENTS, NOW, SERVERS, Made, make

CA = make("kubernetes", ca=True)
OTHER = make("kubernetes", ca=True)
BETWEEN = make("between", by=CA, ca=True)
LEAF = make("leaf", by=CA, usage=[CLIENTS])
ALONE = make("alone", ca=False, usage=[CLIENTS])


@pytest.mark.parametrize(
    ("chain", "roots", "reason"),
    [
        pytest.param([LEAF], [CA], "", id="one of the CA"),
        pytest.param([LEAF], [OTHER, CA], "", id="one of two CAs that have the same name"),
        pytest.param([make("x", by=CA)], [CA], "", id="one that does not say what it is for"),
        pytest.param([make("x", by=BETWEEN, usage=[CLIENTS]), BETWEEN], [CA], "", id="by an intermediate it shows"),
        pytest.param([make("x", by=BETWEEN, usage=[CLIENTS])], [BETWEEN], "", id="by an intermediate in the file"),
        pytest.param([ALONE], [ALONE], "", id="itself in the file"),
        pytest.param([make("x", by=BETWEEN)], [CA], "candidates exhausted", id="by an intermediate nobody knows"),
        pytest.param([make("x", by=OTHER)], [CA], "signature does not match", id="of a foreign CA of the same name"),
        pytest.param([make("x", by=CA, valid=(-2, -1))], [CA], "not valid at", id="one that has expired"),
        pytest.param([make("x", by=CA, valid=(1, 2))], [CA], "not valid at", id="one of tomorrow"),
        pytest.param([make("x", by=CA, usage=[SERVERS])], [CA], "not client authentication", id="a server's"),
        pytest.param([make("x", by=LEAF), LEAF], [CA], "no basicConstraints", id="signed by what is no CA"),
        pytest.param([ALONE], [CA], "candidates exhausted", id="signed by itself alone"),
    ],
)
def test_a_certificate_is_judged(tmp_path: Path, chain: Sequence[Made], roots: Sequence[Made], reason: str) -> None:
    path = tmp_path / "ca.crt"
    path.write_bytes(b"".join(root.pem for root in roots))
    shown = [one.certificate for one in chain]
    if not reason:
        assert Authority(path).who(shown, now=NOW)
        return
    with pytest.raises(Distrusted, match=reason):
        Authority(path).who(shown, now=NOW)


@pytest.mark.parametrize(
    ("certificate", "name", "groups"),
    [
        pytest.param(make("admin", groups=["a", "b"]), "admin", ("a", "b"), id="organizations are groups"),
        pytest.param(make("first", "last"), "last", (), id="the last of two names"),
        pytest.param(make(groups=["a"]), None, (), id="without a common name it is nobody"),
    ],
)
def test_a_certificate_names_a_user(certificate: Made, name: str | None, groups: tuple[str, ...]) -> None:
    found = of_subject(certificate.certificate)
    assert (found and found.name) == name
    if found:
        assert found.groups == (*groups, "system:authenticated")
        assert found.extra[CREDENTIAL][0].startswith("X509SHA256=")


def test_a_ca_that_left_its_file_is_not_believed_any_more_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    path.write_bytes(CA.pem + OTHER.pem)
    authority = Authority(path)

    def believed(shown: x509.Certificate) -> bool:
        try:
            return authority.who([shown], now=NOW + dt.timedelta(minutes=1)) is not None
        except Distrusted:
            return False

    of_other = make("x", by=OTHER).certificate
    assert (believed(LEAF.certificate), believed(of_other)) == (True, True)
    for text in (b"", b"-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n"):
        path.write_bytes(text)
        assert (believed(LEAF.certificate), believed(of_other)) == (True, True)
    path.write_bytes(OTHER.pem)
    assert (believed(LEAF.certificate), believed(of_other)) == (False, True)
    path.unlink()
    assert (believed(LEAF.certificate), believed(of_other)) == (False, True)
