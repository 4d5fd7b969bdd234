"""Posts and profiles -> a society's feedback: seated by interest, asked alone, counted in four ways, tested.

Paper: "Thinking as Society" (SCPO), ICLR 2026, steps 3 to 5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from folkmoot.evaluation import Metrics, evaluate
from folkmoot.evaluation.crowd import Aggregation, aggregate
from folkmoot.evaluation.persona_effect import PersonaEffect, persona_effect
from folkmoot.formats import load_task, read_opinions, read_posts, write_verdicts
from folkmoot.formats.profiles import WORLD, ProfileBank, read_profiles
from folkmoot.formats.seatings import SeatingRow, read_seatings
from folkmoot.models.chat import ChatModel, Sampling
from folkmoot.models.loading import keep_calls, load_model
from folkmoot.panels.society import RecordedSociety, Society
from folkmoot.panels.society_plan import EPSILON, Seating, SocietyPlan, plan_society, seat
from folkmoot.recipes.judging import OnProgress, Spending, check_price
from folkmoot.records import BadInput, Judge, Opinion, Outcome, Post, Record, Task, Verdict
from folkmoot.runs import LedgerTotals, Price, RunFolder, RunPlan, RunSummary, judge_posts, plan_run

CONCURRENCY = 64
"""Posts judged at once (chosen); a post's users are asked at once too, within the model's own limits."""

How = Literal["vote", "confidence", "dawid_skene", "glad"]
HOWS: tuple[How, ...] = ("vote", "confidence", "dawid_skene", "glad")


class SocietyRecipe(Record):
    """What decides the outcome of a run; kept in `run.toml`.

    `plan` is a file that names a post's users or topics; `opinions` one that takes the place of all calls.
    """

    kind: Literal["society"] = "society"
    task: str
    posts: str
    profiles: str = WORLD
    users: int = Field(default=8, ge=1)
    seed: int = 0
    epsilon: float = Field(default=EPSILON, gt=0)
    repeats: int = Field(default=0, ge=0)
    model: str = "embedded"
    plan: str | None = None
    opinions: str | None = None
    aggregate: tuple[How, ...] = HOWS


class SocietyRun(RunSummary):
    """What came of it, and what the society is worth: `scores` by way of counting, where posts have gold labels."""

    out: str
    plan: SocietyPlan | None = None
    effect: PersonaEffect | None = None
    scores: dict[str, dict[str, Any]] = Field(default_factory=dict)
    fits: dict[str, dict[str, float | bool]] = Field(default_factory=dict)
    profiles_without_interests: int = 0
    ledger: LedgerTotals | None = None


class Gathering(NamedTuple):
    """What the recipe's files hold."""

    task: Task
    posts: list[Post]
    bank: ProfileBank
    rows: Mapping[str, SeatingRow]
    opinions: Mapping[str, Sequence[Opinion]] | None
    paths: dict[str, Path]

    def seatings(self) -> dict[str, Seating]:
        """The seats that the files name."""
        return {
            id: Seating(id=id, users=row.users, topics=row.topics or ())
            for id, row in self.rows.items()
            if row.users is not None
        }


def read_gathering(what: SocietyRecipe) -> Gathering:
    """The posts, profiles, plan and opinions that a recipe names.

    Raises:
        BadInput: a file cannot be used, or the plan asks somebody who is not in the bank.
    """
    task = load_task(what.task)
    posts = read_posts(Path(what.posts))
    bank = read_profiles(what.profiles)
    paths = {"posts": Path(what.posts)} | ({"profiles": Path(what.profiles)} if what.profiles != WORLD else {})
    known = {post.id for post in posts}
    rows: Mapping[str, SeatingRow] = {}
    if what.plan:
        paths["plan"] = Path(what.plan)
        rows = {id: row for id, row in read_seatings(Path(what.plan)).items() if id in known}
        if not rows:
            raise BadInput(f"{what.plan} plans none of the posts in {what.posts}; do the ids belong together?")
    opinions = None
    if what.opinions:
        paths["opinions"] = Path(what.opinions)
        opinions = read_opinions(Path(what.opinions), task=task, known=known)
    members = {profile.id for profile in bank.profiles}
    for id, row in rows.items():
        for user in row.users or ():
            if user not in members:
                raise BadInput(
                    f"{what.plan}, field 'users': post '{id}' asks '{user}', and {what.profiles} has no such profile"
                )
    return Gathering(task, posts, bank, rows, opinions, paths)


def build_society(what: SocietyRecipe, read: Gathering, model: ChatModel | None) -> Judge:
    """The society as a Judge: recorded, or live on a model."""
    if read.opinions is not None:
        return RecordedSociety(read.task, read.opinions)
    assert model is not None
    return Society(
        read.task, model, profiles=read.bank.profiles, users=what.users, seed=what.seed, epsilon=what.epsilon,
        seatings=read.seatings(), repeats=what.repeats, sampling=Sampling(seed=what.seed, max_tokens=256),
        topics_of=lambda id: read.rows[id].topics if id in read.rows else None,
    )  # fmt: skip


def planned_seats(what: SocietyRecipe, read: Gathering) -> list[Seating]:
    """The seats that are known before a call: those that a plan names, and draws by topics that it names."""
    seats = read.seatings()
    for post in read.posts:
        row = read.rows.get(post.id)
        if post.id not in seats and row is not None and row.topics is not None:
            seats[post.id] = seat(
                read.bank.profiles, post.id, row.topics, what.users, seed=what.seed, epsilon=what.epsilon
            )  # fmt: skip
    return [seats[post.id] for post in read.posts if post.id in seats]


class SocietyForecast(RunPlan):
    """Calls, tokens and price, and the seats as far as they are known before a call."""

    seats: SocietyPlan | None = None


def forecast(what: SocietyRecipe, *, price: Price = Price()) -> SocietyForecast:
    """What a run would take, without a call."""
    read = read_gathering(what)
    model = load_model(what.model) if read.opinions is None else None
    seats = planned_seats(what, read)
    plan = plan_run(build_society(what, read, model), read.posts, price)
    return SocietyForecast(**plan.model_dump(), seats=plan_society(seats, read.bank.profiles) if seats else None)


async def run_society(
    what: SocietyRecipe,
    out: Path,
    *,
    price: Price = Price(),
    spending: Spending = Spending(),
    max_failure_share: float | None = None,
    on_progress: OnProgress | None = None,
) -> SocietyRun:
    """The society's verdicts in `out/verdicts.jsonl`, by vote, and beside them those of the other ways of counting.

    Killed, the same call goes on: no opinion is paid for twice.

    Raises:
        FolkmootError: as `judge_posts` and `RunFolder.open`.
    """
    read = read_gathering(what)
    live = read.opinions is None
    if live:
        check_price(what.model, price, spending)
    configuration: dict[str, Any] = {
        "verb": "society", "task": {"name": read.task.name, "sha256": read.task.hash}, "profiles": Path(what.profiles).name,
        **(what.model_dump(include={"users", "seed", "epsilon", "repeats"}) if live else {}),
    }  # fmt: skip
    inner = load_model(what.model) if live else None
    if inner is not None:
        configuration["model"] = inner.name
    with RunFolder.open(out, configuration, inputs=read.paths) as run:
        try:
            model = keep_calls(inner, run.ledger, budget=spending.budget(run), price=price) if inner else None
            summary = await judge_posts(
                build_society(what, read, model), read.posts, log=run.verdict_log, concurrency=CONCURRENCY,
                ledger=run.ledger if inner else None, max_failure_share=max_failure_share, on_progress=on_progress,
            )  # fmt: skip
        finally:
            if inner is not None:
                await inner.aclose()
        held = run.verdict_log.verdicts()
        verdicts = [held[post.id] for post in read.posts if post.id in held]
        gold = [post for post in read.posts if post.label is not None]
        opinions = {verdict.id: verdict.opinions for verdict in verdicts}
        scores: dict[str, dict[str, Any]] = {}
        fits: dict[str, dict[str, float | bool]] = {}
        for how in what.aggregate:
            counted, fit = count(verdicts, opinions, read.task, how)
            if how != "vote":
                write_verdicts(counted, run.file(f"verdicts.{how}.jsonl"))
                fits |= {how: fit} if fit else {}
            if gold:
                metrics: Metrics = evaluate(counted, gold, read.task)
                scores[how] = {
                    "accuracy": metrics.accuracy, "macro_f1": metrics.macro_f1, "interval95": metrics.interval95,
                    "outcomes": metrics.outcomes,
                }  # fmt: skip
        effect = effect_of(opinions, seed=what.seed)
        seated = [
            Seating(id=v.id, users=tuple(dict.fromkeys(o.agent for o in v.opinions if o.round == 0)))
            for v in verdicts
            if v.opinions
        ]
        known = {profile.id for profile in read.bank.profiles}
        in_bank = all(user in known for seating in seated for user in seating.users)
        plan = plan_society(seated, read.bank.profiles) if seated and in_bank else None
        sized = planned_seats(what, read)
        sizes = [one.effective_users for one in sized if one.effective_users is not None]
        if plan is not None and sizes:
            plan = plan.model_copy(update={"effective_users_mean": round(sum(sizes) / len(sizes), 4)})
        result = SocietyRun(
            **summary.model_dump(), out=str(out), plan=plan, effect=effect, scores=scores, fits=fits,
            profiles_without_interests=read.bank.without_interests, ledger=run.ledger.totals() if live else None,
        )  # fmt: skip
        run.write_metrics(json.loads(result.model_dump_json(exclude={"seconds", "posts_per_second"})))
    return result


def count(
    verdicts: Sequence[Verdict], opinions: Mapping[str, Sequence[Opinion]], task: Task, how: How
) -> tuple[list[Verdict], dict[str, float | bool]]:
    """The verdicts of the same opinions, counted in another way; and how the fit went, where there is one."""
    if how == "vote":
        return list(verdicts), {}
    if how == "confidence":
        judge = RecordedSociety(task, opinions, by="confidence")
        recounted = [judge.verdict(verdict.id) for verdict in verdicts]
        return [verdict.model_copy(update={"judge": "society-confidence:v1"}) for verdict in recounted], {}
    return by_crowd(verdicts, opinions, task, how)


def by_crowd(
    verdicts: Sequence[Verdict], opinions: Mapping[str, Sequence[Opinion]], task: Task, how: Aggregation
) -> tuple[list[Verdict], dict[str, float | bool]]:
    """The verdicts of a crowd model. A post without a vote abstains."""
    probable, fit = aggregate(opinions, task.label_names, how)
    counted = []
    for verdict in verdicts:
        one = probable[verdict.id]
        label = max(one.probabilities, key=lambda name: one.probabilities[name]) if one.votes else None
        counted.append(
            verdict.model_copy(
                update={
                    "judge": f"society-{how}:v1", "label": label, "probabilities": one.probabilities if one.votes else {},
                    "outcome": Outcome.LABELLED if label else Outcome.ABSTAINED, "quorum": one.votes,
                    "probability": one.probabilities[label] if label else None,
                    "problem": None if label else "nobody gave a label", "explanation": (),
                }
            )
        )  # fmt: skip
    return counted, fit


def effect_of(opinions: Mapping[str, Sequence[Opinion]], *, seed: int) -> PersonaEffect | None:
    """The persona test, or None where no two users can be compared."""
    try:
        return persona_effect(opinions, seed=seed)
    except BadInput:
        return None


__all__ = ["SocietyRecipe", "SocietyRun", "forecast", "run_society"]
