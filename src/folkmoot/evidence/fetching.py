"""One address, fetched within bounds: of bytes, of time, of redirects, and never inside the own network.

Protects against: an endless or slow page, a redirect loop, an address that a stranger put into a post to reach a
machine behind the firewall (each hop's addresses are looked up, checked, and the connection is made to just those).
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from folkmoot import __version__
from folkmoot.evidence.retriever import SourceDown

LARGEST_BYTES = 5 << 20
"""More than this is not read of a page (chosen)."""
SECONDS = 20.0
MOST_REDIRECTS = 5
USER_AGENT = f"folkmoot/{__version__} (evidence retrieval)"


class PublicResolver(AbstractResolver):
    """Names -> addresses, without those of the own machine and network."""

    def __init__(self, *, allow_private: bool = False) -> None:
        self._resolver = aiohttp.ThreadedResolver()
        self.allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        kept = [entry for entry in found if self.allow_private or ipaddress.ip_address(entry["host"]).is_global]
        if not kept:
            raise OSError(f"{host} has no public address")
        return kept

    async def close(self) -> None:
        await self._resolver.close()


class Fetcher:
    """Fetches pages and JSON. Close it, or use it with `async with`."""

    def __init__(
        self, *, largest_bytes: int = LARGEST_BYTES, seconds: float = SECONDS, allow_private: bool = False
    ) -> None:
        """
        Args:
            allow_private: addresses of the own network may be fetched: for a search engine of one's own, never for
                addresses from posts or results.
        """
        self.largest_bytes, self.seconds, self.allow_private = largest_bytes, seconds, allow_private
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Fetcher:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch(
        self,
        address: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> bytes:
        """The content behind an address.

        Raises:
            SourceDown: it does not answer within the bounds, or with an error; the message names only the host.
        """
        host = urlsplit(address).hostname or "an address without a host"
        try:
            return await asyncio.wait_for(self._hops(address, params, headers, body), self.seconds)
        except TimeoutError:
            raise SourceDown(f"{host} did not answer within {self.seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SourceDown(f"{host} cannot be reached: {type(error).__name__}") from None

    async def fetch_json(self, address: str, **options: Any) -> Any:
        """The JSON behind an address.

        Raises:
            SourceDown: as `fetch`, or it is no JSON.
        """
        content = await self.fetch(address, **options)
        try:
            return json.loads(content)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            raise SourceDown(f"{urlsplit(address).hostname} did not answer with JSON") from None

    async def _hops(self, address: str, params: Any, headers: Any, body: Any) -> bytes:
        if self._session is None:
            resolver = PublicResolver(allow_private=self.allow_private)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, limit=16),
                timeout=aiohttp.ClientTimeout(total=self.seconds), headers={"User-Agent": USER_AGENT},
            )  # fmt: skip
        first = urlsplit(address).hostname
        for _ in range(MOST_REDIRECTS + 1):
            self._check(address)
            own = headers if urlsplit(address).hostname == first else None  # a key goes to nobody else
            async with self._session.request(
                "GET" if body is None else "POST", yarl.URL(address), params=params, headers=own, json=body,
                allow_redirects=False,
            ) as response:  # fmt: skip
                if response.status in (301, 302, 303, 307, 308) and "Location" in response.headers:
                    address, params, body = urljoin(address, response.headers["Location"]), None, None
                    continue
                if response.status != 200:
                    raise SourceDown(f"{urlsplit(address).hostname} answered {response.status}")
                content = bytearray()
                async for piece in response.content.iter_chunked(1 << 16):
                    content += piece
                    if len(content) > self.largest_bytes:
                        raise SourceDown(
                            f"{urlsplit(address).hostname} sent more than {self.largest_bytes:,} bytes; none was used"
                        )
                return bytes(content)
        raise SourceDown(f"{first} redirects more than {MOST_REDIRECTS} times")

    def _check(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SourceDown("only http and https addresses are fetched")
        try:
            literal = ipaddress.ip_address(parts.hostname)
        except ValueError:
            return
        if not self.allow_private and not literal.is_global:
            raise SourceDown(f"{parts.hostname} is an address of the own network; it is not fetched")
