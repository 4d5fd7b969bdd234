"""The one idea: everything that decides is a Judge."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from folkmoot.records.base import Record
from folkmoot.records.post import Post
from folkmoot.records.task import Task
from folkmoot.records.verdict import Verdict


class CallPlan(Record):
    """What judging one post is expected to cost: calls in [`calls_min`, `calls_max`] and tokens for the maximum."""

    calls_min: int = 0
    calls_max: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@runtime_checkable
class Judge(Protocol):
    """Decides on a post. A panel, a student, a person in a queue: nothing may need to know which kind it holds.

    `name` carries a version, such as `negotiation:v1`. `judge` is safe to await for many posts at once, never
    raises for a model's failure (that is an outcome of the verdict), and raises `FolkmootError` only where no
    further post can be judged: a spent budget, a dead endpoint, a full disk.
    """

    @property
    def name(self) -> str: ...

    @property
    def task(self) -> Task: ...

    async def judge(self, post: Post) -> Verdict: ...

    def plan(self, post: Post) -> CallPlan:
        """What `judge(post)` may cost, without calling anything."""
        ...
