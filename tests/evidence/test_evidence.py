"""Retrieval over texts whose right passage is known, its guards, its dates, and sources that misbehave."""

import asyncio
import bz2
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st

from folkmoot.evidence import Question, Retriever, SourceDown
from folkmoot.evidence.corpus import plain_wikitext, read_corpus
from folkmoot.evidence.dense import DenseRetriever
from folkmoot.evidence.fetching import Fetcher
from folkmoot.evidence.fused import FusedRetriever, reciprocal_rank
from folkmoot.evidence.guarded import GuardedRetriever, allowed_source
from folkmoot.evidence.keyword import KeywordRetriever, spaced
from folkmoot.evidence.passage import Passage, split_text
from folkmoot.evidence.several import SeveralRetrievers
from folkmoot.evidence.snapshot import SnapshotRetriever
from folkmoot.evidence.web import (
    BraveRetriever,
    FactCheckRetriever,
    MediaWikiRetriever,
    SearxngRetriever,
    SerperRetriever,
    read_fact_checks,
)
from folkmoot.records import BadInput, BadRecord, Evidence
from folkmoot.records.dates import iso_date

PASSAGES = [
    Passage(
        id="a", text="The ferry to Brask sails twice a day.", published="2020-03-01", url="https://ferry.example/times"
    ),
    Passage(id="b", text="Brask has a lighthouse of white stone.", published="2019", url="https://maps.example/b"),
    Passage(id="c", text="Bread is baked at night.", published=None),
    Passage(id="d", text="全球变暖正在加速。", title="气候"),
]


class WordsEncoder:
    """Vectors by counted letters: enough to tell texts apart."""

    name, width = "letters", 26

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, texts: Any) -> np.ndarray:
        self.encoded += texts
        counts = (
            np.array([[text.casefold().count(chr(97 + n)) for n in range(26)] for text in texts], dtype=np.float32)
            + 1e-3
        )
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def ask(retriever: Retriever, text: str, **options: Any) -> list[str]:
    return [e.id for e in asyncio.run(retriever.retrieve(Question(text=text, **options)))]


@pytest.fixture(params=["bm25", "dense", "fused", "guarded", "several"])
def retriever(request: pytest.FixtureRequest, tmp_path: Path) -> Retriever:
    keyword, dense = KeywordRetriever(PASSAGES), DenseRetriever(PASSAGES, WordsEncoder(), cache=tmp_path)
    return {
        "bm25": keyword, "dense": dense, "fused": FusedRetriever(keyword, dense), "guarded": GuardedRetriever(keyword),
        "several": SeveralRetrievers([keyword, dense]),
    }[request.param]  # fmt: skip


def test_a_retriever_finds_the_nearest_first_and_no_more_than_asked(retriever: Retriever) -> None:
    assert isinstance(retriever, Retriever)
    assert ask(retriever, "the ferry to Brask sails", k=1) == ["a"]
    found = asyncio.run(retriever.retrieve(Question(text="lighthouse of Brask", k=2)))
    assert found[0].id == "b"
    assert len(found) <= 2
    assert all(e.question == "lighthouse of Brask" and e.score is not None for e in found)


def test_nothing_later_than_the_day_is_found_and_undated_only_where_allowed(retriever: Retriever) -> None:
    assert "a" not in ask(retriever, "ferry Brask lighthouse bread", k=4, as_of="2020-03-01")
    assert "a" in ask(retriever, "ferry Brask lighthouse bread", k=4, as_of="2020-03-02")
    assert "b" not in ask(retriever, "ferry Brask lighthouse bread", k=4, as_of="2019-06-01"), "2019 may be December"
    assert "c" not in ask(retriever, "bread baked", k=4, as_of="2021-01-01")
    assert "c" in ask(retriever, "bread baked", k=4, as_of="2021-01-01", allow_undated=True)


def test_an_as_of_that_is_no_day_is_refused() -> None:
    with pytest.raises(ValueError, match="as_of is a day"):
        Question(text="x", as_of="2020-05")


def test_bm25_finds_chinese_by_pairs_of_signs() -> None:
    assert ask(KeywordRetriever(PASSAGES), "全球变暖") == ["d"]
    assert spaced("a变暖b") == "a 变暖 b"


def test_bm25_of_no_words_and_of_no_passages_is_empty() -> None:
    assert ask(KeywordRetriever(PASSAGES), "???") == []
    assert ask(KeywordRetriever([]), "ferry") == []


def test_vectors_are_kept_and_a_corpus_that_grew_is_encoded_where_it_grew(tmp_path: Path) -> None:
    many = [Passage(id=str(n), text=f"passage {n}") for n in range(600)]
    encoder = WordsEncoder()
    DenseRetriever(many, encoder, cache=tmp_path)
    assert len(encoder.encoded) == 600
    DenseRetriever([*many, Passage(id="x", text="new")], encoder, cache=tmp_path)
    assert len(encoder.encoded) == 600 + 89, "the first block of 512 was kept"


def test_ranks_fuse_as_the_formula_says() -> None:
    assert np.allclose(reciprocal_rank(np.array([3.0, 9.0, 1.0], dtype=np.float32)), [1 / 62, 1 / 61, 1 / 63])


@given(st.text(max_size=3000), st.integers(5, 200))
@example('He said "Go." She went.', 12)
def test_splitting_loses_no_word_and_makes_no_long_passage(text: str, characters: int) -> None:
    pieces = list(split_text(text, characters=characters))
    assert all(0 < len(piece) <= characters for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_guards_leave_out_the_post_itself_copies_and_other_domains() -> None:
    class Fixed:
        name = "fixed"

        async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
            return (
                Evidence(id="1", passage="The ferry  to Brask sinks!", source="https://x.example"),
                Evidence(id="2", passage="It was towed.", source="https://news.good.example/a"),
                Evidence(id="3", passage="It was towed", source="https://good.example/b"),
                Evidence(id="4", passage="Elsewhere.", source="https://notgood.example"),
                Evidence(id="5", passage="x" * 10_000, source="https://good.example/c"),
            )

    guarded = GuardedRetriever(Fixed(), allowed=["good.example"], own_text="The ferry to Brask sinks!")
    found = asyncio.run(guarded.retrieve(Question(text="q")))
    assert [e.id for e in found] == ["2", "5"]
    assert len(found[1].passage) == 2000
    assert guarded.left_out == {"domain not allowed": 2, "a copy": 1}
    open_to_all = GuardedRetriever(Fixed(), own_text="The ferry to Brask sinks!")
    asyncio.run(open_to_all.retrieve(Question(text="q")))
    assert open_to_all.left_out["the post itself"] == 1


def test_a_domain_is_its_own_and_its_subdomains_and_no_lookalike() -> None:
    assert allowed_source("https://en.wikipedia.org/wiki/X", ["wikipedia.org"])
    assert not allowed_source("https://wikipedia.org.evil.example/", ["wikipedia.org"])
    assert not allowed_source("https://evilwikipedia.org/", ["wikipedia.org"])
    assert allowed_source("books/atlas.pdf#page=3", ["wikipedia.org"])


def test_a_snapshot_replays_offline_and_knows_no_other_question(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.jsonl"
    live = SnapshotRetriever(path, KeywordRetriever(PASSAGES))
    first = ask(live, "ferry")
    with path.open("ab") as file:
        file.write(b'{"half a li')
    offline = SnapshotRetriever(path)
    assert ask(offline, "ferry") == first
    with pytest.raises(SourceDown, match="holds no answer"):
        ask(offline, "bread")
    assert ask(SnapshotRetriever(path, KeywordRetriever(PASSAGES)), "bread baked") == ["c"]
    assert ask(SnapshotRetriever(path), "bread baked") == ["c"]
    with pytest.raises(BadInput, match="no such snapshot"):
        SnapshotRetriever(tmp_path / "none.jsonl")


def test_one_source_down_does_not_take_the_others_with_it() -> None:
    class Down:
        name = "down"

        async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
            raise SourceDown("it is closed")

    several = SeveralRetrievers([Down(), KeywordRetriever(PASSAGES)])
    assert ask(several, "ferry") == ["a"]
    assert several.down == {"down": "it is closed"}
    with pytest.raises(SourceDown):
        ask(SeveralRetrievers([Down()]), "ferry")


# -------------------------------------------------------------------------------------------------- corpora


def test_a_folder_of_several_forms_is_one_corpus(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "r1", "text": "A row.", "published": "31-10-2020"}\n\n')
    (tmp_path / "b.txt").write_text("Plain words.\n\nMore of them.")
    body = "<p>" + "The lighthouse of Brask was restored by its town after the storm of that year. " * 4 + "</p>"
    (tmp_path / "c.html").write_text(
        f"<html><head><title>Brask</title></head><body><article>{body}</article><script>x()</script></body></html>"
    )
    wiki = "<mediawiki><page><title>Kiel</title><ns>0</ns><revision><timestamp>2019-01-01T00:00:00Z</timestamp><text>'''Kiel''' is a [[port]].</text></revision></page><page><title>Talk</title><ns>1</ns><revision><text>no</text></revision></page></mediawiki>"
    (tmp_path / "d.xml.bz2").write_bytes(bz2.compress(wiki.encode()))
    found = {passage.id: passage for passage in read_corpus(tmp_path)}
    assert found["r1"].published == "2020-10-31"
    assert "lighthouse" in found["c.html#0"].text
    assert "x()" not in str(found)
    assert found["Kiel#0"].text == "Kiel is a port."
    assert found["Kiel#0"].published == "2019-01-01"
    assert not any("Talk" in name for name in found)


def test_a_pdf_is_read_by_pages_and_an_encrypted_one_is_named(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(300, 300)
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): DictionaryObject({NameObject("/F"): font})})
    words = DecodedStreamObject()
    words.set_data(b"BT /F 12 Tf 20 200 Td (The ferry sails twice.) Tj ET")
    page[NameObject("/Contents")] = writer._add_object(words)
    writer.write(tmp_path / "a.pdf")
    [passage] = read_corpus(tmp_path / "a.pdf")
    assert (passage.id, passage.text) == ("a.pdf#p1.0", "The ferry sails twice.")
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(tmp_path / "b.pdf")
    skipped: list[str] = []
    assert [p.id for p in read_corpus(tmp_path, skipped=skipped)] == ["a.pdf#p1.0"]
    assert "encrypted" in skipped[0]
    with pytest.raises(BadInput, match="encrypted"):
        list(read_corpus(tmp_path))


@pytest.mark.parametrize(
    ("line", "field"),
    [('{"id": "a"}', "text"), ('{"text": "x", "published": "soon"}', "published"), ("[1]", None), ("{", None)],
)
def test_a_bad_row_names_file_line_and_field(line: str, field: str | None, tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text('{"text": "good"}\n' + line + "\n")
    with pytest.raises(BadRecord, match=r"c\.jsonl, line 2") as error:
        list(read_corpus(tmp_path))
    assert error.value.field == field


def test_two_passages_of_one_id_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no corpus"):
        list(read_corpus(tmp_path))
    (tmp_path / "c.jsonl").write_text('{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}\n')
    with pytest.raises(BadInput, match="stands in the corpus already"):
        list(read_corpus(tmp_path))


def test_nested_templates_and_tables_go() -> None:
    assert plain_wikitext("{{Infobox|a={{b|c}}}}'''X''' is{{r}} it.{| table |}") == "X is it."


@given(st.dates())
def test_dates_are_read_back(day: Any) -> None:
    assert iso_date(day.isoformat()) == day.isoformat()
    assert iso_date(f"{day.day}-{day.month}-{day.year:04}") == day.isoformat()


# ------------------------------------------------------------------------------------------------ the web


async def served(handler: Any) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"


async def with_server(handler: Any, use: Any, **options: Any) -> Any:
    runner, address = await served(handler)
    try:
        async with Fetcher(**{"allow_private": True, "seconds": 2.0, **options}) as fetcher:
            return await use(fetcher, address)
    finally:
        await runner.cleanup()


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(b"x" * 65536)
    except (ConnectionError, asyncio.CancelledError):
        pass
    return response


async def loops(request: web.Request) -> web.Response:
    raise web.HTTPFound(f"/{int(request.path[1:] or 0) + 1}")


async def stalls(request: web.Request) -> web.Response:
    await asyncio.sleep(1.5)
    return web.Response()


async def breaks(request: web.Request) -> web.Response:
    return web.Response(status=503)


@pytest.mark.parametrize(
    ("handler", "says", "options"),
    [
        (endless, "more than 1,000,000 bytes", {"largest_bytes": 1_000_000}), (loops, "redirects more than 5 times", {}),
        (stalls, "did not answer within 0.3 s", {"seconds": 0.3}), (breaks, "answered 503", {}),
    ],
)  # fmt: skip
async def test_a_page_that_misbehaves_is_a_source_that_is_down(handler: Any, says: str, options: Any) -> None:
    with pytest.raises(SourceDown, match=says):
        await with_server(handler, lambda fetcher, address: fetcher.fetch(address + "/0"), **options)


async def test_an_address_of_the_own_network_is_not_fetched() -> None:
    async def secret(request: web.Request) -> web.Response:
        return web.Response(text="secret")

    runner, address = await served(secret)
    try:
        async with Fetcher() as fetcher:
            for inside in (
                address,
                address.replace("127.0.0.1", "localhost"),
                "http://169.254.169.254/",
                "file:///etc/passwd",
            ):
                with pytest.raises(SourceDown):
                    await fetcher.fetch(inside)
    finally:
        await runner.cleanup()


async def test_a_wiki_is_read_as_of_a_day_from_the_revision_of_then() -> None:
    asked: list[dict[str, str]] = []

    async def wiki(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        if request.query.get("list") == "search":
            return web.json_response({"query": {"search": [{"title": "Brask"}, {"title": "New town"}]}})
        if request.query["titles"] == "New town":
            return web.json_response({"query": {"pages": [{"title": "New town"}]}})
        revision = {
            "revid": 7,
            "timestamp": "2018-01-01T00:00:00Z",
            "slots": {"main": {"content": "'''Brask''' is an [[island]].\n\nMore."}},
        }
        return web.json_response({"query": {"pages": [{"title": "Brask", "revisions": [revision]}]}})

    async def use(fetcher: Fetcher, address: str) -> Any:
        return await MediaWikiRetriever(fetcher, api=f"{address}/w/api.php").retrieve(
            Question(text="Brask", as_of="2019-01-01")
        )

    [found] = await with_server(wiki, use)
    assert (found.passage, found.published) == ("Brask is an island.", "2018-01-01")
    assert found.source.endswith("oldid=7")
    assert asked[1]["rvstart"] == "2019-01-01T00:00:00Z"


async def test_search_engines_and_fact_checks_give_passages_with_dates_and_keep_their_keys() -> None:
    seen: list[tuple[str, Any]] = []

    async def engine(request: web.Request) -> web.Response:
        seen.append((request.path, dict(request.headers)))
        hit = {"title": "<b>Brask</b>", "url": "https://a.example", "link": "https://a.example"}
        return web.json_response(
            {
                "results": [{**hit, "content": "Ferry &amp; sea", "publishedDate": "2020-01-02T00:00:00"}],
                "organic": [{**hit, "snippet": "Ferry &amp; sea", "date": "Jan 2, 2020"}],
                "web": {"results": [{**hit, "description": "Ferry &amp; sea", "page_age": "2020-01-02T00:00:00"}]},
                "claims": [{"text": "It sank", "claimReview": [{"textualRating": "False", "publisher": {"name": "Checkers"}, "url": "https://c.example", "reviewDate": "2020-01-02"}]}],
            }
        )  # fmt: skip

    async def use(fetcher: Fetcher, address: str) -> Any:
        return [
            await retriever.retrieve(Question(text="ferry", k=3, as_of="2021-01-01"))
            for retriever in (
                SearxngRetriever(fetcher, address=address), SerperRetriever(fetcher, key="K1", address=f"{address}/serper"),
                BraveRetriever(fetcher, key="K2", address=f"{address}/brave"),
                FactCheckRetriever(fetcher, key="K3", address=f"{address}/checks"),
            )
        ]  # fmt: skip

    answers = await with_server(engine, use)
    assert [(a[0].passage, a[0].published) for a in answers[:3]] == [("Ferry & sea", "2020-01-02")] * 3
    assert answers[3][0].passage == 'Checkers rated the claim "It sank" as: False.'
    assert "K1" not in str(answers) + "".join(str(a) for a in answers)
    assert seen[1][1]["X-API-KEY"] == "K1"


async def test_an_engine_without_its_key_says_which_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERPER_KEY", raising=False)
    with pytest.raises(BadInput, match="SERPER_KEY"):
        SerperRetriever(Fetcher())


def test_a_claim_review_feed_is_a_corpus(tmp_path: Path) -> None:
    review = {
        "@type": "ClaimReview",
        "claimReviewed": "It sank",
        "reviewRating": {"alternateName": "False"},
        "author": {"name": "C"},
        "url": "https://c.example",
        "datePublished": "2020-01-02",
    }
    (tmp_path / "feed.json").write_text(json.dumps({"@type": "DataFeed", "dataFeedElement": [{"item": [review]}]}))
    [passage] = read_fact_checks(tmp_path / "feed.json")
    assert passage.text == 'C rated the claim "It sank" as: False.'
    (tmp_path / "bad.json").write_text(json.dumps([{"@type": "ClaimReview", "claimReviewed": "x"}]))
    with pytest.raises(BadRecord, match="reviewRating"):
        read_fact_checks(tmp_path / "bad.json")
