"""Who moved whom: what changed between two rounds of a talk, and who had said before what somebody says now."""

from __future__ import annotations

from collections.abc import Sequence

from folkmoot.records import Opinion, Record


class Move(Record):
    """An agent's change of label. `towards` said in the round before what `agent` says now; nobody, where it is empty."""

    agent: str
    round: int
    before: str
    after: str
    towards: tuple[str, ...]

    def in_words(self) -> str:
        """The move as a sentence."""
        by = f", as {' and '.join(self.towards)} had said" if self.towards else ", where nobody was"
        return f"{self.agent} moved from {self.before} to {self.after} in round {self.round}{by}"


def moves(opinions: Sequence[Opinion]) -> tuple[Move, ...]:
    """Every change of label from one round to the next, in the order of the opinions.

    An opinion without a label is no move, and the next one is compared with the last labelled one.
    """
    by_agent: dict[str, Opinion] = {}
    found: list[Move] = []
    labels: dict[int, dict[str, str]] = {}
    for opinion in opinions:
        if opinion.label is not None:
            labels.setdefault(opinion.round, {})[opinion.agent] = opinion.label
    for opinion in opinions:
        if opinion.label is None:
            continue
        before = by_agent.get(opinion.agent)
        if (
            before is not None
            and before.label is not None
            and before.round < opinion.round
            and before.label != opinion.label
        ):
            earlier = labels.get(opinion.round - 1, {})
            towards = tuple(
                agent for agent, label in earlier.items() if label == opinion.label and agent != opinion.agent
            )
            found.append(
                Move(
                    agent=opinion.agent, round=opinion.round, before=before.label, after=opinion.label, towards=towards
                )
            )
        by_agent[opinion.agent] = opinion
    return tuple(found)
