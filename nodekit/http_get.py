"""GET from programs that nobody vouches for: any certificate is taken, and no answer leads to another host."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

MOST_REDIRECTS: Final = 10
_REDIRECTS: Final = (301, 302, 303, 307, 308)


class TooManyRedirects(aiohttp.ClientError):
    """Every answer led to another address of the same host."""


def session() -> aiohttp.ClientSession:
    """For `get`; to be closed. It has no time limit: that is the caller's."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trusting, force_close=True, limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    )


@contextlib.asynccontextmanager
async def get(
    http: aiohttp.ClientSession, url: str, headers: Iterable[tuple[str, str]]
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer, its body unread. Redirects are followed on the same host; one to another is the answer itself.

    Raises TooManyRedirects, another aiohttp.ClientError, OSError, or ValueError for what makes no request.
    """
    headers, host = list(headers), urlsplit(url).hostname
    for _ in range(MOST_REDIRECTS):
        async with http.get(URL(url, encoded=True), headers=headers, allow_redirects=False) as answer:
            location = answer.headers.get("Location", "") if answer.status in _REDIRECTS else ""
            following = urljoin(url, location)
            if not location or urlsplit(following).hostname != host:
                yield answer
                return
            url = following
    raise TooManyRedirects(f"stopped after {MOST_REDIRECTS} redirects")


def words(error: Exception) -> str:
    """What an error says, or what it is if it says nothing."""
    return str(error) or type(error).__name__
