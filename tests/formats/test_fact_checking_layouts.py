"""The published fact-checking sets, read from invented files of the same shape."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from folkmoot.formats import load_task, read_layout
from folkmoot.formats.claim_review import claim_reviews
from folkmoot.formats.layouts.wildfakebench import TYPES
from folkmoot.records import BadInput, BadRecord, Evidence, Media, Outcome, Post, Sentence, Verdict


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def dumped(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def table(path: Path, rows: list[list[str]], delimiter: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def test_wildfakebench_maps_the_chinese_types_and_counts_debunking_as_real(tmp_path: Path) -> None:
    rows = [
        {"video_id": str(n), "title": f"t{n}", "annotation": "假", "fake_type": word} for n, word in enumerate(TYPES)
    ]
    lines(tmp_path / "HMVD_subset.jsonl", rows)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "0.mp4").write_bytes(b"x")
    read = read_layout("wildfakebench", tmp_path)
    posts = {post.meta["fake_type"]: post for post in read.posts}
    assert {name for post in posts.values() for name in post.attribution} == {
        name for names in load_task("micro_video").attribution.values() for name in names
    }
    assert (posts["辟谣"].label, posts["辟谣"].attribution) == ("real", ())
    assert (posts["ai生成"].label, posts["ai生成"].attribution) == ("misinformation", ("AIGC",))
    assert posts["文本篡改"].media[0].path.endswith("videos/0.mp4")
    lines(tmp_path / "bad.jsonl", [{"video_id": "1", "title": "t", "fake_type": "neu"}])
    with pytest.raises(BadRecord, match=r"bad\.jsonl, line 1, field 'fake_type'"):
        read_layout("wildfakebench", tmp_path / "bad.jsonl")


@pytest.mark.parametrize("name", ["fakesv", "fakett"])
def test_short_videos_have_the_temporal_split_and_debunks_are_real(name: str, tmp_path: Path) -> None:
    rows = [
        {"video_id": "a", "title": "x", "annotation": "假", "event": "e1", "ocr": "words"},
        {"video_id": "b", "description": "y", "annotation": "debunk"},
        {"video_id": "c", "title": "z", "annotation": "real"},
    ]
    lines(tmp_path / "data.json", rows)
    for split, names in (("train", "a"), ("val", "b"), ("test", "c")):
        (tmp_path / f"vid_time3_{split}.txt").write_text(names + "\n")
    read = read_layout(name, tmp_path)
    assert {s: [(p.id, p.label) for p in posts] for s, posts in read.splits.items()} == {
        "train": [("a", "misinformation")], "dev": [("b", "real")], "test": [("c", "real")],
    }  # fmt: skip
    assert read.splits["train"][0].meta["event"] == "e1"


def test_fvc_hides_the_cascades_letter_and_leaves_out_parodies(tmp_path: Path) -> None:
    table(tmp_path / "FVC.csv", [["cascade_id", "video_url", "label"], ["f0", "u", "fake"], ["r0", "u", "real"]])
    table(
        tmp_path / "FVC_dup.csv", [["cascade_id", "video_url", "label"], ["f0", "u", "parody"], ["f0", "u", "debunked"]]
    )
    read = read_layout("fvc", tmp_path)
    assert [(p.id, p.label, p.meta["cascade"]) for p in read.splits["first"]] == [
        ("fvc-f00001", "misinformation", "f0"), ("fvc-f00002", "real", "r0"),
    ]  # fmt: skip
    assert [p.label for p in read.splits["near_duplicates"]] == ["real"]
    assert "1 rows of FVC_dup.csv" in read.notes[0]


def test_mmfakebench_refuses_answers_that_contradict_the_class(tmp_path: Path) -> None:
    row = {"image_path": "/real/1.png", "text": "t", "fake_cls": "original", "gt_answers": "True", "text_source": "s"}
    other = {**row, "fake_cls": "mismatch", "gt_answers": "Fake"}
    dumped(tmp_path / "MMFakeBench_val.json", [row, other])
    read = read_layout("mmfakebench", tmp_path)
    assert [(p.label, p.attribution) for p in read.splits["dev"]] == [("real", ()), ("fake", ("mismatch",))]
    assert read.posts[0].media[0].path == str(tmp_path / "real/1.png")
    dumped(tmp_path / "MMFakeBench_val.json", [{**row, "gt_answers": "Fake"}])
    with pytest.raises(BadRecord, match="gt_answers"):
        read_layout("mmfakebench", tmp_path)


def test_mfc_bench_reads_two_tasks_and_guesses_no_third(tmp_path: Path) -> None:
    lines(
        tmp_path / "m.jsonl",
        [{"id": 1, "manipulate": 1, "manipulation_type": "Photoshop", "caption": "c", "image": {"path": "a.png"}}],
    )
    lines(tmp_path / "o.jsonl", [{"id": 1, "image_id": 2, "matched": True, "caption": "c", "image": "b.png"}])
    posts = {p.id: p for p in read_layout("mfc_bench", tmp_path).posts}
    assert posts["m-1-1"].attribution == ("Photoshop",)
    assert posts["o-1-2"].label == "real"
    lines(tmp_path / "v.jsonl", [{"evidence_id": 1}])
    with pytest.raises(BadRecord, match="'manipulate' or 'matched'"):
        read_layout("mfc_bench", tmp_path)


def test_newsclippings_joins_words_and_pictures_of_visual_news(tmp_path: Path) -> None:
    news = dumped(
        tmp_path / "origin" / "data.json",
        [{"id": 1, "caption": "A", "image_path": "./1.jpg"}, {"id": 2, "caption": "B", "image_path": "./2.jpg"}],
    )
    made = {
        "annotations": [
            {"id": 1, "image_id": 1, "falsified": False},
            {"id": 1, "image_id": 2, "falsified": True, "similarity_score": 0.7},
        ]
    }
    dumped(tmp_path / "merged" / "val.json", made)
    read = read_layout("newsclippings", tmp_path / "merged", visual_news=str(news))
    assert [(p.text, p.label, Path(p.media[0].path).name) for p in read.splits["dev"]] == [
        ("A", "real", "1.jpg"),
        ("A", "fake", "2.jpg"),
    ]
    with pytest.raises(BadInput, match="visual_news"):
        read_layout("newsclippings", tmp_path / "merged")


def test_verite_ids_do_not_tell_the_label(tmp_path: Path) -> None:
    table(
        tmp_path / "VERITE.csv",
        [
            ["caption", "image_path", "label"],
            ["c", "images/true_7.jpg", "true"],
            ["d", "images/false_7.jpg", "out-of-context"],
        ],
    )
    read = read_layout("verite", tmp_path)
    assert [(p.id, p.label, p.attribution, p.meta["article"]) for p in read.posts] == [
        ("verite-0001", "real", (), "7"), ("verite-0002", "fake", ("out_of_context",), "7"),
    ]  # fmt: skip


def test_five_pils_keeps_what_the_fact_check_found_as_gold(tmp_path: Path) -> None:
    row = {
        "claim": "c",
        "image path": "dataset/processed_img/a.png",
        "type of image": "out-of-context",
        "source": "s",
        "URL": "u",
        "publication date": "2021-08-17",
    }
    dumped(tmp_path / "dataset" / "val.json", [row])
    [post] = read_layout("five_pils", tmp_path / "dataset").splits["dev"]
    assert post.meta["gold"] == {"source": "s", "URL": "u"}
    assert post.blind().meta == {}
    assert post.media[0].path == str(tmp_path / "dataset/processed_img/a.png")


def test_mediaeval_joins_pictures_by_name(tmp_path: Path) -> None:
    rows = [
        ["tweetId", "tweetText", "userId", "imageId(s)", "username", "timestamp", "label"],
        ["1", "t", "u", "sandy_fake_01", "n", "d", "fake"],
        ["2", "t", "u", "x", "n", "d", "humor"],
    ]
    table(tmp_path / "devset" / "tweets.txt", rows, "\t")
    (tmp_path / "devset" / "sandy_fake_01.jpg").write_bytes(b"x")
    [post] = read_layout("mediaeval", tmp_path).posts
    assert (post.label, post.meta["event"], post.split) == ("fake", "sandy", "dev")
    assert post.media[0].path.endswith("sandy_fake_01.jpg")


def test_averitec_keeps_the_claims_day_and_hides_the_verdicts_reasons(tmp_path: Path) -> None:
    row = {
        "claim": "c",
        "label": "Conflicting Evidence/Cherrypicking",
        "claim_date": "31-10-2020",
        "justification": "j",
        "questions": [],
    }
    dumped(tmp_path / "dev.json", [row])
    [post] = read_layout("averitec", tmp_path).splits["dev"]
    assert (post.label, post.meta["as_of"]) == ("conflicting", "2020-10-31")
    assert "justification" in post.meta["gold"]


def test_claim_reviews_rate_cite_and_leave_failures_out() -> None:
    task = load_task("micro_video")
    post = Post(id="p", text="It fell.", media=(Media(path="/x/c.mp4", type="video"),))
    verdict = Verdict(
        id="p", outcome=Outcome.LABELLED, label="misinformation", probabilities={"misinformation": 0.9, "real": 0.1},
        task="micro_video", judge="delphi:v1", attribution={"VT": 0.8, "EN": 0.9},
        explanation=(Sentence(sentence="It stands.", anchors=("evidence:0",)),),
        evidence=(Evidence(id="e", passage="x", source="https://w.example"),),
    )  # fmt: skip
    failed = Verdict(id="q", outcome=Outcome.REFUSED, task="micro_video", judge="delphi:v1")
    made = claim_reviews([verdict, failed], {"p": post, "q": post}, task)
    assert [review["@type"] for review in made] == ["ClaimReview", "MediaReview"]
    assert made[0]["reviewRating"]["ratingValue"] == 1.4
    assert made[0]["citation"] == [{"@type": "CreativeWork", "url": "https://w.example"}]
    assert made[0]["creativeWorkStatus"] == "Draft"
    assert "author" not in made[0]
    assert made[1]["mediaAuthenticityCategory"] == ["TransformedContent"]
    signed = claim_reviews([verdict], {"p": post}, task, author="The Desk", published="2026-01-01")
    assert signed[0]["author"]["name"] == "The Desk"
