"""The low-resource loop as one function: labelled posts, a pool, a panel -> a student, its verdicts and a report.

Paper: MA-VLM + PNU loss, AAAI 2026 (arXiv 2511.13759).
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from pydantic import Field, StrictBool, ValidationError

from folkmoot.evaluation import compare_judges, evaluate, write_report
from folkmoot.formats import load_task, read_opinions, read_posts, write_verdicts
from folkmoot.formats.fields import did_you_mean, shown, suggestion
from folkmoot.models.chat import ChatModel
from folkmoot.models.encoder import LARGE
from folkmoot.panels import RecordedOpinions, build_panel, heard_from
from folkmoot.recipes.launched import one_process
from folkmoot.records import BadInput, Judge, MissingExtra, Opinion, Post, Record, Task, Verdict
from folkmoot.runs import RunFolder
from folkmoot.runs.atomic import write_atomically
from folkmoot.runs.folder import METRICS
from folkmoot.students.card import CARD_FILE, VIEWS, StudentCard, View

S = TypeVar("S", bound=Record)

FINISHED = "finished.json"
"""The file that a self-training run writes last."""


class EncoderChoice(Record):
    """`base` is `embedded` or a transformers folder; `tune` trains it, otherwise it stays frozen.

    `views` is what the student reads of a post; with more than its text, encoders stay frozen. `image` is `embedded` or
    a CLIP's or SigLIP's folder.
    """

    base: str = "embedded"
    views: tuple[View, ...] = ("text",)
    image: str = "embedded"
    tune: StrictBool = False
    max_tokens: int = Field(default=64, gt=1)
    threads: int | None = None
    """Threads for torch; part of what makes two runs the same bytes."""


class PanelChoice(Record):
    """Who makes the panel's opinions where none are recorded."""

    name: str = "negotiation"
    preset: Literal["paper", "reference"] = "paper"


class LowResource(Record):
    """Everything that decides the outcome of a run; kept in `run.toml`.

    The sub-tables `rounds`, `frozen`, `tuned` and `distillation` hold the fields of the settings of the same name in
    the training room, which checks them.
    """

    kind: Literal["selftrain"] = "selftrain"
    task: str
    labelled: str
    pool: str | None = None
    dev: str
    opinions: str | None = None
    agents: tuple[str, ...] | None = None
    """Whose recorded opinions are heard; everybody's by default. With `heard` `first`, only their first round's."""
    seed: int = 0
    panel: PanelChoice = PanelChoice()
    encoder: EncoderChoice = EncoderChoice()
    rounds: dict[str, Any] = Field(default_factory=dict)
    frozen: dict[str, Any] = Field(default_factory=dict)
    tuned: dict[str, Any] = Field(default_factory=dict)
    distillation: dict[str, Any] | None = None
    lexical: StrictBool = False
    estimate_prior: StrictBool = False
    abstain_accuracy: float | None = Field(default=None, gt=0, le=1)
    first_look: float | None = Field(default=None, gt=0.5, lt=1)
    """The encoder is spared where the lexical tower is sure, as long as this share of dev posts keeps its label."""
    export: StrictBool = True
    title: str | None = None


PRESETS: dict[str, dict[str, Any]] = {
    "folkmoot": {
        "rounds": {
            "batch": 4000,
            "agreement": {"source": "panel", "heard": "first"},
            "loss": {"gamma": 0.0, "weighting": "pooled", "unlabelled": "pool"},
        },
        "tuned": {"batch_size": 10},
        "distillation": {"members": 1},
        "lexical": True,
        "first_look": 0.995,
    },
    "paper": {"rounds": {"batch": 500, "agreement": {"source": "both"}, "loss": {"gamma": 0.1}}},
    "reference": {
        "rounds": {
            "batch": 500,
            "agreement": {"source": "both", "rule": "reference"},
            "selection": "proportional",
            "acceptance": "ties",
            "loss": {
                "gamma": 0.1,
                "correction": "leak",
                "weighting": "halves",
                "nu_uses_complement_prior": False,
                "mean_over_present": False,
            },
        },
        "panel": {"preset": "reference"},
    },
}
"""Rules by name: what did best on dev here (docs/log.md), the paper's, and the released code's."""

LARGE_RULES: dict[str, Any] = {
    "tuned": {"batch_size": 16, "learning_rate": 5e-5, "precision": "bfloat16"},
    "distillation": {
        "members": 1,
        "encoders": [{"base": "embedded", "tuned": {"batch_size": 10, "precision": "bfloat16"}}],
    },
}
"""What the preset `folkmoot` changes where the larger embedded encoder is tuned."""


def rules_of(preset: str, *, encoder: str, tune: bool) -> dict[str, Any]:
    """The tables of a preset, for an encoder that is tuned or stays frozen.

    On dev a frozen encoder gained from more lessons, a tuned one from surer ones: `folkmoot` hears the last round for the
    one and the first for the other.
    """
    chosen = copy.deepcopy(PRESETS[preset])
    if preset == "folkmoot" and not tune:
        chosen["rounds"]["agreement"]["heard"] = "last"
    elif preset == "folkmoot" and encoder == LARGE:
        chosen |= copy.deepcopy(LARGE_RULES)
    return chosen


class Announce(Protocol):
    """Told what is going on: a stage's name, and where it stands."""

    def __call__(self, stage: str, done: int = 0, total: int = 0, note: str = "") -> None: ...


def say_nothing(stage: str, done: int = 0, total: int = 0, note: str = "") -> None:
    """An `Announce` for those who don't want to know."""


class Trained(Record):
    """What a run left: where the student is, and what the report says of it."""

    folder: str
    student: str
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
        MissingExtra: the `train` extra is not installed.
    """
    started = time.monotonic()
    one_process("Self-training")
    read = read_inputs(recipe, resolve)
    task, labelled, pool, dev, opinions, inputs = (
        read.task, read.labelled, read.pool, read.dev, read.opinions, read.paths
    )  # fmt: skip
    configuration = {"recipe": {**recipe.model_dump(mode="json", exclude_none=True), "task": task.hash}}
    if (out / FINISHED).exists():
        with RunFolder.open(out, configuration, inputs=inputs) as run:
            if (told := read_finished(run)) is not None:
                announce("done", note="it was finished before")
                return told
    if find_spec("torch") is None or find_spec("sklearn") is None:
        raise MissingExtra("Self-training", "train")
    if (recipe.distillation or {}).get("language") is not None and find_spec("peft") is None:
        raise MissingExtra("A language model in the committee", "distill")
    # Only now, since torch takes seconds to import: a file that cannot be used is refused at once.
    import torch

    from folkmoot.formats import write_lessons
    from folkmoot.models.encoder import encoder_folder
    from folkmoot.models.weights import base_folder
    from folkmoot.supervision import Source
    from folkmoot.training.distillation import (
        DistillationSettings,
        ask_committee,
        distilled_lessons,
        fit_lexical,
        fit_student,
    )
    from folkmoot.training.frozen import FrozenSettings
    from folkmoot.training.learner import FrozenLearner, Learner, TunedLearner
    from folkmoot.training.lexical import LexicalTable
    from folkmoot.training.self_training import Round, SelfTraining, SelfTrainingSettings
    from folkmoot.training.student import write_student
    from folkmoot.training.tuned import TunedSettings

    torch.set_num_threads(recipe.encoder.threads or torch.get_num_threads())
    settings = settings_of(SelfTrainingSettings, recipe.rounds, "rounds")
    frozen = settings_of(FrozenSettings, recipe.frozen, "frozen")
    tuned = settings_of(TunedSettings, recipe.tuned, "tuned")
    distillation = None
    if recipe.distillation is not None:
        distillation = settings_of(DistillationSettings, recipe.distillation, "distillation")
        if distillation.language is not None:
            base_folder(distillation.language.base)
        for member in distillation.encoders:
            encoder_folder(member.base)
    if recipe.encoder.views != ("text",) and recipe.encoder.tune:
        raise BadInput(
            f"a student that reads {', '.join(recipe.encoder.views)} has frozen encoders; leave out the tuning, or read "
            "the text alone"
        )
    if recipe.first_look is not None and (not recipe.lexical or recipe.encoder.views != ("text",)):
        raise BadInput(
            "a first look is the n-gram tower's, before an encoder reads the text; it needs 'lexical = true' and the view "
            "'text' alone, or leave 'first_look' out"
        )
    if settings.agreement.source is not Source.CLASSIFIER and opinions is None and model_for is None:
        raise BadInput("a panel needs recorded opinions (--opinions FILE) or a model (--model)")

    async with AsyncExitStack() as held:
        run = held.enter_context(RunFolder.open(out, configuration, inputs=inputs))
        panel_for: Callable[[Judge], Judge] | None = None
        if opinions is not None:
            if recipe.agents is not None:
                opinions = heard_from(opinions, recipe.agents, first_round_only=settings.agreement.heard == "first")
            recorded = RecordedOpinions(task, opinions)
            panel_for = lambda classifier: recorded  # noqa: E731
        elif model_for is not None and settings.agreement.source is not Source.CLASSIFIER:
            model = model_for(run)
            held.push_async_callback(model.aclose)
            panel_for = lambda classifier: build_panel(  # noqa: E731
                recipe.panel.name,
                task,
                model,
                **panel_options(recipe.panel, classifier if settings.agreement.source is Source.BOTH else None),
            )
        announce("reading", note=f"{len(labelled)} labelled, {len(pool)} in the pool, {len(dev)} for dev")
        table = [*labelled, *pool, *dev]
        learner: Learner
        if recipe.encoder.views != ("text",):
            from folkmoot.students.views import ViewReader
            from folkmoot.training.seeing import SeeingLearner

            def on_look(done: int, total: int) -> None:
                if done == total or done % 25 == 0:
                    announce("looking", done, total)

            learner = seeing = SeeingLearner(
                table, reader=ViewReader.open(recipe.encoder.views, text=recipe.encoder.base, image=recipe.encoder.image),
                taught=[*labelled, *pool],
                settings=frozen, cache=run.file("vectors"), on_post=on_look,
            )  # fmt: skip
            check_views(seeing.shown, labelled, inputs["labelled"], recipe.encoder.views)
            check_views(seeing.shown, dev, inputs["dev"], recipe.encoder.views)
        elif recipe.encoder.tune:
            learner = TunedLearner(
                table, encoder=recipe.encoder.base, max_tokens=recipe.encoder.max_tokens,
                settings=tuned,
            )  # fmt: skip
        else:
            announce("encoding", note=f"{len(table)} posts, once")
            learner = FrozenLearner(
                table, encoder=recipe.encoder.base, max_tokens=recipe.encoder.max_tokens,
                settings=frozen, cache=run.file("vectors"),
            )  # fmt: skip

        def on_step(done: int, total: int) -> None:
            announce("training", done, total)

        def on_round(r: Round) -> None:
            verdict = "accepted" if r.accepted else "rolled back"
            announce("round", r.round, note=f"dev macro-F1 {r.dev_macro_f1:.4f}, {verdict}; {r.pool_left} posts left")

        machine = SelfTraining(
            task=task, labelled=labelled, pool=pool, dev=dev, learner=learner, panel_for=panel_for, settings=settings,
            folder=run.file("rounds"), seed=recipe.seed, on_round=on_round, on_step=on_step,
            has_opinion=(lambda post: post.id in opinions) if opinions is not None else (lambda post: True),
        )  # fmt: skip
        trained = await machine.run()
        lessons = list(trained.lessons)
        write_lessons(lessons, run.file("lessons.jsonl"))

        lexical_table = rows = None
        if recipe.lexical:
            announce("lexical", note="counting n-grams")
            lexical_table, rows = make_lexical_table(LexicalTable, table)
        final = lessons
        if distillation is not None:
            committee = ask_committee(
                lessons=lessons, pool=pool, learner=learner,
                others=[
                    TunedLearner(table, encoder=member.base, max_tokens=recipe.encoder.max_tokens, settings=member.tuned)
                    for member in distillation.encoders
                ],
                lexical=lexical_table, lexical_rows=rows or {},
                loss=settings.loss, settings=distillation, first=lambda: machine.logits(trained.best_round, pool), task=task,
                texts={post.id: post.text for post in table}, folder=run.file("committee"), seed=recipe.seed,
                on_step=on_step, on_member=lambda done, total: announce("committee", done, total),
            )  # fmt: skip
            gold = [lesson for lesson in lessons if lesson.membership.is_gold]
            final = distilled_lessons(committee, pool, gold, distillation, round=trained.best_round)
            write_lessons(final, run.file("distilled.jsonl"))
            announce("student", note=f"learning what the committee says of {len(pool)} posts")
            pupil = fit_student(learner, final, seed=recipe.seed, on_step=on_step)
        else:
            pupil = machine.best_pupil(trained.best_round)
        tower = fit_lexical(lexical_table, rows, final) if lexical_table is not None and rows is not None else None

        lineage = {
            "run": out.name,
            "lessons_file": "lessons.jsonl",
            "taught": len(lessons),
            "rounds": len(trained.rounds) - 1,
            "best_round": trained.best_round,
            "seed": recipe.seed,
            "inputs": run.manifest.get("inputs", {}),
        }
        announce("exporting", note="weights, ONNX, calibration")
        common: dict[str, Any] = {
            "task": task, "dev": dev, "lessons": final, "abstain_accuracy": recipe.abstain_accuracy,
            "first_look": recipe.first_look, "lineage": lineage,
        }  # fmt: skip
        student = write_student(
            run.file("student"), name=f"{task.name}-student", learner=learner, pupil=pupil, lexical=tower,
            export=recipe.export, **common,
        )  # fmt: skip
        fast = None
        if tower is not None:
            fast = write_student(
                run.file("fast_student"), name=f"{task.name}-fast", learner=None, pupil=None, lexical=tower, **common
            )

        announce("evaluating", note=f"{len(dev)} dev posts")
        blind = [post.blind() for post in dev]
        judges: dict[str, Sequence[Verdict]] = {"student": student.verdicts(blind)}
        if fast is not None:
            judges["fast student"] = fast.verdicts(blind)
        judges["gold labels alone (round 0)"] = machine.first_verdicts()
        write_verdicts(judges["student"], run.file("dev_verdicts.jsonl"))
        metrics = evaluate(judges["student"], dev, task)
        side_by_side = compare_judges(judges, dev, task=task)
        totals = run.ledger.totals().model_dump() if run.file("ledger.sqlite").exists() else None
        heard = dict(opinions) if opinions is not None else opinions_of_panel(run.file("rounds") / "panel.jsonl")
        summary: dict[str, Any] = {
            "dev": metrics.model_dump(mode="json"),
            "comparison": side_by_side.model_dump(mode="json"),
            "rounds": [r.model_dump(mode="json") for r in trained.rounds],
            "student": student.card.dev,
            "runtime": student.runtime,
        }
        if recipe.estimate_prior:
            from folkmoot.training.prior import estimate_prior

            share = sum(post.label == task.positive for post in labelled) / len(labelled)
            pool_probabilities = student.probabilities(pool)
            summary["estimated_prior"] = estimate_prior(pool_probabilities, labelled_prior=share)
        run.write_metrics(summary)
        report = run.file("report.html")
        write_report(
            report,
            title=recipe.title or f"{task.name}: learned from {len(labelled)} labels",
            task=task,
            metrics=metrics,
            verdicts=judges["student"],
            gold=dev,
            opinions=heard,
            posts=pool,
            rounds=[r.model_dump(mode="json") for r in trained.rounds],
            comparison=side_by_side,
            cost=totals,
            provenance={"command": command, **flat(run.manifest)},
            setting={
                "Gold labels": f"{len(labelled)} posts that people labelled",
                "Pool": f"{len(pool)} unlabelled posts"
                + (f", {len(opinions)} of them with recorded opinions" if opinions is not None else ""),
                "Opinions": panel_words(recipe, opinions),
                "Student": f"reads {', '.join(student.card.views)}; {', '.join(student.card.towers)} on "
                + f"{student.card.base}, " + ("tuned" if recipe.encoder.tune else "frozen") + f", runs on {student.runtime}"
                + first_look_words(student.card),
                "Scored on": f"{len(dev)} dev posts, which also chose the rounds and the calibration",
            },
        )  # fmt: skip
        write_atomically(run.file(FINISHED), json.dumps({"has_fast_student": fast is not None}) + "\n")
        announce("done", note=f"{time.monotonic() - started:.0f} s")
        return trained_in(run, has_fast_student=fast is not None, metrics=summary["dev"])


def first_look_words(card: StudentCard) -> str:
    """What the report says of the posts that the encoder is spared."""
    share = card.dev.get("first_look_share")
    return f"; n-grams alone decide the {share:.0%} on which they are sure" if share else ""


def trained_in(run: RunFolder, *, has_fast_student: bool, metrics: dict[str, Any]) -> Trained:
    """What a finished run left."""
    return Trained(
        folder=str(run.path),
        student=str(run.file("student")),
        fast_student=str(run.file("fast_student")) if has_fast_student else None,
        report=str(run.file("report.html")),
        metrics=metrics,
    )


def read_finished(run: RunFolder) -> Trained | None:
    """What a run left that has written its last file, or None where part of that is gone and is to be made again."""
    marker = run.file(FINISHED)
    try:
        has_fast_student = bool(json.loads(marker.read_text("utf-8"))["has_fast_student"])
        metrics = json.loads(run.file(METRICS).read_text("utf-8"))["dev"]
    except (OSError, ValueError, KeyError, TypeError):
        has_fast_student, metrics = False, None
    made = [f"student/{CARD_FILE}", "report.html", *([f"fast_student/{CARD_FILE}"] if has_fast_student else [])]
    if metrics is None or not all(run.file(name).is_file() for name in made):
        marker.unlink()  # a kill while it is made again must not find it
        return None
    return trained_in(run, has_fast_student=has_fast_student, metrics=metrics)


def read_views(joined: str) -> list[str]:
    """The views of a list joined by commas.

    Raises:
        BadInput: one is not known, or stands there twice.
    """
    views = [view.strip() for view in joined.split(",")]
    for view in views:
        if view not in VIEWS:
            raise BadInput(f"view '{view}' is not known. {suggestion(view, VIEWS)}")
    if len(set(views)) < len(views):
        raise BadInput(f"views '{joined}': name each at most once")
    return views


def read_gammas(joined: str) -> list[float]:
    """The gammas of a list joined by commas.

    Raises:
        BadInput: one is no number from -1 to 1.
    """
    gammas = []
    for part in joined.split(","):
        try:
            gammas.append(float(part))
        except ValueError:
            raise BadInput(
                f"--gamma-sweep: {shown(part.strip())} is no number; give some such as '-0.1,0,0.1'"
            ) from None
        if not -1 <= gammas[-1] <= 1:
            raise BadInput(f"--gamma-sweep: {gammas[-1]:g} arrived; from -1 to 1 is accepted")
    return gammas


class BadSettings(BadInput):
    """A table of a recipe that cannot be used; whoever has read the recipe knows its file."""


def settings_of(kind: type[S], values: Mapping[str, Any], table: str) -> S:
    """The settings that a recipe's table names, the rest at their defaults.

    Raises:
        BadSettings: a field is unknown or its value is not accepted.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        hint = did_you_mean(field, kind.model_fields) if first["type"] == "extra_forbidden" else ""
        arrived = "" if first["type"] in ("missing", "extra_forbidden") else f"; {shown(first['input'])} arrived"
        raise BadSettings(f"recipe table '{table}', field '{field}': {first['msg']}{arrived}{hint or '.'}") from None


@dataclass(frozen=True)
class Inputs:
    """What a recipe's files hold, checked against one another."""

    task: Task
    labelled: list[Post]
    pool: list[Post]
    dev: list[Post]
    opinions: Mapping[str, Sequence[Opinion]] | None
    paths: Mapping[str, Path]


def read_inputs(recipe: LowResource, resolve: Callable[[str], Path]) -> Inputs:
    """The posts, labels and opinions that a recipe names.

    Raises:
        BadInput: a file cannot be used, a label is missing, or a post stands on both sides of a split.
    """
    named = {"labelled": recipe.labelled, "pool": recipe.pool, "dev": recipe.dev, "opinions": recipe.opinions}
    paths = {name: resolve(path) for name, path in named.items() if path is not None}
    task = load_task(recipe.task)
    labelled = read_posts(paths["labelled"], task=task)
    dev = read_posts(paths["dev"], task=task)
    if "pool" not in paths:
        raise BadInput("self-training needs a pool of unlabelled posts: give --pool FILE")
    pool = read_pool(paths["pool"], labelled, task)
    check_apart(labelled, dev, "labelled", "dev")
    check_apart(pool, dev, "pool", "dev")
    check_labels(labelled, paths["labelled"], task)
    check_labels(dev, paths["dev"], task)
    known = {post.id for post in (*pool, *labelled, *dev)}
    opinions = read_opinions(paths["opinions"], task=task, known=known) if "opinions" in paths else None
    return Inputs(task, labelled, pool, dev, opinions, paths)


def read_pool(path: Path, labelled: Sequence[Post], task: Task) -> list[Post]:
    """The pool without the posts that are labelled already.

    Raises:
        BadInput: nothing is left.
    """
    taken = {post.id for post in labelled}
    pool = [post for post in read_posts(path, task=task) if post.id not in taken]
    if not pool:
        raise BadInput(f"{path}: every post of the pool is among the labelled ones, so nothing is left to learn from")
    return pool


def check_apart(one: Sequence[Post], other: Sequence[Post], first: str, second: str) -> None:
    """Refuse posts that stand on both sides of a split.

    Raises:
        BadInput: names how many and the first.
    """
    shared = {post.id for post in one} & {post.id for post in other}
    if shared:
        raise BadInput(
            f"{len(shared)} posts are both in {first} and in {second}, the first '{min(shared)}'; keep them apart"
        )


def check_labels(posts: Sequence[Post], path: Path, task: Task) -> None:
    """Refuse a file in which a post has no label, or a label no post.

    Raises:
        BadInput: names the first such post or label.
    """
    for post in posts:
        if post.label is None:
            raise BadInput(f"{path}, field 'label': post '{post.id}' has none; every post of this file needs one")
    held = {post.label for post in posts}
    for label in task.label_names:
        if label not in held:
            raise BadInput(
                f"{path}, field 'label': none of the {len(posts)} posts is '{label}'; task '{task.name}' needs at least "
                "one of each label"
            )


def check_views(shown: Mapping[str, bool], posts: Sequence[Post], path: Path, views: Sequence[View]) -> None:
    """Refuse a file of posts of which none shows any of the views.

    Args:
        shown: whether a post shows one, by its id.

    Raises:
        BadInput: names the file and the views.
    """
    if not any(shown[post.id] for post in posts):
        raise BadInput(
            f"{path}: none of the {len(posts)} posts shows the {'views' if len(views) > 1 else 'view'} "
            f"{', '.join(views)}, so a student that reads nothing else cannot learn. Give posts with media that can be "
            "read, or add the view text."
        )


def panel_options(choice: PanelChoice, classifier: Judge | None) -> dict[str, Any]:
    """The options of the chosen panel: only negotiation hears the classifier, and only where both have a say."""
    return {"classifier": classifier, "preset": choice.preset} if choice.name == "negotiation" else {}


def panel_words(recipe: LowResource, opinions: Mapping[str, Any] | None) -> str:
    """The panel in words, for the report."""
    if opinions is None:
        return f"{recipe.panel.name} ({recipe.panel.preset})"
    agents = sorted({opinion.agent for said in opinions.values() for opinion in said})
    return f"recorded opinions of {' and '.join(agents)} (a language model in these roles, not people)"


def make_lexical_table(kind: type[Any], posts: Sequence[Post]) -> tuple[Any, dict[str, int]]:
    """The posts' n-grams, and each post's row."""
    from folkmoot.students.text import normalise_text

    return kind([normalise_text(post.text) for post in posts]), {post.id: row for row, post in enumerate(posts)}


def opinions_of_panel(path: Path) -> dict[str, Sequence[Opinion]]:
    """The opinions of a live panel's verdicts, by post."""
    if not path.exists():
        return {}
    verdicts = (Verdict.from_line(line) for line in path.read_text().splitlines() if line)
    return {verdict.id: verdict.opinions for verdict in verdicts}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested table with dotted names, for people to read."""
    result: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            result.update(flat(value, f"{prefix}{key}."))
        else:
            result[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return result


__all__ = ["LowResource", "Trained", "run_low_resource"]
