"""The end of a certificate's validity, read from PEM; no I/O and no clock.

The standard library shows the validity of authorities only, so the fields before it are skipped
here (RFC 5280, section 4.1).
"""

import re
import ssl
from collections.abc import Iterator
from datetime import datetime, timezone

_PEM = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)
#: Tags of ASN.1's DER.
_UTC_TIME = 0x17
_VERSION = 0xA0


def expiries(pem: str) -> list[float]:
    """Return when each certificate in ``pem`` expires, in Unix seconds and in their order.

    Raises:
        ValueError: A certificate is malformed.
    """
    return [_not_after(ssl.PEM_cert_to_DER_cert(text)) for text in _PEM.findall(pem)]


def _not_after(der: bytes) -> float:
    try:
        _, certificate = next(_values(der))
        _, signed = next(_values(certificate))
        fields = [value for tag, value in _values(signed) if tag != _VERSION]
        # Serial number, signature algorithm, issuer, validity.
        _, (tag, text) = _values(fields[3])
        layout = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
        moment = datetime.strptime(text.decode("ascii"), layout)
    except (IndexError, StopIteration) as error:
        raise ValueError("the certificate is malformed") from error
    return moment.replace(tzinfo=timezone.utc).timestamp()


def _values(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Split ``der`` into tags and values."""
    at = 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[at : at + size], "big")
            at += size
        yield tag, der[at : at + length]
        at += length
