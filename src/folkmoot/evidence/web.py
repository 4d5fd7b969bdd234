"""Sources on the web: Wikipedia and other MediaWikis, fact-checks (ClaimReview), and search engines.

Each asks one address, reads its answer strictly, and gives passages with their address and, where the source knows it,
their date. Keys come from the environment and are never written anywhere.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from folkmoot.evidence.fetching import Fetcher
from folkmoot.evidence.passage import Passage
from folkmoot.evidence.retriever import Question, SourceDown
from folkmoot.records import BadInput, BadRecord, Evidence
from folkmoot.records.dates import iso_date

TAGS = re.compile(r"<[^>]+>")
LONGEST_QUERY = 300
"""What a MediaWiki's search takes."""


class MediaWikiRetriever:
    """The articles that a wiki's own search finds, each by its opening words, or with `as_of` by the words that stood
    there before that day: the revision of then is read, so that nothing later leaks in."""

    def __init__(self, fetcher: Fetcher, *, api: str = "https://en.wikipedia.org/w/api.php") -> None:
        self.fetcher, self.api = fetcher, api
        self.name = f"mediawiki {api.split('/')[2]}"

    async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
        base = {"format": "json", "formatversion": "2", "action": "query"}
        found = await self.fetcher.fetch_json(
            self.api,
            params={
                **base,
                "list": "search",
                "srlimit": str(min(question.k, 20)),
                "srsearch": question.text[:LONGEST_QUERY],
            },
        )
        titles = [str(hit["title"]) for hit in _list(found, "query", "search") if "title" in hit]
        evidence = []
        for rank, title in enumerate(titles):
            passage = await self._then(base, title, question) if question.as_of else await self._now(base, title)
            if passage is not None and question.admits(passage.published):
                evidence.append(passage.evidence(1 / (rank + 1), retriever=self.name, question=question.text))
        return tuple(evidence[: question.k])

    async def _now(self, base: Mapping[str, str], title: str) -> Passage | None:
        answer = await self.fetcher.fetch_json(
            self.api,
            params={
                **base,
                "prop": "extracts|info",
                "exintro": "1",
                "explaintext": "1",
                "inprop": "url",
                "titles": title,
            },
        )
        page = next(iter(_list(answer, "query", "pages")), {})
        text = str(page.get("extract") or "").strip()
        if not text:
            return None
        return Passage(id=f"{self.name}:{title}", text=text, title=title, url=str(page.get("fullurl") or ""),
                       published=iso_date(page.get("touched")))  # fmt: skip

    async def _then(self, base: Mapping[str, str], title: str, question: Question) -> Passage | None:
        from folkmoot.evidence.corpus import plain_wikitext

        answer = await self.fetcher.fetch_json(
            self.api,
            params={**base, "prop": "revisions", "titles": title, "rvlimit": "1", "rvdir": "older", "rvslots": "main",
                    "rvprop": "ids|timestamp|content", "rvstart": f"{question.as_of}T00:00:00Z"},
        )  # fmt: skip
        page = next(iter(_list(answer, "query", "pages")), {})
        revision = next(iter(page.get("revisions") or []), None)
        if revision is None:
            return None  # the article did not exist yet
        text = plain_wikitext(str(((revision.get("slots") or {}).get("main") or {}).get("content") or ""))
        opening = text.split("\n\n")[0].strip()
        number = revision.get("revid")
        if not opening:
            return None
        return Passage(id=f"{self.name}:{title}@{number}", text=opening, title=title,
                       url=self.api.replace("api.php", f"index.php?oldid={number}"), published=iso_date(revision.get("timestamp")))  # fmt: skip


class FactCheckRetriever:
    """Published fact-checks by Google's Fact Check Tools API (`FACT_CHECK_KEY`), as ClaimReview."""

    def __init__(
        self, fetcher: Fetcher, *, key: str | None = None,
        address: str = "https://factchecktools.googleapis.com/v1alpha1/claims:search",
    ) -> None:  # fmt: skip
        self.fetcher, self.address, self._key = fetcher, address, _key(key, "FACT_CHECK_KEY")
        self.name = "fact-checks"

    async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
        answer = await self.fetcher.fetch_json(
            self.address, params={"query": question.text, "pageSize": str(question.k), "key": self._key}
        )
        passages = [
            fact_check_passage(
                claimed=str(claim.get("text") or ""), claimant=str(claim.get("claimant") or ""),
                rating=str(review.get("textualRating") or ""), title=str(review.get("title") or ""),
                publisher=str((review.get("publisher") or {}).get("name") or ""), url=str(review.get("url") or ""),
                published=iso_date(review.get("reviewDate")),
            )
            for claim in _list(answer, "claims")
            for review in claim.get("claimReview") or []
        ]  # fmt: skip
        return _ranked(passages, question, self.name)


class SearxngRetriever:
    """A SearXNG of one's own, with its JSON format enabled."""

    def __init__(self, fetcher: Fetcher, *, address: str) -> None:
        self.fetcher, self.address = fetcher, address.rstrip("/") + "/search"
        self.name = f"searxng {address.split('/')[2]}"

    async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
        answer = await self.fetcher.fetch_json(self.address, params={"q": question.text, "format": "json"})
        return _ranked(_hits(_list(answer, "results"), "content", "url", "publishedDate"), question, self.name)


class SerperRetriever:
    """Google's results by Serper (`SERPER_KEY`), as FakeAgent's reference code has them."""

    def __init__(
        self, fetcher: Fetcher, *, key: str | None = None, address: str = "https://google.serper.dev/search"
    ) -> None:
        self.fetcher, self.address, self._key = fetcher, address, _key(key, "SERPER_KEY")
        self.name = "serper"

    async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
        body: dict[str, Any] = {"q": question.text, "num": question.k}
        if question.as_of:
            body["q"] += f" before:{question.as_of}"
        answer = await self.fetcher.fetch_json(self.address, headers={"X-API-KEY": self._key}, body=body)
        return _ranked(_hits(_list(answer, "organic"), "snippet", "link", "date"), question, self.name)


class BraveRetriever:
    """Brave's search (`BRAVE_KEY`)."""

    def __init__(self, fetcher: Fetcher, *, key: str | None = None,
                 address: str = "https://api.search.brave.com/res/v1/web/search") -> None:  # fmt: skip
        self.fetcher, self.address, self._key = fetcher, address, _key(key, "BRAVE_KEY")
        self.name = "brave"

    async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
        answer = await self.fetcher.fetch_json(
            self.address, params={"q": question.text, "count": str(min(question.k, 20))},
            headers={"X-Subscription-Token": self._key, "Accept": "application/json"},
        )  # fmt: skip
        return _ranked(_hits(_list(answer, "web", "results"), "description", "url", "page_age"), question, self.name)


def read_fact_checks(path: Path) -> list[Passage]:
    """The fact-checks of a ClaimReview feed: a JSON-LD list, a `DataFeed`, or a line each.

    Raises:
        BadInput: it is no JSON.
        BadRecord: an item has no claim or rating; names the file and the item.
    """
    text = path.read_text(encoding="utf-8")
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError:
        try:
            loaded = [json.loads(line) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError:
            raise BadInput(f"{path} is neither JSON nor JSONL; give a ClaimReview feed") from None
    found: list[Passage] = []
    for number, item in enumerate(_claim_reviews(loaded), 1):
        rating = item.get("reviewRating") or {}
        said = rating.get("alternateName") or rating.get("ratingValue")
        if not item.get("claimReviewed") or said is None:
            raise BadRecord(
                path, number, "claimReviewed" if said is not None else "reviewRating", "a ClaimReview needs it."
            )
        author = item.get("author") or {}
        found.append(
            fact_check_passage(
                claimed=str(item["claimReviewed"]), claimant="", rating=str(said), title=str(item.get("name") or ""),
                publisher=str((author[0] if isinstance(author, list) and author else author or {}).get("name") or ""),
                url=str(item.get("url") or ""), published=iso_date(item.get("datePublished")),
            )
        )  # fmt: skip
    return [passage.model_copy(update={"id": f"{path.name}#{n}"}) for n, passage in enumerate(found)]


def _claim_reviews(loaded: Any) -> Iterable[dict[str, Any]]:
    if isinstance(loaded, list):
        for item in loaded:
            yield from _claim_reviews(item)
    elif isinstance(loaded, dict):
        if loaded.get("@type") == "ClaimReview" or "claimReviewed" in loaded:
            yield loaded
        for field in ("dataFeedElement", "item", "@graph", "itemListElement"):
            yield from _claim_reviews(loaded.get(field))


def fact_check_passage(
    *, claimed: str, claimant: str, rating: str, title: str, publisher: str, url: str, published: str | None
) -> Passage:
    """A fact-check as a sentence that says who rated which claim how."""
    by = f" by {claimant}" if claimant else ""
    return Passage(
        id=url or title, text=f'{publisher or "A fact-checker"} rated the claim{by} "{claimed}" as: {rating}.', title=title, url=url,
        published=published,
    )  # fmt: skip


def _key(key: str | None, variable: str) -> str:
    found = key or os.environ.get(variable)
    if not found:
        raise BadInput(f"this source needs a key: set the environment variable {variable}")
    return found


def _list(answer: Any, *fields: str) -> list[dict[str, Any]]:
    """The list of objects at a path of an answer; empty where it is not there."""
    for field in fields:
        answer = answer.get(field) if isinstance(answer, dict) else None
    if answer is not None and not isinstance(answer, list):
        raise SourceDown("a source answered in another form than it documents")
    return [item for item in answer or [] if isinstance(item, dict)]


def _hits(hits: Iterable[Mapping[str, Any]], text: str, url: str, published: str) -> list[Passage]:
    return [
        Passage(
            id=str(hit.get(url)), text=words, title=plain(hit.get("title")), url=str(hit.get(url)),
            published=iso_date(str(hit.get(published) or "")),
        )
        for hit in hits
        if hit.get(url) and (words := plain(hit.get(text)))
    ]  # fmt: skip


def plain(value: Any) -> str:
    """A result's words without its markup."""
    return " ".join(html.unescape(TAGS.sub("", str(value or ""))).split())


def _ranked(passages: Iterable[Passage], question: Question, name: str) -> tuple[Evidence, ...]:
    admitted = [passage for passage in passages if question.admits(passage.published)]
    return tuple(
        passage.evidence(1 / (rank + 1), retriever=name, question=question.text)
        for rank, passage in enumerate(admitted[: question.k])
    )
