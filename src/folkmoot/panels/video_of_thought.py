"""Four prompts, one after the other: objects, event, verdict, verification.

Paper: the "VoT-based Prompt" rows of WildFakeBench (arXiv 2603.25423, appendix B), after Fei et al., "Video-of-Thought"
(ICML 2024). The authors' script has one prompt in three parts; the paper's four are used here.
"""

from __future__ import annotations

from folkmoot.models.untrusted import data_block
from folkmoot.panels.agreement import decide
from folkmoot.panels.conclusion import conclude
from folkmoot.panels.sequence import Description, Sequential
from folkmoot.records import Post, Verdict


class VideoOfThought(Sequential):
    """A judge whose verified answer counts."""

    panel = "video_of_thought"
    steps = fewest_steps = 4

    async def judge(self, post: Post) -> Verdict:
        """The verified answer as a verdict."""
        seen = await self.observe(post)
        opinions = []
        slots: dict[str, str] = {}
        problem = ""
        for section, form in (
            ("objects", Description), ("event", Description), ("decide", self.replies.conclusion),
            ("verify", self.replies.conclusion),
        ):  # fmt: skip
            answer = await self.put(section, form, post, seen, **slots)
            opinions.append(self.opinion(section, answer))
            if answer.value is None:
                problem = f"{section}: {answer.problem}"
                break
            said = opinions[-1]
            told = f"{said.label}, {said.confidence}: {said.rationale}" if said.label else said.rationale
            slots["prediction" if section == "decide" else section] = data_block(section, told)
        last = opinions[-1]
        verdict = conclude(post, decide([last]), opinions, task=self.task, judge=self.name, problem=problem)
        return verdict.model_copy(update={"observations": seen})
