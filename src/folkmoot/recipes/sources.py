"""Where a panel's evidence comes from and who looks at its media, from plain values."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, StrictBool, ValidationError, field_validator

from folkmoot.evidence.corpus import read_corpus
from folkmoot.evidence.dense import DenseRetriever
from folkmoot.evidence.fetching import Fetcher
from folkmoot.evidence.fused import FusedRetriever
from folkmoot.evidence.keyword import KeywordRetriever
from folkmoot.evidence.retriever import Retriever
from folkmoot.evidence.several import SeveralRetrievers
from folkmoot.evidence.snapshot import SnapshotRetriever
from folkmoot.evidence.web import (
    BraveRetriever,
    FactCheckRetriever,
    MediaWikiRetriever,
    SearxngRetriever,
    SerperRetriever,
)
from folkmoot.models.chat import ChatModel
from folkmoot.models.sentence_encoder import SentenceEncoder
from folkmoot.panels.dossier import PARTS
from folkmoot.panels.reflection import PARTS as REFLECTION_PARTS
from folkmoot.panels.sequence import Look
from folkmoot.perception import PerceptionSettings, perceive_post
from folkmoot.perception.captions import caption
from folkmoot.records import BadInput, Observation, Post, Record
from folkmoot.records.dates import iso_date
from folkmoot.runs.manifest import input_hash

LOOKING = ("delphi", "video_of_thought", "mmd_agent", "reflection")
"""Panels that look at a post's media."""
RETRIEVING = ("delphi", "mmd_agent")
"""Panels that ask the world."""
SOURCES = ("wikipedia", "fact-checks", "searxng:URL", "serper", "brave")


class WorldSpec(Record):
    """What a panel may know of the world, and when it asks. Part of a run's identity, but for the paths."""

    corpus: str | None = None
    sources: tuple[str, ...] = ()
    search: Literal["fused", "bm25", "dense"] = "fused"
    passages: int = Field(default=5, ge=1, le=50)
    as_of: str | None = None
    allow_undated: StrictBool = False
    allowed: tuple[str, ...] = ()
    snapshot: str | None = None
    gate: Literal["confidence", "need", "always", "never"] | None = None
    threshold: float = Field(default=0.6, ge=0)
    captions: StrictBool = False
    """The panel's own model also describes each frame that stands for a clip, where it takes pictures."""
    without: tuple[Literal["text", "video", "audio", "evidence", "refining", "events", "grounding"], ...] = ()

    @field_validator("as_of")
    @classmethod
    def _is_a_day(cls, value: str | None) -> str | None:
        if value is not None and (iso_date(value) is None or len(str(iso_date(value))) != 10):
            raise ValueError("it is no day such as 2020-05-01")
        return iso_date(value)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> WorldSpec:
        """The spec of these values.

        Raises:
            BadInput: one is not accepted; names it.
        """
        for part in values.get("without") or ():
            if part not in (*PARTS, *REFLECTION_PARTS):
                raise BadInput(f"--without {part}: there are {', '.join((*PARTS, *REFLECTION_PARTS))}")
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = str(first["loc"][0]).replace("_", "-") if first["loc"] else "evidence"
            raise BadInput(f"--{name}: {first['msg'].removeprefix('Value error, ')}") from None

    def configuration(self) -> dict[str, Any]:
        """What makes a run with this evidence the same run: no path."""
        return self.model_dump(exclude={"corpus", "snapshot"}) | {"corpus": self.corpus is not None}


def retriever_of(world: WorldSpec) -> Retriever | None:
    """The retriever that a spec describes, kept in its snapshot; None where it names no source.

    Raises:
        BadInput: a source is unknown, a corpus is empty or unreadable, or a key is missing.
        MissingExtra: what searches a corpus is not installed.
    """
    found: list[Retriever] = []
    if world.corpus:
        found.append(corpus_retriever(Path(world.corpus), search=world.search))
    found += [web_retriever(name) for name in world.sources]
    live = SeveralRetrievers(found) if len(found) > 1 else found[0] if found else None
    return SnapshotRetriever(Path(world.snapshot), live) if world.snapshot else live


def corpus_retriever(place: Path, *, search: str = "fused") -> Retriever:
    """A retriever over a folder or file of passages, by words, by meaning, or by both.

    A judge is built once to see that it can be and once more for its run: the same corpus is indexed once.

    Raises:
        BadInput: there is no such place, or it holds no passage.
    """
    if not place.exists():
        raise BadInput(f"{place}: there is no such corpus; give a folder or a file")
    return _indexed(place, search, input_hash(place, "corpus"))


@lru_cache(maxsize=1)
def _indexed(place: Path, search: str, content: str) -> Retriever:
    passages = list(read_corpus(place))
    if not passages:
        raise BadInput("the corpus holds no passage")
    if search == "bm25":
        return KeywordRetriever(passages)
    dense = DenseRetriever(passages, SentenceEncoder())
    return dense if search == "dense" else FusedRetriever(KeywordRetriever(passages), dense)


def web_retriever(name: str) -> Retriever:
    """A source on the web by its name.

    Raises:
        BadInput: there is no such source, or its key is missing.
    """
    plain, _, rest = name.partition(":")
    if plain == "searxng" and rest:
        if not re.match(r"https?://[\w.-]+(:\d+)?(/|$)", rest):
            raise BadInput(f"source '{name}': after searxng: comes an address, such as http://127.0.0.1:8888")
        return SearxngRetriever(Fetcher(allow_private=True), address=rest)  # one's own search engine
    if plain == "wikipedia":
        api = f"https://{rest or 'en'}.wikipedia.org/w/api.php"
        return MediaWikiRetriever(Fetcher(), api=api)
    if name == "fact-checks":
        return FactCheckRetriever(Fetcher())
    if name == "serper":
        return SerperRetriever(Fetcher())
    if name == "brave":
        return BraveRetriever(Fetcher())
    raise BadInput(f"no source '{name}'; there are {', '.join(SOURCES)}")


def looking(settings: PerceptionSettings = PerceptionSettings(), *, captioner: ChatModel | None = None) -> Look:
    """Looks at a post's media in a thread, one post at a time: the tools take all cores by themselves.

    Args:
        captioner: describes the pictures, and the frames that stand for a clip; its calls stand in `detail.calls`.
    """
    lock = asyncio.Semaphore(1)

    async def look(post: Post) -> Sequence[Observation]:
        async with lock:
            seen = await asyncio.to_thread(perceive_post, post, settings)
        if captioner is None:
            return seen
        described = [
            await caption(medium, [o for o in seen if o.media == Path(medium.path).name], captioner, settings)
            for medium in post.media
        ]
        return [*seen, *(observation for each in described for observation in each)]

    return look
