import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folkmoot.evaluation import Metrics, average_precision, evaluate, pair, roc_auc
from folkmoot.records import BadInput, Label, Outcome, Post, Task, Verdict

TEA = Task(name="tea", question="Tea?", labels=(Label(name="tea"), Label(name="coffee")), positive="tea")


def posts(*labels: str | None) -> list[Post]:
    return [Post(id=str(n), text="a cup", label=label) for n, label in enumerate(labels)]


def verdict(id_: str, label: str | None, probability: float | None = None, **more: object) -> Verdict:
    outcome = Outcome.LABELLED if label else more.pop("outcome", Outcome.ABSTAINED)
    return Verdict(
        id=id_, outcome=outcome, label=label, probability=probability, task="tea", judge="cook:v1", **more
    )  # fmt: skip


def test_scores_follow_from_the_confusion_by_hand() -> None:
    # tea: 2 right, 1 called coffee; coffee: 1 right, 1 called tea.
    gold = posts("tea", "tea", "tea", "coffee", "coffee")
    said = ["tea", "tea", "coffee", "coffee", "tea"]
    metrics = evaluate([verdict(str(n), label) for n, label in enumerate(said)], gold, TEA)
    assert metrics.accuracy == 3 / 5
    assert metrics.per_class["tea"].precision == 2 / 3
    assert metrics.per_class["tea"].f1 == pytest.approx(2 / 3)
    assert metrics.per_class["coffee"].f1 == pytest.approx(1 / 2)
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert metrics.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert metrics.confusion.counts == ((2, 1), (1, 1))


def test_a_post_without_a_label_is_wrong_and_a_missed_one_of_its_gold_label_only() -> None:
    gold = posts("tea", "tea", "coffee", "coffee")
    verdicts = [verdict("0", "tea"), verdict("1", None, outcome=Outcome.REFUSED), verdict("2", "coffee")]
    metrics = evaluate(verdicts, gold, TEA)
    assert metrics.n == 4
    assert metrics.accuracy == 0.5
    assert metrics.macro_f1 == pytest.approx(2 / 3)  # either label: TP 1, FP 0, FN 1
    assert metrics.outcomes["refused"] == 1
    assert metrics.outcomes["labelled"] == 2
    assert metrics.missing == 1
    assert sum(metrics.outcomes.values()) + metrics.missing == metrics.n
    assert metrics.selective.coverage == 0.5
    assert metrics.selective.accuracy == metrics.selective.macro_f1 == 1.0
    assert metrics.confusion.unlabelled == (1, 1)


def test_verdicts_on_unknown_posts_are_reported_and_not_counted() -> None:
    gold = posts("tea", "coffee")
    own = [verdict("0", "tea"), verdict("1", "coffee")]
    stranger = verdict("elsewhere", "tea")
    assert evaluate([*own, stranger], gold, TEA) == evaluate(own, gold, TEA).model_copy(update={"extra": 1})


def test_the_last_of_several_verdicts_on_a_post_stands() -> None:
    metrics = evaluate([verdict("0", "coffee"), verdict("0", "tea")], posts("tea"), TEA)
    assert metrics.accuracy == 1.0
    assert metrics.repeated == 1


def test_posts_without_gold_are_left_out_and_counted() -> None:
    metrics = evaluate([verdict("0", "tea"), verdict("1", "tea")], posts("tea", None), TEA)
    assert (metrics.n, metrics.without_gold, metrics.extra) == (1, 1, 1)


def test_the_six_outcomes_are_all_there_and_the_dump_is_json(example) -> None:
    dump = json.loads(evaluate(example.verdicts, example.gold, example.task).model_dump_json())
    assert set(dump["outcomes"]) == {outcome.value for outcome in Outcome}
    assert {"n", "accuracy", "macro_f1", "interval95", "selective", "per_class", "confusion", "ece"} <= set(dump)
    low, high = dump["interval95"]["macro_f1"]
    assert low < dump["macro_f1"] < high
    assert Metrics.model_validate(dump).model_dump(mode="json") == dump


def test_probability_is_that_of_the_verdicts_own_label() -> None:
    gold = posts("tea", "coffee", "tea", "coffee")
    verdicts = [verdict("0", "tea", 0.9), verdict("1", "coffee", 0.8), verdict("2", "coffee", 0.6)]
    metrics = evaluate(verdicts, gold, TEA)
    assert metrics.with_probabilities == 3
    assert metrics.roc_auc == 1.0  # P(tea): 0.9, 0.2, 0.4; the tea posts are the first and the last
    assert metrics.brier == pytest.approx((0.1**2 + 0.2**2 + 0.6**2) / 3)


def test_probabilities_of_an_abstention_enter_calibration_but_not_accuracy() -> None:
    abstained = verdict("1", None, probabilities={"tea": 0.45, "coffee": 0.55})
    metrics = evaluate([verdict("0", "tea", 0.9), abstained], posts("tea", "coffee"), TEA)
    assert metrics.accuracy == 0.5
    assert metrics.with_confidence == 2
    assert metrics.brier == pytest.approx((0.1**2 + 0.45**2) / 2)
    assert metrics.ece == pytest.approx((0.1 + 0.45) / 2)


def test_without_probabilities_ranking_and_calibration_are_undefined() -> None:
    metrics = evaluate([verdict("0", "tea")], posts("tea", "coffee"), TEA)
    assert metrics.roc_auc is metrics.ece is metrics.brier is metrics.average_precision is None
    assert metrics.with_probabilities == 0


def test_with_no_verdicts_at_all_everything_is_missing() -> None:
    metrics = evaluate([], posts("tea", "coffee"), TEA)
    assert (metrics.accuracy, metrics.macro_f1, metrics.missing) == (0.0, 0.0, 2)
    assert metrics.selective.accuracy is None


def test_one_gold_class_only_leaves_the_other_out_of_the_mean() -> None:
    metrics = evaluate([verdict("0", "tea"), verdict("1", "tea")], posts("tea", "tea"), TEA)
    assert metrics.macro_f1 == 1.0
    assert metrics.per_class["coffee"].f1 is None
    assert metrics.roc_auc is None


def test_without_a_task_the_labels_are_those_that_occur() -> None:
    assert evaluate([verdict("0", "cocoa")], posts("tea"), None).labels == ("cocoa", "tea")


@pytest.mark.parametrize(
    ("gold", "verdicts", "message"),
    [
        (posts(None), [], "none of the 1 posts"),
        ([], [], "none of the 0 posts"),
        ([*posts("tea"), *posts("tea")], [], "given twice"),
        (posts("cocoa"), [], "gold post '0' has the label 'cocoa'"),
        (posts("tea"), [verdict("0", "cocoa")], "verdict on post '0' has the label 'cocoa'"),
        (posts("tea"), [verdict("0", "tea", probabilities={"tea": 0.9, "coffee": 0.9})], "sum to 1.8"),
        (posts("tea"), [verdict("0", "tea", probabilities={"tea": 0.5, "cocoa": 0.5})], "'cocoa'"),
        (posts("tea"), [verdict("0", "tea", probabilities={"tea": float("nan"), "coffee": 1})], "sum to nan"),
    ],
)
def test_bad_input_is_named(gold, verdicts, message) -> None:
    with pytest.raises(BadInput, match=message) as error:
        evaluate(verdicts, gold, TEA)
    assert "a cup" not in str(error.value)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", None])), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_scores_equal_those_of_a_plain_count(pairs) -> None:
    gold = [Post(id=str(n), label=label) for n, (label, _) in enumerate(pairs)]
    metrics = evaluate([verdict(str(n), said) for n, (_, said) in enumerate(pairs)], gold, None, resamples=20)
    f1 = []
    for c in sorted({x for pair_ in pairs for x in pair_ if x}):
        tp = sum(g == p == c for g, p in pairs)
        wrong = sum((g == c) != (p == c) for g, p in pairs)
        f1.append(2 * tp / (2 * tp + wrong))
    assert metrics.accuracy == pytest.approx(sum(g == p for g, p in pairs) / len(pairs))
    assert metrics.macro_f1 == pytest.approx(sum(f1) / len(f1))


@given(st.permutations(range(30)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_posts_changes_nothing(order) -> None:
    gold = posts(*("tea" if n % 3 else "coffee" for n in range(30)))
    verdicts = [verdict(str(n), "tea" if n % 4 else "coffee") for n in range(30)]
    shuffled = evaluate([verdicts[n] for n in reversed(order)], [gold[n] for n in order], TEA, resamples=100)
    assert shuffled == evaluate(verdicts, gold, TEA, resamples=100)


def test_the_interval_is_about_as_wide_as_the_normal_approximation_says() -> None:
    gold = posts(*["tea", "coffee"] * 500)
    verdicts = [verdict(str(n), post.label if n % 5 else "tea") for n, post in enumerate(gold)]
    metrics = evaluate(verdicts, gold, TEA)
    low, high = metrics.interval95["accuracy"]
    half = 1.96 * np.sqrt(metrics.accuracy * (1 - metrics.accuracy) / 1000)
    assert high - low == pytest.approx(2 * half, rel=0.1)
    assert evaluate(verdicts, gold, TEA) == metrics
    assert evaluate(verdicts, gold, TEA, seed=1).interval95 != metrics.interval95


def test_clusters_of_alike_posts_widen_the_interval_by_the_root_of_their_size() -> None:
    gold = posts(*["tea"] * 400)  # 40 authors of 10 posts, each judged all right or all wrong
    verdicts = [verdict(str(n), "tea" if (n // 10) % 4 else "coffee") for n in range(400)]
    alone = evaluate(verdicts, gold, TEA).interval95["accuracy"]
    grouped = evaluate(verdicts, gold, TEA, cluster=lambda post: int(post.id) // 10).interval95["accuracy"]
    assert (grouped[1] - grouped[0]) / (alone[1] - alone[0]) == pytest.approx(np.sqrt(10), rel=0.15)


def test_roc_auc_counts_won_pairs_and_half_of_ties() -> None:
    score, positive = np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])
    assert roc_auc(score, positive) == (1 + 1 + 0.5 + 1) / 4


def test_average_precision_by_hand() -> None:
    # Ranked: hit (P 1/1), miss, hit (P 2/3): AP = (1 + 2/3) / 2.
    assert average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True])) == pytest.approx(5 / 6)


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60))
@settings(max_examples=60, deadline=None)
def test_ranking_scores_equal_scikit_learns(pairs) -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    score, positive = np.array([s / 6 for s, _ in pairs]), np.array([p for _, p in pairs])
    if positive.any() and not positive.all():
        assert roc_auc(score, positive) == pytest.approx(sklearn_metrics.roc_auc_score(positive, score))
        expected = sklearn_metrics.average_precision_score(positive, score)
        assert average_precision(score, positive) == pytest.approx(expected)


def test_pairing_keeps_the_golds_order() -> None:
    pairing = pair([verdict("1", "coffee"), verdict("0", "tea")], posts("tea", "tea"), TEA)
    assert pairing.correct.tolist() == [True, False]
