"""Answers to questions, scored: every question in the denominator, a failure counts as wrong.

Paper: HumanOmniV2 (arXiv 2506.21277), IntentBench's metrics, as MODF-SIR (arXiv 2606.12018) uses them.
Departs: those scripts leave failed samples out of the denominator, and take the best attempt by the gold answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from folkmoot.evaluation.bootstrap import RESAMPLES, Interval, percentile_interval, two_sided_p
from folkmoot.evaluation.mcnemar import McNemar, mcnemar
from folkmoot.records import BadInput, Post, Question, Record, Verdict

INTENTBENCH = ("Why", "How", "What", "When", "Who/Which", "Other", "Emotion", "Deception")
"""The eight columns of IntentBench's table, by `meta.type`."""
UNTYPED = "Other"


class TypeAccuracy(Record):
    """The questions of one type: their number and mean reward."""

    n: int
    accuracy: float
    interval95: Interval


class AnswerScores(Record):
    """`accuracy` is the mean reward over all questions, pooled; `exact` the share answered exactly.

    For questions with one right answer a reward is 0 or 1; with several letters it is the F1 of the two sets; with free
    words the F1 of the words. `outcomes` counts what became of the questions.
    """

    n: int
    answered: int
    accuracy: float
    exact: float
    chance: float | None
    """The mean reward of a guess among the letters, over questions that have one right letter or yes or no."""
    interval95: Interval
    per_type: dict[str, TypeAccuracy]
    outcomes: dict[str, int]


class AnswerComparison(Record):
    """Two judges on the same questions: the difference of mean rewards, its paired bootstrap, McNemar on exactness."""

    first: str
    second: str
    n: int
    difference: float
    interval95: Interval
    p: float
    mcnemar: McNemar


def set_f1(answer: set[str], gold: set[str]) -> float:
    """2 |A and G| / (|A| + |G|), in [0, 1]; higher is better.

    >>> set_f1({"A", "B"}, {"B"})
    0.6666666666666666
    """
    return 2 * len(answer & gold) / (len(answer) + len(gold)) if answer or gold else 1.0


def word_f1(answer: str, gold: str) -> float:
    """The F1 of two texts as bags of lower-case words, in [0, 1]; higher is better."""
    a, g = (Counter(re.findall(r"\w+", text.casefold())) for text in (answer, gold))
    same = sum((a & g).values())
    return 2 * same / (a.total() + g.total()) if a or g else 1.0


def reward(question: Question, answer: str | None, gold: str) -> float:
    """How right an answer is, in [0, 1]; no answer is 0."""
    if answer is None:
        return 0.0
    if question.kind == "choices":
        return set_f1(set(answer.split(",")), set(gold.split(",")))
    if question.kind == "free":
        return word_f1(answer, gold)
    return float(answer == gold)


def rewards(verdicts: Sequence[Verdict], gold: Sequence[Post]) -> NDArray[np.float64]:
    """Each gold question's reward, [B]; 0 where no verdict answers it.

    Raises:
        BadInput: a gold post has no question or no answer, or two verdicts are about one post.
    """
    given = {verdict.id: verdict for verdict in verdicts}
    if len(given) < len(verdicts):
        raise BadInput("two verdicts are about one post; keep one of them")
    scores = []
    for post in gold:
        if post.question is None or post.label is None:
            missing = "question" if post.question is None else "gold answer"
            raise BadInput(f"post '{post.id}' has no {missing}, so there is nothing to score an answer against")
        verdict = given.get(post.id)
        said = verdict.label if verdict is not None else None
        answer = post.question.canonical(said) if said is not None else None
        scores.append(reward(post.question, answer, post.label))
    return np.array(scores)


def score_answers(
    verdicts: Sequence[Verdict], gold: Sequence[Post], *, resamples: int = RESAMPLES, seed: int = 0
) -> AnswerScores:
    """The scores of one judge.

    Args:
        gold: every question that was to be answered; `meta["type"]` names its column.

    Raises:
        BadInput: there is no question, or as in `rewards`.
    """
    if not gold:
        raise BadInput("there are no questions to score")
    scores = rewards(verdicts, gold)
    given = {verdict.id: verdict for verdict in verdicts}
    types: dict[str, list[int]] = {}
    for row, post in enumerate(gold):
        types.setdefault(str(post.meta.get("type") or UNTYPED), []).append(row)
    closed = [
        post.question for post in gold if post.question is not None and post.question.kind in ("choice", "yes_no")
    ]
    order = {name: position for position, name in enumerate(INTENTBENCH)}
    outcomes = Counter(given[post.id].outcome.value if post.id in given else "missing" for post in gold)
    return AnswerScores(
        n=len(gold),
        answered=sum(post.id in given and given[post.id].label is not None for post in gold),
        accuracy=float(scores.mean()),
        exact=float((scores == 1).mean()),
        chance=float(np.mean([1 / len(q.answers) for q in closed])) if len(closed) == len(gold) else None,
        interval95=mean_interval(scores, resamples=resamples, seed=seed),
        per_type={
            name: TypeAccuracy(
                n=len(rows), accuracy=float(scores[rows].mean()),
                interval95=mean_interval(scores[rows], resamples=resamples, seed=seed),
            )
            for name, rows in sorted(types.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))
        },
        outcomes=dict(outcomes),
    )  # fmt: skip


def compare_answers(
    judges: Mapping[str, Sequence[Verdict]], gold: Sequence[Post], *, resamples: int = RESAMPLES, seed: int = 0
) -> list[AnswerComparison]:
    """Every other judge against the first, paired by question."""
    names = list(judges)
    held = {name: rewards(verdicts, gold) for name, verdicts in judges.items()}
    found = []
    for name in names[1:]:
        difference = held[name] - held[names[0]]
        means = resampled_means(difference, resamples=resamples, seed=seed)
        right, before = held[name] == 1, held[names[0]] == 1
        found.append(
            AnswerComparison(
                first=name, second=names[0], n=len(gold), difference=float(difference.mean()),
                interval95=percentile_interval(means), p=two_sided_p(means),
                mcnemar=mcnemar(int((right & ~before).sum()), int((before & ~right).sum())),
            )
        )  # fmt: skip
    return found


def mean_interval(scores: NDArray[np.float64], *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """The 95% bootstrap interval of a mean."""
    return percentile_interval(resampled_means(scores, resamples=resamples, seed=seed))


def resampled_means(scores: NDArray[np.float64], *, resamples: int, seed: int) -> NDArray[np.float64]:
    """The mean of each resample, [resamples]."""
    values, sizes = np.unique(scores, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(scores), sizes / len(scores), size=resamples)
    return np.asarray(drawn @ values / len(scores), dtype=np.float64)


def intentbench_row(scores: AnswerScores) -> list[tuple[str, str]]:
    """The eight columns and the pooled overall, in per cent; a dash where the data have none of a type."""
    cells = [
        (name, f"{100 * scores.per_type[name].accuracy:.1f}" if name in scores.per_type else "–")
        for name in INTENTBENCH
    ]
    return [*cells, ("Overall", f"{100 * scores.accuracy:.1f}")]
