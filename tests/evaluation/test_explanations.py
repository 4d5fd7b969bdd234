"""Types, anchors and ratings, against hand arithmetic."""

import pytest

from folkmoot.evaluation.attribution import score_attribution
from folkmoot.evaluation.g_eval import g_eval
from folkmoot.evaluation.grounding import ground
from folkmoot.formats import load_task
from folkmoot.records import BadInput, Evidence, Label, Observation, Outcome, Post, Sentence, Task, Verdict, resolve

TASK = load_task("micro_video")
GOLD = [
    Post(id="1", label="misinformation", attribution=("TT",)),
    Post(id="2", label="misinformation", attribution=("TT", "EF")),
    Post(id="3", label="misinformation", attribution=("AIGC",)),
    Post(id="4", label="real"),
    Post(id="5", label="real"),
]


def verdict(name: str, label: str | None, **attribution: float) -> Verdict:
    outcome = Outcome.LABELLED if label else Outcome.ABSTAINED
    return Verdict(id=name, outcome=outcome, label=label, task="micro_video", judge="j", attribution=attribution)


def test_an_always_fake_judge_detects_every_type_and_lets_nothing_real_pass() -> None:
    scores = score_attribution([verdict(post.id, "misinformation") for post in GOLD], GOLD, TASK)
    assert scores.mean_detected == 1.0
    assert (scores.fake_recall, scores.real_recall, scores.balanced) == (1.0, 0.0, 0.5)


def test_types_are_scored_by_hand() -> None:
    said = [
        verdict("1", "misinformation", TT=0.9), verdict("2", "real", EF=0.6), verdict("3", "misinformation", TT=0.5, AIGC=0.2),
        verdict("4", "real", TT=0.4), verdict("5", None),
    ]  # fmt: skip
    scores = score_attribution(said, GOLD, TASK)
    text = scores.per_type["TT"]
    assert (text.support, text.detected) == (2, 0.5)  # posts 1 and 2, of which 1 was called fake
    assert (text.precision, text.recall, text.f1) == (0.5, 0.5, 0.5)  # named on 1 and 3; holds on 1 and 2
    assert scores.per_type["EF"].recall == 1.0
    assert scores.per_type["ES"].detected is None
    assert scores.fake_recall == pytest.approx(2 / 3)
    assert scores.real_recall == 0.5  # post 5 has no label: a miss
    assert scores.first_named == pytest.approx(2 / 3)  # 1 and 2; on 3 TT leads
    assert scores.mean_detected == pytest.approx((0.5 + 0 + 1) / 3)


def test_attribution_needs_two_labels_and_types() -> None:
    three = Task(name="t", question="q", labels=tuple(Label(name=n) for n in "abc"))
    with pytest.raises(BadInput, match="binary"):
        score_attribution([], GOLD, three)


def explained(*anchors: tuple[str, ...]) -> Verdict:
    return Verdict(
        id="1", outcome=Outcome.LABELLED, label="real", task="t", judge="j",
        explanation=tuple(Sentence(sentence="s", anchors=a) for a in anchors),
        evidence=(Evidence(id="e0", passage="p"), Evidence(id="e1", passage="p")),
        observations=(
            Observation(kind="speech", start_seconds=0, end_seconds=1), Observation(kind="ocr", box=(0, 0, 1, 1)),
            Observation(kind="match"), Observation(kind="provenance"), Observation(kind="event", start_seconds=1),
            Observation(kind="speech", outcome=Outcome.MEDIA_MISSING),
        ),
    )  # fmt: skip


def test_anchors_resolve_to_their_kinds_and_to_nothing_else() -> None:
    held = explained()
    kinds = {n: resolve(f"observation:{n}", held) for n in range(7)}
    assert [a.kind if a else None for a in kinds.values()] == ["words", "box", "hash", "finding", "span", None, None]
    for name in ("evidence:2", "evidence:-1", "evidence:x", "evidence", "nothing:0", "evidence:²", ""):
        assert resolve(name, held) is None
    assert resolve("post", held).kind == "post"


def test_grounding_by_hand() -> None:
    found = ground([explained(("evidence:0", "evidence:9"), ("observation:0",), ())], {"1": frozenset({"e0", "e1"})})
    assert (found.sentences, found.supported, found.void) == (3, pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert found.fully_supported == 0.0
    assert found.by_kind == {"passage": 1, "words": 1}
    assert (found.anchor_precision, found.anchor_recall) == (1.0, 0.5)
    assert ground([]).supported is None


async def test_ratings_are_averaged_and_unread_ones_left_out() -> None:
    held = [explained(("post",)).model_copy(update={"id": str(n)}) for n in range(4)]

    async def rate(criterion: str, post: Post, verdict: Verdict) -> int | None:
        return {"0": 5, "1": 4, "2": 3, "3": None}[post.id]

    ratings = await g_eval(held, {str(n): Post(id=str(n), label="real") for n in range(4)}, rate)
    assert set(ratings) == {"persuasiveness", "informativeness", "soundness", "misleadingness", "readability"}
    assert (ratings["soundness"].mean, ratings["soundness"].rated, ratings["soundness"].unrated) == (4.0, 3, 1)
    assert ratings["misleadingness"].lower_is_better
    low, high = ratings["soundness"].interval95
    assert 3 <= low <= 4 <= high <= 5
