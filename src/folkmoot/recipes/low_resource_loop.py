"""The low-resource loop as one function: labelled posts, a pool, a panel -> a student, its verdicts and a report.

Paper: MA-VLM + PNU loss, AAAI 2026 (arXiv 2511.13759).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from folkmoot.models.chat import ChatModel
from folkmoot.recipes.announcing import Announce, say_nothing
from folkmoot.recipes.launched import one_process
from folkmoot.recipes.low_resource import LowResource
from folkmoot.recipes.low_resource_inputs import read_inputs
from folkmoot.records import BudgetReached, MissingExtra, Record
from folkmoot.runs import RunFolder
from folkmoot.runs.atomic import write_atomically
from folkmoot.runs.folder import METRICS
from folkmoot.runs.judging import RunSummary
from folkmoot.students.card import CARD_FILE

FINISHED = "finished.json"
"""The file that a self-training run writes last."""


class Trained(Record):
    """What a run left: where the student is, and what the report says of it."""

    folder: str
    student: str
    shallow_student: str | None = None
    fast_student: str | None = None
    report: str
    metrics: dict[str, Any]


async def run_low_resource(
    recipe: LowResource,
    out: Path,
    *,
    resolve: Callable[[str], Path] = Path,
    model_for: Callable[[RunFolder], ChatModel] | None = None,
    announce: Announce = say_nothing,
    command: str = "",
) -> Trained:
    """The run finished in `out`, from wherever it stood; one that is finished is only told again.

    Args:
        resolve: turns a path of the recipe into a path of this machine.
        model_for: makes the panel's model within the run folder's ledger and budget, which is closed at the end; not
            needed with opinions.

    Raises:
        BadInput: the files or the settings cannot be used, no labelled or no dev post shows any of the views, or a
            launcher has started several processes.
        BudgetReached: the panel's calls cost what they may; the same call with more goes on. Where the panel stood is
            the error's `so_far`.
        MissingExtra: the `train` extra is not installed.
    """
    started = time.monotonic()
    one_process("Self-training")
    read = read_inputs(recipe, resolve)
    configuration = {"recipe": {**recipe.model_dump(mode="json", exclude_none=True), "task": read.task.hash}}
    if (out / FINISHED).exists():
        with RunFolder.open(out, configuration, inputs=read.paths) as run:
            if (told := read_finished(run, recipe)) is not None:
                announce("done", note="it was finished before")
                return told
    check_extras(recipe)
    # Only now, since torch takes seconds to import: a file that cannot be used is refused at once.
    from folkmoot.recipes.low_resource_stages import Stages

    stages = Stages.of(recipe, read, has_model=model_for is not None, announce=announce)
    async with AsyncExitStack() as held:
        run = held.enter_context(RunFolder.open(out, configuration, inputs=read.paths))
        model = None
        if model_for is not None and stages.asks_model:
            model = model_for(run)
            held.push_async_callback(model.aclose)
        learner = stages.learner(run)
        machine = stages.machine(run, learner, model)
        try:
            trained = await machine.run()
        except BudgetReached as error:
            if isinstance(error.so_far, RunSummary):
                spent = run.ledger.totals()
                error.so_far = error.so_far.model_copy(update={"calls": spent.calls, "cost_usd": spent.cost_usd})
            raise
        lesson = stages.teach(run, learner, machine, trained)
        students = stages.write_students(run, learner, lesson, trained)
        metrics = stages.report(run, students, machine, trained, command=command)
        write_atomically(run.file(FINISHED), "{}\n")
        stages.forget_pupils(run)
        announce("done", note=f"{time.monotonic() - started:.0f} s")
        return trained_in(run, recipe, metrics=metrics)


def check_extras(recipe: LowResource) -> None:
    """Refuse a recipe that needs what is not installed.

    Raises:
        MissingExtra: names the extra.
    """
    if find_spec("torch") is None or find_spec("sklearn") is None:
        raise MissingExtra("Self-training", "train")
    if (recipe.distillation or {}).get("language") is not None and find_spec("peft") is None:
        raise MissingExtra("A language model in the committee", "distill")


def trained_in(run: RunFolder, recipe: LowResource, *, metrics: dict[str, Any]) -> Trained:
    """What a finished run left."""
    return Trained(
        folder=str(run.path),
        student=str(run.file("student")),
        shallow_student=str(run.file("shallow_student")) if recipe.shallow is not None else None,
        fast_student=str(run.file("fast_student")) if recipe.lexical else None,
        report=str(run.file("report.html")),
        metrics=metrics,
    )


def read_finished(run: RunFolder, recipe: LowResource) -> Trained | None:
    """What a run left that has written its last file, or None where part of that is gone and is to be made again."""
    try:
        metrics = json.loads(run.file(METRICS).read_text("utf-8"))["dev"]
        trained = trained_in(run, recipe, metrics=metrics)
    except (OSError, ValueError, KeyError, TypeError):
        trained = None
    students = (trained.student, trained.shallow_student, trained.fast_student) if trained else ()
    made = [Path(student, CARD_FILE) for student in students if student] + [run.file("report.html")]
    if trained is None or not all(path.is_file() for path in made):
        run.file(FINISHED).unlink()  # a kill while it is made again must not find it
        return None
    return trained
