"""Published sets of pictures with words: MMFakeBench, MFC-Bench, NewsCLIPpings, VERITE, 5Pils and MediaEval's
verification corpus, each from its files as published."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from folkmoot.formats.layouts.layout import Imported, Layout, apart
from folkmoot.formats.layouts.records import by_split, found, json_records, mapped, need, picture, split_of
from folkmoot.formats.tables import read_csv_rows
from folkmoot.records import BadInput, BadRecord, Post

TASK = "misinformation"


def imported(posts: Iterator[Post], *, notes: tuple[str, ...] = ()) -> Imported:
    """The posts by split, each id once."""
    splits, repeated = apart(by_split(posts))
    return Imported(task=TASK, splits=splits, notes=(*repeated, *notes))


def mmfakebench(path: Path) -> Imported:
    """MMFakeBench (Liu et al., ICLR 2025): `image_path`, `text`, `fake_cls`, `gt_answers`; the class is the attribution.

    `gt_answers` of True is real; where it contradicts `fake_cls` the row is refused.
    """
    classes = {"original": "", "textual_veracity_distortion": "textual_veracity_distortion",
               "visual_veracity_distortion": "visual_veracity_distortion", "mismatch": "mismatch"}  # fmt: skip

    def rows() -> Iterator[Post]:
        for file in found(path, ["*val*.json", "*test*.json", "source.json"], "MMFakeBench"):
            for line, row in json_records(file):
                kind = mapped(need(row, "fake_cls", file, line), classes, file, line, "fake_cls")
                answer = row.get("gt_answers")
                label = mapped(answer, {"true": "real", "fake": "fake", "false": "fake"}, file, line, "gt_answers")
                if (label == "fake") != bool(kind):
                    raise BadRecord(
                        file, line, "gt_answers", f"it says {label} where fake_cls says {kind or 'original'}."
                    )
                image = need(row, "image_path", file, line).lstrip("/")
                yield Post(
                    id=f"{split_of(file)}-{line:05}", text=need(row, "text", file, line), media=picture(file.parent, image),
                    label=label, attribution=(kind,) if kind else (), split=split_of(file),
                    meta={key: row[key] for key in ("text_source", "image_source") if key in row},
                )  # fmt: skip

    return imported(rows())


def mfc_bench(path: Path) -> Imported:
    """MFC-Bench (Wang et al. 2024), its manipulation and out-of-context rows as JSON or JSONL: `manipulate` 1 or
    `matched` false is fake. The veracity task's rows name fields that the published page does not show; they are
    refused, not guessed."""

    def rows() -> Iterator[Post]:
        for file in found(path, ["*.jsonl", "*.json"], "MFC-Bench"):
            for line, row in json_records(file):
                if "manipulate" in row:
                    label = mapped(row["manipulate"], {"0": "real", "1": "fake"}, file, line, "manipulate")
                    kind = str(row.get("manipulation_type") or "manipulation") if label == "fake" else ""
                elif "matched" in row:
                    label = mapped(
                        row["matched"],
                        {"true": "real", "false": "fake", "1": "real", "0": "fake"},
                        file,
                        line,
                        "matched",
                    )
                    kind = "out_of_context" if label == "fake" else ""
                else:
                    raise BadRecord(file, line, "manipulate", "a row has 'manipulate' or 'matched'.")
                image = row.get("image")
                image = image.get("path") if isinstance(image, dict) else image
                yield Post(
                    id=f"{file.stem}-{need(row, 'id', file, line)}-{row.get('image_id', line)}", text=str(row.get("caption") or ""),
                    media=picture(file.parent, image), label=label, attribution=(kind,) if kind else (), split="test",
                )  # fmt: skip

    return imported(rows())


def newsclippings(path: Path, *, visual_news: Path | str | None = None) -> Imported:
    """NewsCLIPpings (Luo et al., EMNLP 2021): annotations of `id` (whose words) and `image_id` (whose picture), resolved
    through VisualNews' `data.json`. `falsified` is fake: the picture is another article's."""
    source = (
        Path(visual_news)
        if visual_news
        else next((p for p in sorted(path.rglob("data.json"))), None)
        if path.is_dir()
        else None
    )
    if source is None:
        raise BadInput("NewsCLIPpings names articles of VisualNews: give --option visual_news=PATH/origin/data.json")
    news: dict[str, dict[str, Any]] = {need(row, "id", source, line): row for line, row in json_records(source)}

    def rows() -> Iterator[Post]:
        for file in found(path, ["train.json", "val.json", "test.json"], "NewsCLIPpings"):
            for line, row in json_records(file, within="annotations"):
                words, image = (need(row, field, file, line) for field in ("id", "image_id"))
                for name in (words, image):
                    if name not in news:
                        raise BadRecord(file, line, "id", f"article {name[:20]} is not in {source.name}.")
                fake = row.get("falsified")
                if not isinstance(fake, bool):
                    raise BadRecord(file, line, "falsified", "true or false is accepted.")
                yield Post(
                    id=f"{words}-{image}", text=str(news[words].get("caption") or ""), label="fake" if fake else "real",
                    attribution=("out_of_context",) if fake else (), split=split_of(file),
                    media=picture(source.parent, news[image].get("image_path")),
                    meta={"source_dataset": row.get("source_dataset"), "similarity_score": row.get("similarity_score")},
                )  # fmt: skip

    return imported(rows())


def verite(path: Path) -> Imported:
    """VERITE (Papadopoulos et al. 2024): `caption`, `image_path`, `label`. An id is the row's number, as the pictures'
    names tell the label."""
    kinds = {"true": "", "miscaptioned": "miscaptioned", "out-of-context": "out_of_context"}

    def rows() -> Iterator[Post]:
        for file in found(path, ["VERITE.csv"], "VERITE"):
            for line, row in read_csv_rows(file, strict=False):
                kind = mapped(need(row, "label", file, line), kinds, file, line, "label")
                image = need(row, "image_path", file, line)
                yield Post(
                    id=f"verite-{line - 1:04}", text=need(row, "caption", file, line), media=picture(file.parent, image),
                    label="fake" if kind else "real", attribution=(kind,) if kind else (), split="test",
                    meta={"article": re.sub(r"\D", "", Path(image).stem)},
                )  # fmt: skip

    return imported(rows(), notes=("Pairs of one article share pictures and captions: split by meta.article.",))


def five_pils(path: Path) -> Imported:
    """5Pils (Tonglet et al., EMNLP 2024): pictures that fact-checkers examined, with the claim; `type of image` is true,
    out-of-context, manipulated or fake. What the fact-check found stands in `meta.gold`."""
    kinds = {"true": "", "out-of-context": "out_of_context", "manipulated": "manipulated", "fake": "fabricated"}

    def rows() -> Iterator[Post]:
        for file in found(path, ["train.json", "val.json", "test.json"], "5Pils"):
            for line, row in json_records(file):
                kind = mapped(need(row, "type of image", file, line), kinds, file, line, "type of image")
                gold = {key: row.get(key) for key in ("source", "date", "location", "motivation", "URL") if key in row}
                yield Post(
                    id=f"5pils-{split_of(file)}-{line:04}", text=need(row, "claim", file, line), split=split_of(file),
                    media=picture(file.parent.parent, row.get("image path")), label="fake" if kind else "real",
                    attribution=(kind,) if kind else (),
                    meta={"gold": gold, "published": row.get("publication date"), "claimed_date": row.get("claimed date")},
                )  # fmt: skip

    return imported(
        rows(), notes=("Addresses and names of the pictures often state the verdict: show them to no judge.",)
    )


def mediaeval(path: Path) -> Imported:
    """MediaEval Verifying Multimedia Use (Boididou et al.): tab-separated tweets with their pictures' ids; pictures are
    found below the folder by name, whatever their ending."""
    labels = {"fake": "fake", "real": "real", "humor": ""}

    def rows() -> Iterator[Post]:
        files = found(path, ["tweets.txt", "posts.txt", "posts_groundtruth.txt", "*tweets*.txt"], "MediaEval's corpus")
        for file in dict.fromkeys(files):
            pictures = {
                p.stem: p
                for p in sorted(file.parent.rglob("*"))
                if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".gif")
            }
            for line, row in read_csv_rows(file, delimiter="\t", strict=False):
                cells = {key.strip().casefold(): value for key, value in row.items()}
                label = mapped(need(cells, "label", file, line), labels, file, line, "label")
                if not label:
                    continue
                name = cells.get("tweetid") or cells.get("post_id") or cells.get("tweet_id")
                text = cells.get("tweettext") or cells.get("post_text") or cells.get("tweet_text")
                images = cells.get("imageid(s)") or cells.get("image_id(s)") or cells.get("image_id") or ""
                if name is None or text is None:
                    raise BadRecord(
                        file,
                        line,
                        "tweetId",
                        "the columns tweetId and tweetText (or post_id and post_text) are needed.",
                    )
                ids = [image.strip() for image in images.split(",") if image.strip()]
                yield Post(
                    id=name, text=text, label=label, split=split_of(file.parent),
                    media=tuple(media for image in ids if image in pictures for media in picture(pictures[image].parent, pictures[image].name)),
                    meta={"images": ids, "event": re.sub(r"_(fake|real)_.*|_\d+$", "", ids[0]) if ids else None},
                )  # fmt: skip

    return imported(
        rows(), notes=("One picture has many near-copied tweets: split by meta.event, score a picture at a time.",)
    )


def _layout(name: str, title: str, accepts: str, read: Callable[..., Imported], *options: str) -> Layout:
    return Layout(name=name, title=title, task=TASK, accepts=accepts, read=read, options=options)


ALL = (
    _layout("mmfakebench", "MMFakeBench", "the JSON file, or the folder with it and the pictures", mmfakebench),
    _layout("mfc_bench", "MFC-Bench", "JSON or JSONL rows of the manipulation or out-of-context task", mfc_bench),
    _layout(
        "newsclippings",
        "NewsCLIPpings",
        "the folder with train.json, val.json, test.json",
        newsclippings,
        "visual_news",
    ),
    _layout("verite", "VERITE", "VERITE.csv, or the folder with it and images/", verite),
    _layout("five_pils", "5Pils", "the folder dataset/ with train.json, val.json, test.json", five_pils),
    _layout(
        "mediaeval",
        "MediaEval Verifying Multimedia Use",
        "the folder with tweets.txt or posts.txt and the pictures",
        mediaeval,
    ),
)
