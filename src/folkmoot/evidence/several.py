"""Several sources asked at once; one that is down does not take the others with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from folkmoot.evidence.retriever import Question, Retriever, SourceDown
from folkmoot.records import Evidence


class SeveralRetrievers:
    """The passages of all, taken in turns: the first of each, the second of each, and so on."""

    def __init__(self, retrievers: Sequence[Retriever]) -> None:
        if not retrievers:
            raise ValueError("name at least one retriever")
        self.retrievers = tuple(retrievers)
        self.name = " + ".join(retriever.name for retriever in self.retrievers)
        self.down: dict[str, str] = {}

    async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
        """At most `k` passages; `down` names the sources that did not answer.

        Raises:
            SourceDown: none did.
        """
        answers = await asyncio.gather(*(r.retrieve(question) for r in self.retrievers), return_exceptions=True)
        found: list[tuple[Evidence, ...]] = []
        for retriever, answer in zip(self.retrievers, answers, strict=True):
            if isinstance(answer, SourceDown):
                self.down[retriever.name] = str(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found.append(answer)
        if not found:
            raise SourceDown("; ".join(self.down.values()))
        turns = [answer[n] for n in range(max(map(len, found))) for answer in found if n < len(answer)]
        return tuple(turns[: question.k])
