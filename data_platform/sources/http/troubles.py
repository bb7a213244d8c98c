"""What went wrong with one try of a request: which words it gets, and whether it may pass.

Used by `client`. httpx's own errors hold requests with their headers, so none of them gets out.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from data_platform.errors import SourceError

LONGEST_WAIT = 120.0
"""Seconds that a server may ask to wait (`Retry-After`); for more a step isn't held up."""
_CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"
_REDIRECT = "in location header"
"""The library looks at where an answer redirects to even if it doesn't follow."""


class Passing(Exception):
    """A try failed in a way that may pass.

    Args:
        about: what happened, without secrets.
        wait: seconds that the server asks to wait; None means that it doesn't say.
        untouched: whether the server surely did nothing.
    """

    def __init__(self, about: str, wait: float | None = None, *, untouched: bool = False) -> None:
        super().__init__(about)
        self.wait = wait
        self.untouched = untouched


class CutShort(Exception):
    """An answer breaks off: its reader found less than there must be."""


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that a server asks to wait (RFC 9110, 10.2.3).

    Args:
        headers: of its answer.
        now: aware.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def trouble_of(error: Exception, said: str, address: str, seconds: float | None) -> Exception:
    """What an error of the library means.

    Args:
        error: of httpx, or of the time that is over.
        said: its text, without secrets.
        address: where, without secrets.
        seconds: that there were.
    """
    match error:
        case TimeoutError():
            return Passing(f"{address}: no whole answer within {seconds:g} s")
        case httpx.LocalProtocolError() | UnicodeError():
            # The library quotes the header, which may be a secret.
            return SourceError(
                f"{address}: a header holds what HTTP can't carry, such as a line break or a "
                "letter beyond ASCII: look at headers and auth"
            )
        case httpx.UnsupportedProtocol() | httpx.InvalidURL():
            return SourceError(f"{address}: no address of http:// or https://")
        case httpx.RemoteProtocolError() if _REDIRECT in said:
            return SourceError(f"{address} redirects to what is no address of the web")
        case _ if _CERTIFICATE in said:
            return SourceError(f"{address}: its certificate isn't trusted; SSL_CERT_FILE names one")
        case httpx.DecodingError():
            return Passing(f"{address}: the compressed answer is broken or cut short")
        case _:
            about = f"{address}: {said or type(error).__name__}"
            return Passing(about, untouched=isinstance(error, httpx.ConnectError))
