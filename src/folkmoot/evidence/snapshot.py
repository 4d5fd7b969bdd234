"""What the world said, kept: a retriever that writes down every answer, and one that gives them again offline."""

from __future__ import annotations

import asyncio
from pathlib import Path

from folkmoot.evidence.retriever import Question, Retriever, SourceDown
from folkmoot.records import BadInput, Evidence, Record


class Answer(Record):
    """A line of a snapshot: who was asked what, and what came."""

    retriever: str
    question: Question
    evidence: tuple[Evidence, ...] = ()


class SnapshotRetriever:
    """Answers from a file of earlier answers; what is not in it is asked of `live` and written to it, where there is one.

    The file is appended to a line at a time, so a kill loses at most the answer in flight.
    """

    def __init__(self, path: Path, live: Retriever | None = None) -> None:
        """
        Raises:
            BadInput: a line is no answer, or there is neither a file nor a live retriever.
        """
        self.path, self.live = path, live
        self.name = live.name if live is not None else f"snapshot {path.name}"
        self._known: dict[str, tuple[Evidence, ...]] = {}
        self._writing = asyncio.Lock()
        if path.is_file():
            content = path.read_bytes()
            whole, _, rest = content.rpartition(b"\n")
            for number, line in enumerate(whole.splitlines(), 1):
                try:
                    answer = Answer.from_line(line)
                except ValueError:
                    raise BadInput(f"{path}, line {number}: it is no answer of a snapshot") from None
                self._known[answer.question.hash] = answer.evidence
            if rest and live is not None:  # a kill left half a line
                path.write_bytes(whole + b"\n" if whole else b"")
        elif live is None:
            raise BadInput(f"{path}: there is no such snapshot; make it by a run with a live retriever")

    async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
        """The answer that was kept, or the live one.

        Raises:
            SourceDown: the question is not in the snapshot and there is no live retriever, or that is down.
        """
        known = self._known.get(question.hash)
        if known is not None:
            return known
        if self.live is None:
            raise SourceDown(
                f"{self.path.name} holds no answer to this question; it was made with other posts or prompts"
            )
        found = await self.live.retrieve(question)
        async with self._writing:
            if question.hash not in self._known:
                self._known[question.hash] = found
                line = Answer(retriever=self.live.name, question=question, evidence=found).to_line()
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
        return found
