import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from folkmoot.evaluation import SideBySide, compare, compare_judges, evaluate, write_report
from folkmoot.evaluation.charts import draw_batch_composition, draw_interval_bar, draw_learning_curve
from folkmoot.evaluation.charts.frame import round_ticks
from folkmoot.evaluation.wording import (
    alpha_words,
    comparison_words,
    duration,
    headline,
    p_value,
    percentage,
    signed_points,
    standing,
)
from folkmoot.records import BadInput, Label, Media, Opinion, Outcome, Post, Sentence, Task, Verdict

HOSTILE = (
    "\"><script>alert('x')</script><img src=x onerror=alert(1)>' onload='alert(2) </style>{{ 7*191 }} &amp; \u202e"
)


class Page(HTMLParser):
    """The elements and the visible text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.scripts, self._inside = "", [], ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
            self._inside = ""
        elif self._inside != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def concealed(self) -> list[str]:
        return [base64.b64decode(a["data-text"]).decode() for _, a in self.elements if "data-text" in a]


def report(path: Path, example, **changes) -> str:
    given = {
        "title": "Grumpy gardens",
        "task": example.task,
        "metrics": evaluate(example.verdicts, example.gold, example.task),
        "verdicts": example.verdicts,
        "gold": example.gold,
        "rounds": example.rounds,
        "provenance": {"command": "folkmoot evaluate", "seeds": {"bootstrap": 0}},
        **changes,
    }
    write_report(path / "report.html", **given)
    return (path / "report.html").read_text("utf-8")


def test_the_file_needs_and_fetches_nothing_else(tmp_path, example) -> None:
    page = Page(report(tmp_path, example))
    loading = {"src", "srcset", "action", "data", "poster", "background", "xlink:href"}
    assert not [(tag, a) for tag, a in page.elements if loading & set(a)]
    assert all(str(a["href"]).startswith("#") for _, a in page.elements if "href" in a)
    assert not page.all("link")
    html = (tmp_path / "report.html").read_text("utf-8")
    assert "url(" not in html
    assert "@import" not in html
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_the_pages_one_script_is_the_one_that_its_policy_allows(tmp_path, example) -> None:
    page = Page(report(tmp_path, example))
    assert len(page.all("script")) == 1
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv"))
    assert f"script-src 'sha256-{digest}'" in policy


def test_texts_and_reasons_are_masked_until_asked(tmp_path, example) -> None:
    html = report(tmp_path, example)
    page = Page(html)
    for spoken in ("snails ate", "names a nuisance", "people in the allotment", "Both named the tomatoes"):
        assert spoken not in html
        assert any(spoken in text for text in page.concealed())
    assert sum(1 for a in page.all("button") if a["data-reveal"] == "all") == 1
    assert sum(1 for a in page.all("button") if a["data-reveal"] == "one") == len(page.all("article"))


def test_unmasked_the_texts_stand_there_and_nothing_is_left_to_reveal(tmp_path, example) -> None:
    page = Page(report(tmp_path, example, masked=False))
    assert "snails ate" in page.text
    assert not page.concealed()
    assert not page.all("button")


@pytest.mark.parametrize("masked", [True, False])
def test_a_hostile_text_anywhere_stays_text(tmp_path, example, masked) -> None:
    task = Task(
        name=HOSTILE, question=HOSTILE, positive=HOSTILE,
        labels=(Label(name=HOSTILE, definition=HOSTILE), Label(name="fine")),
    )  # fmt: skip
    gold = [
        Post(id=HOSTILE, text=HOSTILE, label=HOSTILE, media=(Media(path=HOSTILE),)),
        Post(id="2", text="", label="fine"),
    ]
    said = (
        Opinion(agent=HOSTILE, label=HOSTILE, confidence=0.5, rationale=HOSTILE),
        Opinion(agent="b", label="fine", rationale=HOSTILE),
    )
    verdicts = [
        Verdict(
            id=HOSTILE, outcome=Outcome.LABELLED, label="fine", probability=0.9, task=HOSTILE, judge=HOSTILE,
            opinions=said, explanation=(Sentence(sentence=HOSTILE),), problem=HOSTILE,
        ),
        Verdict(id="2", outcome=Outcome.LABELLED, label=HOSTILE, probability=0.95, task=HOSTILE, judge=HOSTILE),
    ]  # fmt: skip
    rounds = [{"round": 0, "accepted": True, "dev_macro_f1": 0.5, "batch": HOSTILE}]
    html = report(
        tmp_path,
        example,
        title=HOSTILE,
        task=task,
        metrics=evaluate(verdicts, gold, task),
        verdicts=verdicts,
        gold=gold,
        rounds=rounds,
        comparison=compare_judges({HOSTILE: verdicts, "b": verdicts}, gold, task=task),
        cost={HOSTILE: HOSTILE},
        provenance={HOSTILE: {HOSTILE: HOSTILE}, "list": [HOSTILE]},
        setting={HOSTILE: HOSTILE},
        intro=HOSTILE,
        masked=masked,
    )
    page = Page(html)
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert "1337" not in html  # the braces were not evaluated
    assert len(page.all("style")) == 1
    if masked:
        assert HOSTILE in page.concealed()


def test_a_very_long_text_is_cut_and_control_characters_replaced(tmp_path, example) -> None:
    gold = [Post(id="1", text="a" * 1_000_000 + "\x00", label="grumpy"), Post(id="2", text="\x07", label="grumpy")]
    verdicts = [
        Verdict(id=post.id, outcome=Outcome.LABELLED, label="grumpy", probability=0.5, task="t", judge="j")
        for post in gold
    ]
    html = report(
        tmp_path, example, gold=gold, verdicts=verdicts, metrics=evaluate(verdicts, gold, example.task), masked=False
    )
    assert len(html) < 100_000
    assert "cut here: 1,000,001 characters" in html
    assert "\x07" not in html


def test_every_given_part_has_its_section_and_absent_ones_have_none(tmp_path, example) -> None:
    other = [v.model_copy(update={"judge": "other"}) for v in example.verdicts[:200]]
    full = report(
        tmp_path,
        example,
        comparison=compare_judges({"a": example.verdicts, "b": other}, example.gold, task=example.task),
        cost={"calls": 12, "seconds": 75.0, "cost_usd": 0.5},
    )
    sections = [a["id"] for a in Page(full).all("section")]
    assert sections == [
        "done", "learning", "mistakes", "outcomes", "confidence", "agreement", "comparison", "contested",
        "sure-mistakes", "cost", "provenance",
    ]  # fmt: skip
    anchors = [str(a["href"])[1:] for a in Page(full).all("a")]
    assert anchors == sections
    bare = [Verdict(id=v.id, outcome=v.outcome, label=v.label, task=v.task, judge=v.judge) for v in example.verdicts]
    metrics = evaluate(bare, example.gold, None)
    html = report(tmp_path, example, task=None, metrics=metrics, verdicts=bare, rounds=None, provenance=None)
    assert [a["id"] for a in Page(html).all("section")] == ["done", "mistakes", "outcomes", "provenance"]


def test_a_contested_post_shows_every_opinion_given_for_it(tmp_path, example) -> None:
    given = {
        "pool1": [
            Opinion(agent="moderator", label="grumpy", rationale="It sighs."),
            Opinion(agent="user", label="friendly", rationale="It jokes."),
            Opinion(agent="expert", round=1, outcome=Outcome.REFUSED),
        ]
    }
    bare = [verdict.model_copy(update={"opinions": ()}) for verdict in example.verdicts]
    html = report(
        tmp_path,
        example,
        verdicts=bare,
        opinions=given,
        posts=[Post(id="pool1", text="Slugs, eh?")],
        masked=False,
        contested_limit=1,
    )
    article = html[html.index("<article") : html.index("</article>")]
    for part in ("pool1", "Slugs, eh?", "It sighs.", "It jokes.", "the model refused to answer", "agents still differ"):
        assert part in article


def test_a_single_comparison_will_do(tmp_path, example) -> None:
    other = [v.model_copy(update={"judge": "other"}) for v in example.verdicts[:200]]
    text = Page(report(tmp_path, example, comparison=compare(example.verdicts, other, example.gold))).text
    assert "negotiation:v1 beats other by" in text


def test_a_judge_without_a_single_verdict_still_gets_its_report(tmp_path, example) -> None:
    html = report(tmp_path, example, verdicts=[], metrics=evaluate([], example.gold, example.task), rounds=[])
    assert "Right on 0 of every 100 posts" in html
    assert "No post was labelled" in html


def test_one_post_is_enough(tmp_path, example) -> None:
    gold, verdicts = example.gold[:1], example.verdicts[:1]
    html = report(tmp_path, example, gold=gold, verdicts=verdicts, metrics=evaluate(verdicts, gold, example.task))
    assert re.search(r"Right on (all 1 posts|[01] of 1 post)", html)


def test_gold_and_verdicts_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path, example) -> None:
    with pytest.raises(BadInput):
        report(tmp_path, example, gold=[Post(id="1", label="unheard of")])
    assert not list(tmp_path.iterdir())


def metrics_of(right: int, n: int):
    gold = [Post(id=str(k), label="a" if k % 2 else "b") for k in range(n)]
    flip = {"a": "b", "b": "a"}
    verdicts = [
        Verdict(id=p.id, outcome="labelled", label=p.label if k < right else flip[p.label], task="t", judge="j")
        for k, p in enumerate(gold)
    ]
    return evaluate(verdicts, gold)


@pytest.mark.parametrize(
    ("right", "n", "said"),
    [
        (872, 1000, "Right on 87 of every 100 posts"),
        (999, 1000, "Right on 99 of every 100 posts"),
        (1, 1000, "Right on 1 of every 100 posts"),
        (1000, 1000, "Right on all 1,000 posts"),
        (17, 20, "Right on 17 of 20 posts"),
    ],
)
def test_the_headline_never_rounds_up_to_perfect_nor_down_to_nothing(right, n, said) -> None:
    assert headline(metrics_of(right, n)) == said


def test_the_standing_says_whether_a_judge_beats_the_commonest_label() -> None:
    assert "clearly more than the 50.0%" in standing(metrics_of(90, 100))
    assert "not clearly different from" in standing(metrics_of(52, 100))
    assert "clearly less than" in standing(metrics_of(10, 100))


def test_figures_in_words() -> None:
    assert percentage(0.8725) == "87.2%"
    assert percentage(None) == "–"
    assert (signed_points(0.018), signed_points(-0.018), signed_points(-0.0001)) == ("+1.8", "−1.8", "0.0")
    assert (p_value(0.0002), p_value(0.0312), p_value(0.5)) == ("< 0.001", "0.031", "0.50")
    assert (duration(4.21), duration(75), duration(4000)) == ("4.2 s", "1 min 15 s", "1 h 6 min")
    assert [alpha_words(a) for a in (0.9, 0.7, 0.4, 0.0, -0.5, None)] == [
        "reliable",
        "enough for tentative conclusions",
        "weak",
        "hardly better than chance",
        "worse than chance: they oppose each other",
        "cannot be told",
    ]


def test_a_comparison_in_words_names_the_better_one_first() -> None:
    gold = [Post(id=str(k), label="a" if k % 2 else "b") for k in range(200)]

    def judged(right: int, judge: str) -> list[Verdict]:
        flip = {"a": "b", "b": "a"}
        return [
            Verdict(id=p.id, outcome="labelled", label=p.label if k < right else flip[p.label], task="t", judge=judge)
            for k, p in enumerate(gold)
        ]

    worse, better = judged(120, "worse"), judged(180, "better")
    assert comparison_words(compare(worse, better, gold)).startswith("better beats worse by ")
    assert comparison_words(compare(worse, worse, gold)).startswith("No clear difference")


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.8, 0.88), (0, 500), (0.5, 0.5), (0, 0.004), (0.123, 0.987), *((0, n / 1000) for n in range(1, 1200, 7))],
)
def test_ticks_are_few_and_cover_the_values(low, high) -> None:
    ticks = round_ticks(low, high)
    assert ticks[0] <= low + 1e-9
    assert ticks[-1] >= high - 1e-9
    assert 2 <= len(ticks) <= 8


def test_the_learning_curve_tells_kept_from_rolled_back_rounds(example) -> None:
    drawn = draw_learning_curve(example.rounds)
    kept = sum(1 for record in example.rounds if record["accepted"])
    assert drawn.count('class="kept"') == kept
    assert drawn.count('class="rolled-back"') == len(example.rounds) - kept
    assert draw_learning_curve([]) == draw_batch_composition([]) == ""


def test_an_interval_bar_carries_its_figures_for_those_who_cannot_see_it() -> None:
    assert "85%, 95% interval 80% to 90%" in draw_interval_bar(0.85, (0.8, 0.9))


def test_side_by_side_survives_json(example) -> None:
    side = compare_judges({"a": example.verdicts}, example.gold, task=example.task)
    assert SideBySide.from_line(side.to_line()) == side
