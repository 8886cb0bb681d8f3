"""Certificates: what an https server must show, and what to do where it is not trusted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.edge.http_reply import HttpFault

if TYPE_CHECKING:
    import ssl

OUT_OF_DATE = {9, 10}
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL's x509_vfy.h, which
`ssl` has no names for."""


def trusting(certificate: str | None) -> ssl.SSLContext:
    """Trust one named certificate alone, or else what this machine trusts; raise HttpFault."""
    import ssl  # noqa: PLC0415  only what speaks https pays for it

    if certificate is None:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whatever name it bears: the operator vouches for the file, and may reach the server by a mere
    # address.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(certificate)
    except (OSError, ssl.SSLError) as error:
        said = f"the certificate {certificate} cannot be used: {error}"
        raise HttpFault("broken", said) from error
    return context


def mistrust(url: str, error: ssl.SSLCertVerificationError, certificate: str | None) -> str:
    """Explain what is wrong with the certificate of a server, and what to do about it."""
    why = error.verify_message
    if error.verify_code in OUT_OF_DATE:
        return (
            f"does not count today ({why}), so it was not told the password; renew it there, or set"
            " the clock here"
        )
    said = f"is not the one in {certificate}" if certificate else "is not trusted here"
    return (
        f"{said}, so it was not told the password ({why}); where it is the right one, save what"
        f" `openssl s_client -connect {_place(url)} </dev/null | openssl x509` prints, and name the"
        " file as `certificate:`"
    )


def _place(url: str) -> str:
    """Host and port, which `openssl s_client` wants to be told."""
    place = url.partition("://")[2].partition("/")[0]
    return place if re.search(r":\d+$", place) else f"{place}:443"
