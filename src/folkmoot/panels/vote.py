"""How many opinions become one decision: by majority, or by the confidence that stands behind each label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from folkmoot.panels.agreement import Decision
from folkmoot.records import Opinion, Outcome

VoteBy = Literal["vote", "confidence"]


def vote(opinions: Sequence[Opinion], *, by: VoteBy = "vote") -> Decision:
    """The label with most votes, or with most summed confidence. A tie abstains; failures don't vote.

    A vote without a confidence weighs 1/2 where confidences are summed. Where nobody has a label, the outcome is the
    most frequent failure, alphabetically first among equals.
    """
    labelled = [opinion for opinion in opinions if opinion.outcome is Outcome.LABELLED]
    if not labelled:
        failures = [opinion.outcome for opinion in opinions]
        if not failures:
            return Decision(outcome=Outcome.ABSTAINED, problem="nobody was asked")
        outcome = min(set(failures), key=lambda one: (-failures.count(one), one.value))
        return Decision(outcome=outcome, problem=f"none of {len(opinions)} users gave a label")
    weight: dict[str, float] = defaultdict(float)
    for opinion in labelled:
        confidence = 0.5 if opinion.confidence is None else opinion.confidence
        weight[str(opinion.label)] += 1.0 if by == "vote" else confidence
    best = max(weight.values())
    winners = [label for label, total in weight.items() if abs(total - best) < 1e-9]
    if len(winners) > 1:
        return Decision(
            outcome=Outcome.ABSTAINED, basis=tuple(labelled),
            problem=f"{' and '.join(sorted(winners))} have as many votes",
        )  # fmt: skip
    return Decision(outcome=Outcome.LABELLED, label=winners[0], basis=tuple(labelled))
