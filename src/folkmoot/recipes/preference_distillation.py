"""Preference pairs -> a language-model student with its card, its verdicts on dev, and a report.

Paper: "Thinking as Society" (SCPO), ICLR 2026, step 11.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictBool

from folkmoot.evaluation import evaluate, write_report
from folkmoot.formats import load_task, read_pairs, read_posts, write_verdicts
from folkmoot.formats.fields import shown
from folkmoot.models.instruction import INSTRUCTION, Instruction
from folkmoot.models.weights import EMBEDDED, base_folder
from folkmoot.recipes.announcing import Announce, say_nothing
from folkmoot.recipes.reporting import flat
from folkmoot.recipes.settings import settings_of
from folkmoot.recipes.splits import check_apart, check_labels
from folkmoot.records import BadInput, MissingExtra, Post, PreferencePair, Record, Task
from folkmoot.runs import RunFolder
from folkmoot.students import LanguageCard
from folkmoot.supervision.correction import social_correction

if TYPE_CHECKING:
    from folkmoot.training.language_base import LanguageBase
    from folkmoot.training.preference import PreferenceSettings, Trained
    from folkmoot.training.preference_pairs import PairCounts
    from folkmoot.training.shared_prefix import TokenPair

SC_SLACK = 0.01
"""How far a pair's sc may lie from what its counts give (chosen): published tables round to two digits."""

NEEDED = ("torch", "transformers", "peft", "accelerate", "sklearn")


class Distillation(Record):
    """Everything that decides the outcome of a run; kept in `run.toml`.

    `settings` holds the fields of `PreferenceSettings`. With `after = "sft"` the student learns the chosen answers
    first, which DPO needs. `clean` leaves out pairs with a flag, such as doubtful gold.
    """

    kind: Literal["distill"] = "distill"
    task: str
    pairs: str
    dev: str | None = None
    base: str = EMBEDDED
    settings: dict[str, Any] = Field(default_factory=dict)
    after: Literal["sft"] | None = None
    mode: Literal["likelihood", "reasoning"] = "likelihood"
    """Whether the student decides at once, by the likelihood of its labels, or reasons first. One that decides at once
    is also taught the pairs' verdict lines by themselves."""
    instruction: str = INSTRUCTION
    """The frame in which the pairs' prompts were written, and in which the student will be asked."""
    dev_rows: int | None = Field(default=None, gt=0)
    """How many dev posts are scored, the first ones; all by default."""
    clean: StrictBool = False
    threads: int | None = None
    title: str | None = None


class Distilled(Record):
    """What a run left."""

    folder: str
    student: str
    report: str | None = None
    steps: int
    last_loss: float
    pairs: dict[str, Any]
    metrics: dict[str, Any] | None = None


class DistillationPlan(Record):
    """What a run would take, before anything is trained."""

    pairs: int
    used: int
    cut: int
    left_out: dict[str, int]
    tokens: int
    tokens_in_two_passes: int
    steps: int


class PairInputs(NamedTuple):
    """What a recipe's files hold."""

    task: Task
    pairs: list[PreferencePair]
    dev: list[Post]
    paths: dict[str, Path]


def read_pair_inputs(recipe: Distillation, resolve: Callable[[str], Path]) -> PairInputs:
    """The pairs and the dev posts that a recipe names.

    Raises:
        BadInput: a file cannot be used, or a dev post is taught as well.
    """
    task = load_task(recipe.task)
    paths = {"pairs": resolve(recipe.pairs)} | ({"dev": resolve(recipe.dev)} if recipe.dev else {})
    pairs = read_pairs(paths["pairs"])
    if recipe.clean:
        pairs = [pair for pair in pairs if not pair.flags]
        if not pairs:
            raise BadInput(f"{paths['pairs']}: every pair has a flag, and 'clean' leaves those out")
    check_pairs(pairs, paths["pairs"], Instruction(task, recipe.instruction))
    dev = read_dev(recipe, task, resolve)
    check_apart([Post(id=pair.id) for pair in pairs], dev, "the pairs", "dev")
    return PairInputs(task, pairs, dev, paths)


def read_dev(recipe: Distillation, task: Task, resolve: Callable[[str], Path]) -> list[Post]:
    """The dev posts that a recipe names, none where it names none.

    Raises:
        BadInput: the file cannot be used.
    """
    if recipe.dev is None:
        return []
    path = resolve(recipe.dev)
    dev = read_posts(path, task=task, media="check")[: recipe.dev_rows]
    check_labels(dev, path, task)
    return dev


def check_pairs(pairs: Sequence[PreferencePair], path: Path, told: Instruction) -> None:
    """Refuse pairs that teach another task, or whose numbers contradict one another.

    Raises:
        BadInput: names the first such pair.
    """
    task = told.task
    for pair in pairs:
        if pair.label is not None and pair.label not in task.label_names:
            raise BadInput(f"{path}, field 'label': pair '{pair.id}' has a label that task '{task.name}' does not have")
        if pair.n and abs(pair.sc - (counted := social_correction(pair.n, pair.n_correct, pair.n_partial))) > SC_SLACK:
            raise BadInput(
                f"{path}, field 'sc': pair '{pair.id}' has {pair.sc:g}, and its n, n_correct and n_partial give "
                f"{counted:.4g}. Mend one or the other, or leave the counts out."
            )
    before, _, after = told.verdict("\0").partition("\0")
    last = [pair.chosen_text.rstrip().rsplit("\n", 1)[-1] for pair in pairs]
    named = [line.removeprefix(before).removesuffix(after) for line in last if line.startswith(before)]
    if named and not set(named) & set(task.label_names):
        raise BadInput(
            f"{path}, field 'chosen': {len(named)} answers end in a verdict, the first in {shown(named[0])}, and none "
            f"of them is a label of task '{task.name}' ({', '.join(task.label_names)})"
        )


def preference_settings(recipe: Distillation, table: str = "settings") -> PreferenceSettings:
    """How a recipe's model learns.

    Args:
        table: what the recipe's file calls the settings.

    Raises:
        BadInput: a field is unknown or not accepted.
        MissingExtra: the `distill` extra is not installed.
    """
    check_installed()
    from folkmoot.training.preference import PreferenceSettings

    return settings_of(PreferenceSettings, recipe.settings, table)


def plan_distillation(recipe: Distillation, resolve: Callable[[str], Path] = Path) -> DistillationPlan:
    """What training would take: pairs, tokens and steps. Loads the base model, trains nothing.

    Raises:
        BadInput, MissingExtra: as `run_distillation`.
    """
    read = read_pair_inputs(recipe, resolve)
    settings = preference_settings(recipe)
    from folkmoot.training.language_base import load_base
    from folkmoot.training.preference_pairs import tokenize_pairs

    base = load_base(base_folder(recipe.base))
    tokens, counts = tokenize_pairs(read.pairs, base, max_tokens=settings.max_tokens, folder=read.paths["pairs"].parent,
                                    verdicts=recipe.mode == "likelihood")  # fmt: skip
    readable(read.dev, base, Instruction(read.task, recipe.instruction))
    return DistillationPlan(
        pairs=counts.pairs, used=counts.used, cut=counts.cut, left_out=counts.left_out,
        tokens=sum(pair.tokens for pair in tokens.values()),
        tokens_in_two_passes=sum(pair.tokens + len(pair.prompt) for pair in tokens.values()),
        steps=-(-len(tokens) // settings.batch_size) * settings.epochs * (2 if recipe.after else 1),
    )  # fmt: skip


class Taught(NamedTuple):
    """A model once it has learned: its base, itself, how training went, the pairs as tokens and their counts, and the
    dev posts that can be read."""

    base: LanguageBase
    model: Any
    trained: Trained
    tokens: dict[str, TokenPair]
    counts: PairCounts
    dev: list[Post]


def run_distillation(
    recipe: Distillation,
    out: Path,
    *,
    resolve: Callable[[str], Path] = Path,
    announce: Announce = say_nothing,
    command: str = "",
) -> Distilled | None:
    """The run finished in `out`, from wherever it stood.

    Dev posts, where given, choose the best weights among the looks at dev, fit the calibration and fill the report.
    Of several processes (`accelerate launch`, torchrun) all train, and the main one writes; the others give None.

    Raises:
        BadInput: the files or the settings cannot be used; says which and why.
        MissingExtra: the `distill` extra is not installed.
    """
    started = time.monotonic()
    read = read_pair_inputs(recipe, resolve)
    settings = preference_settings(recipe)
    import torch

    from folkmoot.students.language import ADAPTER_FOLDER, MODEL_FOLDER, LanguageStudent
    from folkmoot.training.processes import Processes

    torch.set_num_threads(recipe.threads or torch.get_num_threads())
    processes = Processes.start()
    if not processes.is_main:
        processes.wait()  # until the main one holds the run folder and has unpacked the weights
        teach(recipe, read, settings, base_folder(recipe.base), out, say_nothing)
        return None
    configuration = {"recipe": {**recipe.model_dump(mode="json", exclude_none=True), "task": read.task.hash}}
    place = base_folder(recipe.base)
    with RunFolder.open(out, configuration, inputs=read.paths) as run:
        announce("reading", note=f"{len(read.pairs)} pairs, {len(read.dev)} posts for dev")
        announce("loading", note=f"the base model, {recipe.base}")
        processes.wait()
        base, model, trained, tokens, counts, dev = teach(recipe, read, settings, place, out, announce)
        blind = [post.blind() for post in dev]
        lineage = {
            "run": out.name, "inputs": run.manifest.get("inputs", {}), "pairs": counts.used,
            "pair_hashes": [pair.hash for pair in read.pairs if pair.id in tokens], "seed": settings.seed,
            "settings": settings.model_dump(mode="json"), "training": trained.model_dump(mode="json"),
        }  # fmt: skip
        card = LanguageCard(
            name=f"{read.task.name}-{settings.loss}", task=read.task, instruction=recipe.instruction, mode=recipe.mode,
            base=EMBEDDED if recipe.base == EMBEDDED else str(place.resolve()), lineage=lineage,
        )  # fmt: skip
        run.file("pairs_used.json").write_text(counts.model_dump_json(indent=2) + "\n")
        student_folder = run.file("student")
        if settings.lora_rank:
            model.save_pretrained(str(student_folder / ADAPTER_FOLDER))
        else:
            model.save_pretrained(str(student_folder / MODEL_FOLDER))
            base.reader.save_pretrained(str(student_folder / MODEL_FOLDER))
        metrics = report = None
        if dev:
            announce("evaluating", note=f"{len(dev)} dev posts")
            student = LanguageStudent(card, model, base.reader)
            weighed = [student.weigh(post) for post in blind]
            card = calibrated(card, np.array([scores for scores, _ in weighed]), dev)
            student = LanguageStudent(card, model, base.reader)
            verdicts = [student.conclude(post, *one) for post, one in zip(blind, weighed, strict=True)]
            write_verdicts(verdicts, run.file("dev_verdicts.jsonl"))
            metrics = evaluate(verdicts, dev, read.task)
            card = card.model_copy(update={"dev": metrics.model_dump(mode="json")})
            report = run.file("report.html")
            write_report(
                report, title=recipe.title or f"{read.task.name}: a language model taught by {counts.used} pairs",
                task=read.task, metrics=metrics, verdicts=verdicts, gold=dev,
                provenance={"command": command, **flat(run.manifest)},
                setting={
                    "Pairs": f"{counts.used} of {counts.pairs} preference pairs",
                    "Loss": loss_words(settings), "Base": recipe.base, "Asked": card.instruction,
                    "Scored on": f"{len(dev)} dev posts, which also chose the weights and the calibration",
                },
            )  # fmt: skip
        card.save(student_folder)
        summary = {"training": trained.model_dump(mode="json"), "pairs": counts.model_dump(mode="json")}
        run.write_metrics(summary | ({"dev": metrics.model_dump(mode="json")} if metrics else {}))
        announce("done", note=f"{time.monotonic() - started:.0f} s")
        return Distilled(
            folder=str(out), student=str(student_folder), report=str(report) if report else None, steps=trained.steps,
            last_loss=trained.last_loss, pairs=counts.model_dump(mode="json"),
            metrics=metrics.model_dump(mode="json") if metrics else None,
        )  # fmt: skip


def teach(
    recipe: Distillation, read: PairInputs, settings: PreferenceSettings, place: Path, out: Path, announce: Announce
) -> Taught:
    """The base model in `place` once it has learned the pairs; every process of a run does this, in step."""
    from folkmoot.students.language import LanguageStudent, padding_id
    from folkmoot.training.language_base import load_base
    from folkmoot.training.preference import train_preference
    from folkmoot.training.preference_pairs import tokenize_pairs
    from folkmoot.training.scores import area_under_curve

    base = load_base(place)
    tokens, counts = tokenize_pairs(
        read.pairs, base, max_tokens=settings.max_tokens, folder=read.paths["pairs"].parent,
        verdicts=recipe.mode == "likelihood",
    )  # fmt: skip
    if counts.used < counts.pairs or counts.cut:
        reasons = "; ".join(f"{count} left out: {reason}" for reason, count in counts.left_out.items())
        announce("pairs", note=f"{counts.used} of {counts.pairs} used, {counts.cut} prompts cut. {reasons}")
    dev = readable(read.dev, base, Instruction(read.task, recipe.instruction))
    if len(dev) < len(read.dev):
        announce("dev", note=f"{len(read.dev) - len(dev)} posts left out: their media cannot be read")
    blind = [post.blind() for post in dev]
    names = read.task.label_names

    def score_dev(model: Any) -> float:
        # By likelihood also where the student will reason: a look at dev must stay cheap.
        card = LanguageCard(
            name="dev", task=read.task, base=recipe.base, mode="likelihood", instruction=recipe.instruction
        )
        student = LanguageStudent(card, model, base.reader)
        scores = np.array([student.weigh(post)[0] for post in blind])
        if (margin := margins(scores, read.task)) is not None:
            return area_under_curve(margin, [post.label == read.task.positive for post in dev])
        right = [names[top] == post.label for top, post in zip(scores.argmax(1).tolist(), dev, strict=True)]
        return float(np.mean(right))

    model: Any = base.model
    stages = [settings]
    if recipe.after is not None:
        stages = [settings.model_copy(update={"loss": recipe.after}), settings]
    for number, stage in enumerate(stages):
        announce("stage", note=f"{stage.loss}, {counts.in_words()}, {stage.epochs} epochs")
        model, trained = train_preference(
            model, tokens, stage, out / f"training_{number}", padding=padding_id(base.tokenizer),
            score_dev=score_dev if dev and number == len(stages) - 1 else None,
            on_step=lambda done, total: announce("training", done, total),
        )  # fmt: skip
    return Taught(base, model, trained, tokens, counts, dev)


def readable(posts: Sequence[Post], base: LanguageBase, told: Instruction) -> list[Post]:
    """The posts whose media can be read, told before anything is trained.

    Raises:
        BadInput: a post has media that the base does not read, or no post is left.
    """
    from folkmoot.students.media_files import UnreadableMedia
    from folkmoot.students.prompting import read_prompt

    kept = []
    for post in posts:
        files = told.files(post)
        try:
            if any(files.values()):
                read_prompt(
                    base.model, base.reader, told.turns(post), files["images"], videos=files["videos"],
                    audios=files["audios"],
                )  # fmt: skip
        except UnreadableMedia:
            continue
        kept.append(post)
    if posts and not kept:
        raise BadInput("of no dev post the media can be read")
    return kept


def margins(scores: NDArray[np.float64], task: Task) -> NDArray[np.float64] | None:
    """How much likelier the positive label is, [B] in nats, from the labels' scores [B, C]; None where C is not 2."""
    if task.positive is None or len(task.labels) != 2:
        return None
    positive = task.label_names.index(task.positive)
    return np.asarray(scores[:, positive] - scores[:, 1 - positive])


def calibrated(card: LanguageCard, scores: NDArray[np.float64], dev: Sequence[Post]) -> LanguageCard:
    """The card with a scale and a shift that fit dev's labels best, for tasks with two labels."""
    from folkmoot.training.calibration import fit_platt

    margin = margins(scores, card.task)
    if margin is None:
        return card
    scales, shift = fit_platt(margin[:, None], np.array([post.label == card.task.positive for post in dev]))
    if scales[0] <= 0:  # dev says that the student knows nothing, and its own odds stand
        return card
    return card.model_copy(update={"scale": float(scales[0]), "shift": {str(card.task.positive): shift}})


def loss_words(settings: Any) -> str:
    """The loss with the numbers that matter to it."""
    extra = {
        "orpo": f", lambda {settings.lam:g}",
        "scpo": f", lambda {settings.lam:g}, omega {settings.omega:g}",
        "dpo": f", beta {settings.beta:g}",
    }
    return str(settings.loss) + extra.get(settings.loss, "")


def check_installed(needed: Sequence[str] = NEEDED) -> None:
    """Refuse before anything is loaded.

    Raises:
        MissingExtra: a package of the `distill` extra is not there.
    """
    if any(find_spec(name) is None for name in needed):
        raise MissingExtra("Training a language model", "distill")
