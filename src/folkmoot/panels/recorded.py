"""The opinions of people or models that stand in a file, as a Judge: no model is called.

Paper: the two roles and the rule are those of negotiation (arXiv 2511.13759); any number of agents may have spoken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from folkmoot.panels.agreement import Decision, Rule, decide
from folkmoot.panels.conclusion import conclude
from folkmoot.records import BadInput, CallPlan, Opinion, Outcome, Post, Task, Verdict


class RecordedOpinions:
    """A judge that decides by each agent's last recorded opinion: their common label, else `abstained`.

    Args:
        opinions: by the post's id. Posts without any are abstained from.

    Raises:
        BadInput: an opinion has a label that the task does not have.
    """

    version = 1

    def __init__(
        self,
        task: Task,
        opinions: Mapping[str, Sequence[Opinion]],
        *,
        name: str = "recorded",
        rule: Rule = "paper",
    ) -> None:
        self.task, self.rule = task, rule
        self._name = name
        self._opinions = opinions
        accepted = {None, *task.label_names}
        for id, said in opinions.items():
            for opinion in said:
                if opinion.label not in accepted:
                    raise BadInput(
                        f"recorded opinions: agent '{opinion.agent}' gives post '{id}' the label {opinion.label!r}; "
                        f"task '{task.name}' has {list(task.label_names)}"
                    )

    @property
    def name(self) -> str:
        """The given name and the version of this judge."""
        return f"{self._name}:v{self.version}"

    async def judge(self, post: Post) -> Verdict:
        """The decision on what was recorded for the post, with every opinion kept."""
        opinions = self._opinions.get(post.id, ())
        if not opinions:
            decision = Decision(outcome=Outcome.ABSTAINED, problem="no recorded opinion")
        else:
            decision = decide(opinions, rule=self.rule)
        return conclude(post, decision, opinions, task=self.task, judge=self.name)

    def plan(self, post: Post) -> CallPlan:
        """Nothing."""
        return CallPlan()


def heard_from(
    opinions: Mapping[str, Sequence[Opinion]], agents: Collection[str], *, first_round_only: bool = False
) -> dict[str, list[Opinion]]:
    """The opinions of some of the agents, by post; posts on which none of them spoke are left out.

    Args:
        first_round_only: only what they said before they heard one another.

    Raises:
        BadInput: an agent never spoke.
    """
    spoke = {opinion.agent for said in opinions.values() for opinion in said}
    for agent in agents:
        if agent not in spoke:
            raise BadInput(f"recorded opinions: agent '{agent}' never spoke. Who did: {', '.join(sorted(spoke))}.")
    kept = {
        id: [o for o in said if o.agent in agents and not (first_round_only and o.round > 0)]
        for id, said in opinions.items()
    }
    return {id: said for id, said in kept.items() if said}
