"""From a decision and the opinions behind it to a Verdict."""

from __future__ import annotations

from collections.abc import Sequence

from folkmoot.models.media_parts import MediaMissing
from folkmoot.panels.agreement import Decision
from folkmoot.records import CLASSIFIER, Opinion, Outcome, Post, Sentence, Task, Verdict


def conclude(
    post: Post, decision: Decision, opinions: Sequence[Opinion] = (), *, task: Task, judge: str, problem: str = ""
) -> Verdict:
    """The verdict: label, probabilities, every opinion, and the agents' reasons, each anchored to its opinion.

    Args:
        problem: details that only the judge knows, put behind the decision's own.
    """
    agents = [opinion for opinion in decision.basis if opinion.agent != CLASSIFIER]
    probabilities = label_probabilities(agents, task=task)
    return Verdict(
        id=post.id,
        outcome=decision.outcome,
        label=decision.label,
        probability=probabilities.get(decision.label) if decision.label else None,
        probabilities=probabilities,
        task=task.name,
        judge=judge,
        explanation=tuple(
            Sentence(sentence=opinion.rationale, anchors=(f"opinion:{opinions.index(opinion)}",))
            for opinion in agents
            if opinion.outcome is Outcome.LABELLED and opinion.rationale
        ),
        opinions=tuple(opinions),
        quorum=decision.quorum,
        calls=tuple(dict.fromkeys(call for opinion in opinions for call in opinion.calls)),
        problem="; ".join(part for part in (decision.problem, problem) if part) or None,
    )


def conclude_without_media(post: Post, error: MediaMissing, *, task: Task, judge: str) -> Verdict:
    """The verdict on a post whose media cannot be shown: no opinion, no label."""
    return conclude(post, Decision(outcome=Outcome.MEDIA_MISSING, problem=str(error)), task=task, judge=judge)


def label_probabilities(opinions: Sequence[Opinion], *, task: Task) -> dict[str, float]:
    """The mean of what the agents claim, over those with a label and a confidence; empty where there is none.

    An agent with confidence c in its label gives the other labels (1 - c) / (C - 1) each.
    """
    claims = [(o.label, o.confidence) for o in opinions if o.label is not None and o.confidence is not None]
    if not claims:
        return {}
    others = len(task.labels) - 1
    claimed = {
        name: sum(confidence if label == name else (1 - confidence) / others for label, confidence in claims)
        for name in task.label_names
    }
    return {name: round(total / len(claims), 6) for name, total in claimed.items()}
