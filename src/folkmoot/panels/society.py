"""A society: many profiled users judge a post, each alone and in role; every opinion is kept.

Paper: "Thinking as Society" (SCPO), ICLR 2026, steps 3 to 5. Users do not talk to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from folkmoot.models.chat import ChatModel, Sampling
from folkmoot.models.media_parts import MediaMissing
from folkmoot.panels.agent import Agent, show, sketch
from folkmoot.panels.conclusion import conclude, conclude_without_media
from folkmoot.panels.reply import reply_form
from folkmoot.panels.society_plan import EPSILON, Seating, seat
from folkmoot.panels.together import together
from folkmoot.panels.topics import TopicReader
from folkmoot.panels.vote import VoteBy, vote
from folkmoot.records import BadInput, CallPlan, Opinion, Post, Profile, Task, Verdict

SAMPLING = Sampling(temperature=0.0, seed=0, max_tokens=256)
REPEAT_TEMPERATURE = 0.7
"""Re-samples of a user are drawn at this temperature (chosen), with another seed each: round 0 stays what it is."""


class Society:
    """A judge whose verdict is its users' vote. An opinion's agent is the user's id; round 0 counts, later rounds are
    the same users asked again (`repeats`), to tell what a profile changes from what chance does.

    Args:
        profiles: the bank.
        users: how many are asked about a post, where no seating names them.
        seatings: who is asked, by the post's id.
        topics_of: the topics of a post that are known already; others are read by the model.
        by: what the vote counts.
    """

    version = 1

    def __init__(
        self,
        task: Task,
        model: ChatModel,
        *,
        profiles: Sequence[Profile],
        users: int = 8,
        seed: int = 0,
        epsilon: float = EPSILON,
        seatings: Mapping[str, Seating] | None = None,
        topics_of: Callable[[str], tuple[str, ...] | None] = lambda post: None,
        repeats: int = 0,
        by: VoteBy = "vote",
        sampling: Sampling = SAMPLING,
        reasks: int = 1,
        prompts: Path | None = None,
    ) -> None:
        if not profiles:
            raise BadInput("a society needs profiles; give --profiles FILE or 'world'")
        self.task, self.model, self.by = task, model, by
        self.users, self.seed, self.epsilon, self.repeats = users, seed, epsilon, repeats
        self._profiles = {profile.id: profile for profile in profiles}
        self._seatings, self._topics_of = seatings or {}, topics_of
        vocabulary = sorted({topic for profile in profiles for topic in profile.interests})
        self._reader = TopicReader(task, model, vocabulary, prompts=prompts) if vocabulary else None
        self._sampling, self._reasks, self._prompts = sampling, reasks, prompts
        self._form = reply_form(task)
        self._members: dict[tuple[str, int], Agent] = {}
        for seating in self._seatings.values():
            for user in seating.users:
                if user not in self._profiles:
                    raise BadInput(f"the plan asks user '{user}' about post '{seating.id}', and no profile has that id")

    @property
    def name(self) -> str:
        """The panel and its version."""
        return f"society:v{self.version}"

    async def judge(self, post: Post) -> Verdict:
        """The users' vote on the post, with every opinion."""
        try:
            shown = await show(post, task=self.task)
        except MediaMissing as error:
            return conclude_without_media(post, error, task=self.task, judge=self.name)
        seating = await self.seat(post)
        said = await together(*(
            self.member(user, round).opine("decide", shown, round=round)
            for round in range(self.repeats + 1)
            for user in seating.users
        ))  # fmt: skip
        opinions = [one.opinion for one in said]
        problems = "; ".join(one.problem for one in said if one.problem)
        return self.conclude(post, opinions, problem=problems)

    def conclude(self, post: Post, opinions: Sequence[Opinion], *, problem: str = "") -> Verdict:
        """The verdict of opinions: round 0 votes."""
        decision = vote([opinion for opinion in opinions if opinion.round == 0], by=self.by)
        return conclude(post, decision, opinions, task=self.task, judge=self.name, problem=problem)

    async def seat(self, post: Post) -> Seating:
        """Who is asked about the post; its topics are read where neither a seating nor anybody else knows them."""
        if post.id in self._seatings:
            return self._seatings[post.id]
        topics = self._topics_of(post.id)
        if topics is None:
            topics = (await self._reader.read(post)).topics if self._reader else ()
        return seat(
            list(self._profiles.values()), post.id, topics, self.users, seed=self.seed, epsilon=self.epsilon
        )  # fmt: skip

    def member(self, user: str, round: int = 0) -> Agent:
        """The agent that speaks for a user."""
        key = (user, round)
        if key not in self._members:
            sampling = self._sampling
            if round:
                update = {"temperature": max(sampling.temperature, REPEAT_TEMPERATURE), "seed": sampling.seed + round}
                sampling = sampling.model_copy(update=update)
            self._members[key] = Agent(
                user, self.task, self.model, self._form, panel="society", version=self.version, sampling=sampling,
                prompts=self._prompts, reasks=self._reasks, role="member", persona=self._profiles[user].words(),
            )  # fmt: skip
        return self._members[key]

    def plan(self, post: Post) -> CallPlan:
        """A call a user and round, and one for the topics where they are not known."""
        known = post.id in self._seatings or self._topics_of(post.id) is not None or self._reader is None
        users = self._seatings[post.id].users if post.id in self._seatings else tuple(self._profiles)[: self.users]
        shown = sketch(post, task=self.task)
        each = max((self.member(user).prompt_tokens("decide", shown) for user in users), default=0)
        calls = len(users) * (self.repeats + 1)
        reading = CallPlan() if known or self._reader is None else self._reader.plan(post)
        return CallPlan(
            calls_min=calls + reading.calls_min, calls_max=calls + reading.calls_max,
            prompt_tokens=each * calls + reading.prompt_tokens,
            completion_tokens=self._sampling.max_tokens * calls + reading.completion_tokens,
        )  # fmt: skip


class RecordedSociety:
    """A society whose opinions stand in a file: the same vote, and no call."""

    version = 1

    def __init__(self, task: Task, opinions: Mapping[str, Sequence[Opinion]], *, by: VoteBy = "vote") -> None:
        self.task, self.by = task, by
        self._opinions = opinions

    @property
    def name(self) -> str:
        """As a live society's, since the rule is the same."""
        return f"society:v{self.version}"

    async def judge(self, post: Post) -> Verdict:
        """The vote of what was recorded about the post; without a word of anybody it abstains."""
        return self.verdict(post.id)

    def verdict(self, id: str) -> Verdict:
        """The verdict on the post with this id."""
        opinions = self._opinions.get(id, ())
        decision = vote([opinion for opinion in opinions if opinion.round == 0], by=self.by)
        return conclude(Post(id=id), decision, opinions, task=self.task, judge=self.name)

    def plan(self, post: Post) -> CallPlan:
        """Nothing."""
        return CallPlan()
