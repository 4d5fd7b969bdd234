"""A society's run -> preference pairs: assess, enhance, merge, weigh. Resumable through the run folder's ledger.

Paper: "Thinking as Society" (SCPO), ICLR 2026, steps 6 to 10.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from folkmoot.formats import load_task, read_opinions, read_posts, read_verdicts, write_pairs
from folkmoot.formats.assessments import ScotRow, read_assessments, read_scot
from folkmoot.formats.profiles import WORLD, read_profiles
from folkmoot.models.chat import ChatModel
from folkmoot.models.loading import keep_calls, load_model
from folkmoot.recipes.judging import Spending, check_price
from folkmoot.records import BadInput, BudgetReached, Opinion, Outcome, Post, PreferencePair, Record, Task
from folkmoot.runs import Price, RunFolder
from folkmoot.runs.atomic import write_atomically
from folkmoot.supervision.assessment import Assessed, Assessment, Feedback, FeedbackJudge
from folkmoot.supervision.judge_audit import JudgeAudit, audit_judge
from folkmoot.supervision.scot import ScotSettings, Skipped, Synthesizer, frame
from folkmoot.supervision.speaking import Speaker

CONCURRENCY = 64
"""Posts worked on at once (chosen); the model's own limits hold within."""


class Synthesis(Record):
    """What decides the outcome of a synthesis; kept in `run.toml`.

    `classes` and `scot` are files that take the place of the judge's and of the writers' calls; `profiles` are the
    users', so that they stay who they are where they say it again.
    """

    task: str
    gold: str
    society: str | None = None
    opinions: str | None = None
    classes: str | None = None
    scot: str | None = None
    profiles: str | None = None
    model: str = "embedded"
    settings: ScotSettings = ScotSettings()


class Synthesized(Record):
    """What came of it: pairs, and every post without one with its reason."""

    out: str
    pairs: int
    skipped: dict[str, int]
    kinds: dict[str, int]
    flags: dict[str, int]
    mean_sc: float | None = None
    unassessed: int = 0
    """Opinions with a label that no judge assessed, or whose judge's reply could not be used."""
    unlabelled: int = 0
    """Opinions without a label: refused, failed, unparsable."""
    without_gold: int = 0
    """Posts with opinions and no gold label; no pair can be made of them."""
    skipped_posts: tuple[Skipped, ...] = ()
    audit: JudgeAudit | None = None
    calls: int = 0
    cost_usd: float = 0.0


class SynthesisSoFar(Record):
    """Where a synthesis stood when the budget stopped it: the posts whose pairs are decided, and what was paid."""

    posts: int
    decided: int
    calls: int
    cost_usd: float


class SynthesisPlan(Record):
    """What it would take: calls at most, for the judge and for the writers."""

    posts: int
    opinions: int
    judge_calls: int
    writer_calls_max: int


class Sources(NamedTuple):
    """A society's opinions on posts whose gold labels are known, its users' profiles in words, and the files read."""

    task: Task
    posts: list[Post]
    opinions: dict[str, Sequence[Opinion]]
    without_gold: int
    personas: dict[str, str]
    paths: dict[str, Path]


def read_sources(what: Synthesis) -> Sources:
    """The opinions and gold labels that a synthesis names.

    Raises:
        BadInput: a file cannot be used, opinions come from nowhere or twice, or no post has both.
    """
    task = load_task(what.task)
    gold = {post.id: post for post in read_posts(Path(what.gold), task=task) if post.label is not None}
    paths = {"gold": Path(what.gold)}
    if (what.society is None) == (what.opinions is None):
        raise BadInput("name where the opinions are: --run with a society's run folder, or --opinions with a file")
    if what.opinions is not None:
        paths["opinions"] = Path(what.opinions)
        opinions: Mapping[str, Sequence[Opinion]] = read_opinions(Path(what.opinions), task=task)
    else:
        paths["society"] = Path(str(what.society)) / "verdicts.jsonl"
        opinions = {verdict.id: verdict.opinions for verdict in read_verdicts(paths["society"])}
    known = [post for id, post in gold.items() if id in opinions]
    if not known:
        raise BadInput(f"no post of {what.gold} has both a gold label and an opinion; do the ids belong together?")
    for name in ("classes", "scot", "profiles"):
        if (path := getattr(what, name)) and path != WORLD:
            paths[name] = Path(path)
    return Sources(
        task=task, posts=known, opinions={post.id: opinions[post.id] for post in known},
        without_gold=len(opinions) - len(known), paths=paths,
        personas={one.id: one.words() for one in read_profiles(what.profiles).profiles} if what.profiles else {},
    )  # fmt: skip


def plan_synthesis(what: Synthesis) -> SynthesisPlan:
    """What a synthesis would take, without a call."""
    read = read_sources(what)
    labelled = {id: [o for o in said if o.round == 0 and o.label is not None] for id, said in read.opinions.items()}
    opinions = sum(map(len, labelled.values()))
    return SynthesisPlan(
        posts=len(read.posts), opinions=opinions, judge_calls=0 if what.classes or what.scot else opinions,
        writer_calls_max=0 if what.scot else sum(
            min(len(said), what.settings.most_voices) + 3 for said in labelled.values()
        ),
    )  # fmt: skip


async def synthesize(
    what: Synthesis,
    out: Path,
    folder: Path,
    *,
    audit: Path | None = None,
    price: Price = Price(),
    spending: Spending = Spending(),
    on_post: Callable[[int, int], None] | None = None,
) -> Synthesized:
    """The pairs in `out`, in the order of the society's posts, and what became of the others.

    Args:
        folder: the run folder; killed, the same call goes on and pays for nothing twice.
        audit: a second annotator's assessments, to hold the judge's against.

    Raises:
        BadInput: files that cannot be used, or no pair came of it.
        BudgetReached: the pairs made so far are not written; the same call with more goes on. Where it stood is the
            error's `so_far`.
    """
    read = read_sources(what)
    classes = assessments(Path(what.classes)) if what.classes else assessments(Path(what.scot)) if what.scot else None
    written = read_scot(Path(what.scot)) if what.scot else None
    second = flat_assessments(audit) if audit else None
    needs_model = classes is None or written is None
    if needs_model:
        check_price(what.model, price, spending)
    configuration = {"verb": "synthesize", "task": {"name": read.task.name, "sha256": read.task.hash},
                     "settings": what.settings.model_dump(), "model": what.model if needs_model else "recorded"}  # fmt: skip
    inner: ChatModel | None = load_model(what.model) if needs_model else None
    with RunFolder.open(folder, configuration, inputs=read.paths) as run:
        model = None
        if inner is not None:
            model = keep_calls(inner, run.ledger, budget=spending.budget(run), price=price)
        decided = 0

        def count(done: int, total: int) -> None:
            nonlocal decided
            decided = done
            if on_post:
                on_post(done, total)

        try:
            results, feedback = await work(read, what, model, classes, written, count)
        except BudgetReached as error:
            spent = run.ledger.totals()
            error.so_far = SynthesisSoFar(
                posts=len(read.posts), decided=decided, calls=spent.calls, cost_usd=spent.cost_usd
            )
            raise
        finally:
            if inner is not None:
                await inner.aclose()
        totals = run.ledger.totals() if inner is not None else None
        pairs = [result for result in results if isinstance(result, PreferencePair)]
        skipped = [result for result in results if isinstance(result, Skipped)]
        lines = "".join(one.to_line() + "\n" for one in skipped)
        write_atomically(run.file("skipped.jsonl"), lines)
        if not pairs:
            reasons = "; ".join(f"{count}: {reason}" for reason, count in Counter(s.reason for s in skipped).items())
            raise BadInput(
                f"no preference pair came of {len(read.posts)} posts ({reasons}); see {run.file('skipped.jsonl')}"
            )
        write_pairs(pairs, out)
        labelled = [
            o for said in read.opinions.values() for o in said if o.round == 0 and o.outcome is Outcome.LABELLED
        ]
        return Synthesized(
            out=str(out), pairs=len(pairs), skipped=dict(Counter(one.reason for one in skipped)),
            kinds=dict(Counter(str(pair.kind) for pair in pairs)),
            flags=dict(Counter(flag for pair in pairs for flag in pair.flags)),
            mean_sc=sum(pair.sc for pair in pairs) / len(pairs),
            unassessed=len(labelled) - sum(one.n for one in feedback.values()),
            unlabelled=sum(o.round == 0 for said in read.opinions.values() for o in said) - len(labelled),
            without_gold=read.without_gold, skipped_posts=tuple(skipped),
            audit=audit_judge(judged(feedback), second) if second is not None else None,
            calls=totals.calls if totals else 0, cost_usd=totals.cost_usd if totals else 0.0,
        )  # fmt: skip


async def work(
    read: Sources,
    what: Synthesis,
    model: ChatModel | None,
    classes: Mapping[str, list[Assessed]] | None,
    written: Mapping[str, ScotRow] | None,
    on_post: Callable[[int, int], None] | None,
) -> tuple[list[PreferencePair | Skipped], dict[str, Feedback]]:
    """Every post's pair, or why it has none, in order; and everybody's assessments."""
    speaker = Speaker(read.task, model) if model is not None else None
    judge = FeedbackJudge(speaker) if speaker is not None else None
    writer = (
        Synthesizer(speaker, what.settings, persona_of=lambda user: read.personas.get(user, ""))
        if speaker is not None
        else None
    )
    turn = asyncio.Semaphore(CONCURRENCY)
    feedback: dict[str, Feedback] = {}
    done = 0

    async def one(post: Post) -> PreferencePair | Skipped:
        nonlocal done
        async with turn:
            opinions = [opinion for opinion in read.opinions[post.id] if opinion.round == 0]
            if classes is not None:
                assessed: Sequence[Assessed] = classes.get(post.id, [])
            else:
                assert judge is not None
                labelled = [opinion for opinion in opinions if opinion.outcome is Outcome.LABELLED]
                assessed = await asyncio.gather(*(judge.assess(post, o, str(post.label)) for o in labelled))
            said = feedback[post.id] = Feedback.join(opinions, assessed)
            if written is not None:
                result = from_recorded(post, said, written.get(post.id), read.task, what.settings)
            else:
                assert writer is not None
                result = await writer.pair(post, said)
        done += 1
        if on_post:
            on_post(done, len(read.posts))
        return result

    results = await asyncio.gather(*(one(post) for post in read.posts), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)], feedback


def from_recorded(
    post: Post, feedback: Feedback, row: ScotRow | None, task: Task, settings: ScotSettings
) -> PreferencePair | Skipped:
    """The pair of a post whose reasoning is recorded."""
    if row is None:
        return Skipped(id=post.id, reason="its reasoning is not recorded")
    if feedback.n == 0:
        return Skipped(id=post.id, reason="no user's opinion could be used")
    if row.chosen.strip() == row.rejected.strip():
        return Skipped(id=post.id, reason="chosen and rejected are the same")
    return frame(post, feedback, task, settings, chosen=row.chosen, rejected=row.rejected, flags=row.flags)


def assessments(path: Path) -> dict[str, list[Assessed]]:
    """A file's assessments, by post."""
    held: dict[str, list[Assessed]] = {}
    for row in read_assessments(path):
        one = Assessed(user=row.user, assessment=Assessment(row.assessment), confidence=row.confidence)
        held.setdefault(row.post, []).append(one)
    return held


def flat_assessments(path: Path) -> dict[tuple[str, str], Assessment]:
    """A file's assessments, by post and user."""
    return {(row.post, row.user): Assessment(row.assessment) for row in read_assessments(path)}


def judged(feedback: Mapping[str, Feedback]) -> dict[tuple[str, str], Assessment]:
    """The judge's assessments, by post and user."""
    return {
        (post, one.user): one.assessment
        for post, said in feedback.items()
        for one in said.assessed
        if one.assessment is not None
    }


__all__ = ["Synthesis", "Synthesized", "plan_synthesis", "synthesize"]
