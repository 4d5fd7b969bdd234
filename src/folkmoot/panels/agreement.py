"""The rule by which opinions become one decision. Pure: no model, no prompt, no post.

Paper: "Multi-Agent VLMs Guided Self-Training with PNU Loss for Low-Resource Offensive Content Detection" (AAAI 2026,
arXiv 2511.13759), section on pseudo-labels; rule `reference` is that of the authors' code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from folkmoot.records import CLASSIFIER, Opinion, Outcome, Record

Rule = Literal["paper", "reference"]


WORST_FIRST = (
    Outcome.CALL_FAILED,
    Outcome.MEDIA_MISSING,
    Outcome.REFUSED,
    Outcome.UNPARSABLE,
    Outcome.ABSTAINED,
)
"""Where several opinions have no label, the decision takes the first of these; a failed call is worth trying again."""


class Decision(Record):
    """What a rule made of the opinions. `basis` are the opinions it looked at, `problem` says why there is no label."""

    outcome: Outcome
    label: str | None = None
    basis: tuple[Opinion, ...] = ()
    problem: str | None = None

    @property
    def quorum(self) -> int:
        """How many labelled opinions the decision rests on."""
        return sum(opinion.outcome is Outcome.LABELLED for opinion in self.basis)


def final_opinions(opinions: Iterable[Opinion]) -> tuple[Opinion, ...]:
    """Each agent's opinion of its last round, agents in the order of their first appearance.

    A last opinion without a label stays the last one: an agent whose revision failed is not taken back to round 0.
    """
    last: dict[str, Opinion] = {}
    for opinion in opinions:
        if opinion.agent not in last or opinion.round >= last[opinion.agent].round:
            last[opinion.agent] = opinion
    return tuple(last.values())


def decide(opinions: Sequence[Opinion], *, classifier: Opinion | str | None = None, rule: Rule = "paper") -> Decision:
    """A label where the rule is satisfied, else the reason why there is none.

    - `paper`: every agent's last opinion has the same label, and so has the classifier where one is given.
    - `reference`: where all agents said the same in round 0, that label, the classifier ignored; otherwise as `paper`.

    A decision has a label only where every opinion that the rule looks at has one. An agent without a label (refused,
    unparsable, call failed) gives the decision its outcome; disagreement gives `abstained`.

    Args:
        opinions: of the agents only; several rounds, or the final ones.
        classifier: its label, or its opinion where it may have none; None where there is no classifier.

    Example:
        >>> strict, lenient = Opinion(agent="moderator", label="rude"), Opinion(agent="user", label="rude")
        >>> decide([strict, lenient]).label
        'rude'
        >>> decide([strict, lenient], classifier="kind").outcome.value
        'abstained'
        >>> decide([strict, lenient], classifier="kind", rule="reference").label
        'rude'

    Departs: the code turns a reply that it cannot read into the negative label; here it is its own outcome.
    """
    final = final_opinions(opinions)
    if not final:
        return Decision(outcome=Outcome.ABSTAINED, problem="there is no opinion to decide on")
    if rule == "reference":
        opening = final_opinions(opinion for opinion in opinions if opinion.round == 0)
        if len(opening) == len(final) and _common_label(opening) is not None:
            return Decision(outcome=Outcome.LABELLED, label=opening[0].label, basis=opening)
    basis = final
    if classifier is not None:
        basis += (Opinion(agent=CLASSIFIER, label=classifier) if isinstance(classifier, str) else classifier,)
    unlabelled = [opinion for opinion in basis if opinion.outcome is not Outcome.LABELLED]
    if unlabelled:
        outcome = min((opinion.outcome for opinion in unlabelled), key=WORST_FIRST.index)
        said = ", ".join(f"{opinion.agent} in round {opinion.round}: {opinion.outcome}" for opinion in unlabelled)
        return Decision(outcome=outcome, basis=basis, problem=f"no label from {said}")
    label = _common_label(basis)
    if label is not None:
        return Decision(outcome=Outcome.LABELLED, label=label, basis=basis)
    agents_agree = _common_label(final) is not None
    problem = "the agents agree, but not with the classifier" if agents_agree else "the agents do not agree"
    return Decision(outcome=Outcome.ABSTAINED, basis=basis, problem=problem)


def _common_label(opinions: Sequence[Opinion]) -> str | None:
    labels = {opinion.label for opinion in opinions}
    return labels.pop() if len(labels) == 1 else None
