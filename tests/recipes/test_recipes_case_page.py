"""The page of one verdict: what it shows, what it hides, and that nothing in it runs."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from folkmoot.cli import app
from folkmoot.formats import load_task, write_posts
from folkmoot.recipes.case_page import case_page, find_case
from folkmoot.records import BadInput, Evidence, Media, Observation, Opinion, Outcome, Post, Sentence, Span, Verdict

TASK = load_task("micro_video")
CLIP = str(Path(__file__).parent.parent.parent / "data" / "media" / "nasa_13013.mp4")
POST = Post(id="p", text="<b>It fell</b>", media=(Media(path=CLIP, type="video"),))
VERDICT = Verdict(
    id="p", outcome=Outcome.LABELLED, label="misinformation", probability=0.58, task="micro_video", judge="delphi:v1",
    attribution={"ES": 0.8, "KE": 0.1},
    explanation=(
        Sentence(sentence="It stands.", anchors=("observation:0", "evidence:0", "span:0")), Sentence(sentence="So it goes."),
    ),
    opinions=(Opinion(agent="integrator", label="misinformation", confidence=0.58, rationale="<script>x()</script>"),),
    evidence=(
        Evidence(id="e", title="Brask", passage="It was restored.", source="https://w.example/a"),
        Evidence(id="f", passage="Elsewhere.", source="javascript:alert(1)"),
    ),
    observations=(Observation(kind="speech", text="still standing", start_seconds=1, end_seconds=3, media="nasa_13013.mp4"),),
    spans=(Span(media="nasa_13013.mp4", start=2, end=4, why="it stands"),), notes=("the audio was not heard",),
)  # fmt: skip


def test_the_page_shows_grounds_and_says_what_is_unsupported() -> None:
    html = case_page(POST, VERDICT, TASK)
    for shown in (
        "misinformation",
        "58%",
        "still standing",
        "It was restored.",
        "the audio was not heard",
        "events spliced together",
        "it stands",
    ):
        assert shown in html
    assert html.count("unsupported: rests on nothing") == 1
    assert html.count("data:image/jpeg;base64,") == 8


def test_nothing_in_the_page_runs_and_a_strangers_words_are_text() -> None:
    html = case_page(POST, VERDICT, TASK)
    assert "<script" not in html
    assert "<b>It fell" not in html
    assert 'href="javascript' not in html
    assert "default-src 'none'" in html


def test_words_and_pictures_are_hidden_until_asked() -> None:
    hidden = case_page(POST, VERDICT, TASK)
    assert 'id="reveal"' in hidden
    assert re.search(r'<img class="secret"', hidden)
    shown = case_page(POST, VERDICT, TASK, masked=False)
    assert 'id="reveal"' not in shown
    assert 'class="secret"' not in shown


def test_a_verdict_without_a_label_says_why(tmp_path: Path) -> None:
    failed = Verdict(
        id="p", outcome=Outcome.CALL_FAILED, task="micro_video", judge="delphi:v1", problem="the server gave up"
    )
    html = case_page(POST.model_copy(update={"media": (Media(path="/gone.mp4", type="video"),)}), failed, TASK)
    assert "No label" in html
    assert "the server gave up" in html
    assert "It is not here to be shown." in html


def test_report_writes_a_case_and_names_what_it_cannot_find(tmp_path: Path) -> None:
    write_posts([POST], tmp_path / "p.jsonl")
    (tmp_path / "v.jsonl").write_text(VERDICT.to_line() + "\n")
    command = [
        "report",
        "--verdicts",
        str(tmp_path / "v.jsonl"),
        "--posts",
        str(tmp_path / "p.jsonl"),
        "--task",
        "micro_video",
    ]
    done = CliRunner().invoke(app, [*command, "--case", "p", "--out", str(tmp_path / "case.html")])
    assert done.exit_code == 0
    assert "still standing" in (tmp_path / "case.html").read_text()
    with pytest.raises(BadInput, match="no post is called 'q'"):
        find_case([VERDICT], [POST], "q")
