"""Why an API server's certificate is not trusted, and what to do about it. No I/O.

Source: X509_V_ERR_* of OpenSSL's x509_vfy.h.
"""

import datetime as dt
import ssl
from typing import Final

# Not valid yet, expired.
_TIME: Final = {9, 10}
# For another name, for another address.
_NAME: Final = {62, 64}
# Signed by itself, or by somebody unknown.
_ISSUER: Final = {18, 19, 20, 21}


def words(error: ssl.SSLCertVerificationError, *, now: dt.datetime) -> str:
    """`error` in a sentence that says what to look at; `now` is what the clock of this machine says."""
    said = error.verify_message
    advice = ""
    if error.verify_code in _TIME:
        advice = (
            f"; the clock here says {now:%Y-%m-%dT%H:%M:%SZ}: set this machine's clock, or renew the API server's "
            "certificate"
        )
    elif error.verify_code in _NAME:
        advice = "; give an address that is in the certificate, or its name as tls-server-name in the kubeconfig"
    elif error.verify_code in _ISSUER:
        advice = "; the certificate authority in the kubeconfig is not the one of this API server"
    return f"the API server's certificate is not trusted: {said}{advice}"
