"""A folder or a file of what people have -> Passages: JSONL, text, HTML, PDF, and Wikipedia's XML dump.

A file that cannot be read is skipped and named, and the others are read; nothing is fetched.
"""

from __future__ import annotations

import bz2
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from folkmoot.evidence.passage import Passage, split_text
from folkmoot.records import BadInput, BadRecord, MissingExtra
from folkmoot.records.dates import iso_date

LARGEST_PAGE_BYTES = 64 << 20
"""Larger HTML and PDF files are skipped (chosen)."""
MOST_PDF_PAGES = 2000
ENDINGS = (".jsonl", ".txt", ".md", ".html", ".htm", ".pdf", ".xml", ".xml.bz2", ".xml.gz")
WIKI_MARKUP = re.compile(
    r"\{\{[^{}]*\}\}|\{\|.*?\|\}|<ref[^>/]*/>|<ref.*?</ref>|<[^>]+>|\[\[(?:File|Image|Category):[^\]]*\]\]", re.DOTALL
)
WIKI_LINK = re.compile(r"\[\[(?:[^\]|]*\|)?([^\]]*)\]\]|\[https?://\S+ ?([^\]]*)\]")


class Skipped(Exception):
    """This file cannot be read; the message says why."""


def corpus_files(place: Path) -> list[Path]:
    """The files of a corpus, in the order of their names.

    Raises:
        BadInput: there are none.
    """
    if place.is_file():
        return [place]
    files = sorted(path for path in place.rglob("*") if path.is_file() and path.name.lower().endswith(ENDINGS))
    if not files:
        raise BadInput(f"{place} is no corpus: no file in it ends in {', '.join(ENDINGS)}")
    return files


def read_corpus(place: Path, *, skipped: list[str] | None = None) -> Iterator[Passage]:
    """The passages of all files.

    Args:
        skipped: gets a sentence for each file that could not be read; without it such a file is an error.

    Raises:
        BadRecord: a line of a JSONL file is no passage; names the file, the line and the field.
        BadInput: the place has no files, two passages have one id, or a file cannot be read and `skipped` is None.
    """
    seen: set[str] = set()
    for path in corpus_files(place):
        try:
            for passage in _read(path):
                if passage.id in seen:
                    raise BadInput(f"{path}: passage '{passage.id}' stands in the corpus already; ids must differ")
                seen.add(passage.id)
                yield passage
        except Skipped as error:
            problem = f"{path}: {error}"
            if skipped is None:
                raise BadInput(problem) from None
            skipped.append(problem)


def _read(path: Path) -> Iterator[Passage]:
    name = path.name.lower()
    if name.endswith(".jsonl"):
        return _rows(path)
    if name.endswith(".pdf"):
        return _pdf(path)
    if name.endswith((".html", ".htm")):
        return _html(path)
    if name.endswith((".xml", ".xml.bz2", ".xml.gz")):
        return wikipedia_dump(path)
    return _text(path)


def _rows(path: Path) -> Iterator[Passage]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, UnicodeDecodeError):
                raise BadRecord(path, number, None, "it is not a JSON object.") from None
            yield passage_of(row, path, number)


def passage_of(row: Any, path: Path, number: int) -> Passage:
    """A row of a corpus with `id`, `text`, `title`, `url` and `published`; other columns are left out.

    `article` will do for a title and `source_url` for an address, as the published sets have them.
    """
    if not isinstance(row, dict):
        raise BadRecord(path, number, None, "it is not a JSON object.")
    text = row.get("text")
    if not isinstance(text, str) or not text.strip():
        raise BadRecord(path, number, "text", "a passage needs its text.")
    published = row.get("published") or row.get("date")
    if published is not None and iso_date(str(published)) is None:
        raise BadRecord(path, number, "published", "it is no date such as 2020-05-01.")
    return Passage(
        id=str(row.get("id") or f"{path.name}:{number}"), text=text, title=str(row.get("title") or row.get("article") or ""),
        url=str(row.get("url") or row.get("source_url") or ""), published=iso_date(str(published)) if published else None,
    )  # fmt: skip


def _pieces(path: Path, text: str, *, title: str, url: str = "", published: str | None = None) -> Iterator[Passage]:
    for number, piece in enumerate(split_text(text)):
        yield Passage(id=f"{path.name}#{number}", text=piece, title=title, url=url or str(path), published=published)


def _text(path: Path) -> Iterator[Passage]:
    return _pieces(path, _content(path).decode("utf-8", "replace"), title=path.stem)


def _content(path: Path) -> bytes:
    size = path.stat().st_size
    if size > LARGEST_PAGE_BYTES:
        raise Skipped(f"it has {size:,} bytes; up to {LARGEST_PAGE_BYTES:,} are read")
    return path.read_bytes()


def _html(path: Path) -> Iterator[Passage]:
    page = read_html(_content(path))
    return _pieces(path, page["text"], title=page["title"] or path.stem, url=page["url"], published=page["published"])


def read_html(content: bytes) -> dict[str, Any]:
    """A page's main text, title, address and date; scripts, menus and hidden parts are left out.

    Raises:
        MissingExtra: trafilatura is not installed.
    """
    try:
        import trafilatura
    except ImportError:
        raise MissingExtra("Reading web pages", "evidence") from None
    found = trafilatura.bare_extraction(content, with_metadata=True, include_comments=False)
    if found is None:
        raise Skipped("no text was found in the page")
    values = found.as_dict() if hasattr(found, "as_dict") else dict(found)
    return {
        "text": values.get("text") or "", "title": values.get("title") or "", "url": values.get("url") or "",
        "published": iso_date(values.get("date")),
    }  # fmt: skip


def _pdf(path: Path) -> Iterator[Passage]:
    try:
        import pypdf
    except ImportError:
        raise MissingExtra("Reading PDF files", "evidence") from None
    import io

    content = _content(path)
    try:
        document = pypdf.PdfReader(io.BytesIO(content))
        if document.is_encrypted and not document.decrypt(""):
            raise Skipped("it is encrypted; store a copy without a password")
        if len(document.pages) > MOST_PDF_PAGES:
            raise Skipped(f"it has {len(document.pages):,} pages; up to {MOST_PDF_PAGES:,} are read")
        about = document.metadata
        title = str(about.title) if about and about.title else path.stem
        made = about.creation_date if about else None
        texts = [page.extract_text() for page in document.pages]
    except Skipped:
        raise
    except Exception as error:  # pypdf raises whatever a broken file makes it raise
        raise Skipped(f"it cannot be read as PDF: {type(error).__name__}") from None
    published = made.date().isoformat() if made else None
    for number, text in enumerate(texts, 1):
        for piece_number, piece in enumerate(split_text(text)):
            yield Passage(
                id=f"{path.name}#p{number}.{piece_number}", text=piece, title=title, url=f"{path}#page={number}",
                published=published,
            )  # fmt: skip


def wikipedia_dump(path: Path) -> Iterator[Passage]:
    """The articles of a MediaWiki export (`pages-articles.xml`, plain, .bz2 or .gz), one in memory at a time.

    A passage's date is that of the revision. Markup is stripped roughly: templates, tables, references and pictures
    go, links keep their words.
    """
    opened: Any = {".bz2": bz2.open, ".gz": gzip.open}.get(path.suffix, open)
    with opened(path, "rb") as file:
        try:
            title, text, stamp, space = "", "", "", "0"
            for _, element in ElementTree.iterparse(file, events=("end",)):
                tag = element.tag.rsplit("}", 1)[-1]
                if tag == "title":
                    title = element.text or ""
                elif tag == "ns":
                    space = element.text or "0"
                elif tag == "timestamp":
                    stamp = element.text or ""
                elif tag == "text":
                    text = element.text or ""
                elif tag == "page":
                    if space == "0" and not text.lstrip().casefold().startswith("#redirect"):
                        for number, piece in enumerate(split_text(plain_wikitext(text))):
                            yield Passage(
                                id=f"{title}#{number}",
                                text=piece,
                                title=title,
                                url=f"wiki:{title}",
                                published=iso_date(stamp),
                            )
                    title, text, stamp, space = "", "", "", "0"
                    element.clear()
        except (ElementTree.ParseError, OSError, EOFError) as error:
            raise Skipped(f"the dump breaks off: {type(error).__name__}") from None


def plain_wikitext(text: str) -> str:
    """Wikitext as words.

    >>> plain_wikitext("'''Kiel''' is a [[city|port city]].{{cn}}")
    'Kiel is a port city.'
    """
    before = None
    while before != text:  # templates stand inside templates
        before, text = text, WIKI_MARKUP.sub("", text)
    text = WIKI_LINK.sub(lambda match: match[1] or match[2] or "", text)
    return re.sub(r"'{2,}|^=+.*=+$|^[*#:;]+", "", text, flags=re.MULTILINE).strip()
