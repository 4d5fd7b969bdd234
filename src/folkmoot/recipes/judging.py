"""Files of posts -> a file of verdicts, by the judge of a spec, within a run folder that can be gone on with."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from folkmoot.formats import iter_posts, load_task
from folkmoot.models.chat import ChatModel
from folkmoot.recipes.judges import JudgeSpec, build_judge, check_opinions, configuration_of, model_of
from folkmoot.records import BadInput, BadRecord, BudgetReached, Judge, Post, Record, TooManyFailures
from folkmoot.runs import (
    Budget,
    LedgerTotals,
    Price,
    Progress,
    RunFolder,
    RunPlan,
    RunSummary,
    atomic_file,
    judge_on_ray,
    judge_posts,
    plan_run,
)
from folkmoot.runs.shards import VerdictFormat, find_shards

OnProgress = Callable[[Progress], None]


class PostFiles(Record):
    """Files of posts, read as one stream; ids must differ over all of them."""

    paths: tuple[str, ...]
    columns: dict[str, str] | None = None
    media: Literal["check", "ignore"] = "ignore"
    questions: bool = False
    """Whether every post brings a question, as a task of questions wants it."""

    def posts(self) -> Iterator[Post]:
        """The posts of all files, in their order, one in memory at a time."""
        for path in self.paths:
            yield from iter_posts(path, columns=self.columns, media=self.media, questions=self.questions)

    def ids(self) -> list[str]:
        """The posts' ids, once every row has been found to be in order.

        Raises:
            BadRecord: a row cannot be used; names the file, the line and the field.
        """
        first: dict[str, str] = {}
        for path in self.paths:
            for post in iter_posts(path, columns=self.columns, media=self.media, questions=self.questions):
                if post.id in first:
                    raise BadRecord(path, None, "id", f"'{post.id}' stands in {first[post.id]} already.",
                                    "Every post needs its own id.")  # fmt: skip
                first[post.id] = path
        return list(first)


class Spending(Record):
    """What a run may spend over all its starts; None is no limit."""

    max_cost_usd: float | None = None
    max_calls: int | None = None

    def budget(self, run: RunFolder) -> Budget:
        """The limit that holds for the run, less what its ledger has spent."""
        spent = run.ledger.totals()
        return Budget(self.max_cost_usd, self.max_calls, spent_usd=spent.cost_usd, calls=spent.attempts)


class Judged(RunSummary):
    """What came of it, where it is, and what its calls took over all starts (None where no model was called)."""

    out: str
    run: str
    ledger: LedgerTotals | None = None


def with_questions(files: PostFiles, spec: JudgeSpec) -> PostFiles:
    """The files, read as questions where the judge's task has those."""
    asks = spec.task is not None and load_task(spec.task).answers == "question"
    return files.model_copy(update={"questions": asks})


def plan_files(spec: JudgeSpec, files: PostFiles, folder: Path) -> RunPlan:
    """What judging would take, without a call and without a trace; posts that the run in `folder` holds are free."""
    files = with_questions(files, spec)
    check_opinions(spec, set(files.ids()))
    judge = build_judge(spec)
    held = RunFolder.read(folder).verdict_log if (folder / "run.toml").is_file() else None
    return plan_run(judge, files.posts(), spec.price, log=held)


def judge_files(
    spec: JudgeSpec,
    files: PostFiles,
    out: Path,
    folder: Path,
    *,
    spending: Spending = Spending(),
    concurrency: int = 256,
    max_failure_share: float | None = None,
    on_progress: OnProgress | None = None,
) -> Judged:
    """The summary, once `out` holds a verdict on each post, in the posts' order.

    What was judged before, in the same run folder, is not judged again, nor a kept call sent again. Where too many
    posts failed or the budget is reached, the verdicts that there are are written all the same, and the summary is the
    error's `so_far`.

    Raises:
        FolkmootError: as `judge_posts`, `RunFolder.open` and `build_judge`.
    """
    files = with_questions(files, spec)
    ids = files.ids()
    check_opinions(spec, set(ids))
    if spec.calls_model:
        check_price(spec.model, spec.price, spending)
    judge, model = load_judge(spec)
    posts = {"posts" if len(files.paths) == 1 else f"posts_{n}": Path(path) for n, path in enumerate(files.paths)}
    with RunFolder.open(folder, configuration_of(spec, judge, model), inputs={**posts, **spec.files()}) as run:
        if model is not None:
            judge = build_judge(spec, model=model, run=run, budget=spending.budget(run))

        def write() -> None:
            with atomic_file(out) as file:
                for line in run.verdict_log.lines(ids):
                    file.write(line + b"\n")

        async def work() -> RunSummary:
            try:
                return await judge_posts(
                    judge, files.posts(), log=run.verdict_log, concurrency=concurrency, on_progress=on_progress,
                    total=len(ids), ledger=run.ledger if model else None, max_failure_share=max_failure_share,
                    out=out,
                )  # fmt: skip
            finally:
                if model is not None:
                    await model.aclose()

        def judged(summary: RunSummary) -> Judged:
            totals = run.ledger.totals() if model is not None else None
            return Judged(**summary.model_dump(), out=str(out), run=str(folder), ledger=totals)

        try:
            summary = asyncio.run(work())
        except (BudgetReached, TooManyFailures) as error:
            if len(run.verdict_log):
                write()
            if isinstance(error.so_far, RunSummary):
                error.so_far = judged(error.so_far)
            raise
        write()
        return judged(summary)


def judge_shards(
    spec: JudgeSpec,
    addresses: Sequence[str],
    out: str,
    folder: Path,
    *,
    workers: int = 2,
    concurrency: int = 64,
    columns: Mapping[str, str] | None = None,
    form: VerdictFormat = "jsonl",
    max_failure_share: float | None = None,
    on_progress: OnProgress | None = None,
) -> Judged:
    """The summary of a run on Ray, once the folder `out` holds a file of verdicts for each shard of posts.

    The run folder keeps the calls' ledger and sees to it that no other judge's verdicts are taken for this one's.
    """
    shards = [shard for address in addresses for shard in find_shards(address)]
    spec = spec.anchored()
    judge, model = load_judge(spec)
    configuration = {**configuration_of(spec, judge, model), "on": "ray"}
    with RunFolder.open(folder, configuration, inputs=spec.files()) as run:
        if model is not None:
            spec = spec.model_copy(update={"ledger": str(folder.absolute())})
            asyncio.run(model.aclose())

        def judged(summary: RunSummary) -> Judged:
            totals = run.ledger.totals() if model is not None else None
            return Judged(**summary.model_dump(), out=out, run=str(folder), ledger=totals)

        try:
            summary = judge_on_ray(
                functools.partial(build_judge, spec), shards, out, workers=workers, concurrency=concurrency,
                columns=columns, form=form, max_failure_share=max_failure_share, on_progress=on_progress,
            )  # fmt: skip
        except TooManyFailures as error:
            if isinstance(error.so_far, RunSummary):
                error.so_far = judged(error.so_far)
            raise
        return judged(summary)


def load_judge(spec: JudgeSpec) -> tuple[Judge, ChatModel | None]:
    """The judge without a ledger, and its model where it calls one: bad usage shows before a run folder is made."""
    opened: list[ChatModel] = []
    judge = build_judge(spec, model=model_of(spec) if spec.calls_model else None, opened=opened)
    return judge, opened[0] if opened else None


def check_price(model: str, price: Price, spending: Spending) -> None:
    """Refuse a limit on the cost of a paid model without its price, as it would never be reached.

    Raises:
        BadInput: so it is.
    """
    is_free = not (price.input_usd_per_million or price.output_usd_per_million)
    if spending.max_cost_usd is not None and is_free and model.startswith("openai:"):
        raise BadInput("--max-cost needs the model's price: give --price-in and --price-out, in USD a million tokens")
