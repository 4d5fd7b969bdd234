"""Three checks in a row: the words against an encyclopedia, the pictures, and whether they agree; the first that fails
decides.

Paper: Liu et al., "MMFakeBench" (ICLR 2025), MMD-Agent: textual veracity check with retrieved entities, visual veracity
check, cross-modal consistency reasoning.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from folkmoot.evidence.guarded import GuardedRetriever
from folkmoot.evidence.retriever import Question, Retriever, SourceDown
from folkmoot.models.chat import ChatModel, Sampling
from folkmoot.panels import dossier
from folkmoot.panels.agent import SAMPLING
from folkmoot.panels.agreement import decide
from folkmoot.panels.conclusion import conclude
from folkmoot.panels.sequence import Look, Sequential
from folkmoot.records import Evidence, Opinion, Outcome, Post, Task, Verdict


class Entities(BaseModel):
    """What to look up."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    questions: list[str]


class MmdAgent(Sequential):
    """A judge that says `real` only where all three checks do. A check that fails is the verdict's outcome."""

    panel = "mmd_agent"
    steps = 4
    fewest_steps = 1

    def __init__(
        self,
        task: Task,
        model: ChatModel,
        *,
        retriever: Retriever | None = None,
        as_of: str | None = None,
        look: Look | None = None,
        sampling: Sampling = SAMPLING,
        reasks: int = 1,
        prompts: Path | None = None,
    ) -> None:
        super().__init__(task, model, look=look, sampling=sampling, reasks=reasks, prompts=prompts)
        self.retriever, self.as_of = retriever, as_of

    async def judge(self, post: Post) -> Verdict:
        """The first check that finds something, or the last one."""
        seen = await self.observe(post)
        opinions: list[Opinion] = []
        notes: list[str] = []
        evidence: tuple[Evidence, ...] = ()
        problem = ""
        if self.retriever is not None:
            entities = await self.put("entities", Entities, post, seen)
            opinions.append(self.opinion("entities", entities))
            asked = [q for q in getattr(entities.value, "questions", []) if q.strip()][:3]
            evidence = await self._look_up(post, asked or [post.text[:300]], notes)
        passages = dossier.passage_lines(evidence) if evidence else ""
        for check in ("textual", "visual", "consistency"):
            if check != "textual" and not seen:
                continue  # there are no pictures to check
            slots = {"passages": passages} if check == "textual" else {}
            answer = await self.put(check, self.replies.conclusion, post, seen, **slots)
            opinions.append(self.opinion(check, answer))
            if answer.value is None:
                problem = f"{check}: {answer.problem}"
                break
            if opinions[-1].label == self.task.positive:
                break
        if not seen:
            notes.append("no media were looked at, so only the words were checked")
        decided = [opinions[-1]] if opinions[-1].outcome is not Outcome.ABSTAINED else []
        verdict = conclude(post, decide(decided), opinions, task=self.task, judge=self.name, problem=problem)
        return verdict.model_copy(update={"observations": seen, "evidence": evidence, "notes": tuple(notes)})

    async def _look_up(self, post: Post, asked: list[str], notes: list[str]) -> tuple[Evidence, ...]:
        assert self.retriever is not None
        guarded = GuardedRetriever(self.retriever, own_text=post.text)
        found: dict[str, Evidence] = {}
        for text in asked:
            try:
                for evidence in await guarded.retrieve(Question(text=text, k=3, as_of=self.as_of)):
                    found.setdefault(evidence.id, evidence)
            except SourceDown as error:
                notes.append(f"a source of evidence was down: {error}")
        return tuple(found.values())[:5]
