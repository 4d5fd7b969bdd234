"""The parts of a reflection team, learned: a router from a teacher's plans, a reasoner from rewritten rationales, a
grounder from annotated spans.

Paper: MODF-SIR (arXiv 2606.12018): the router is a LoRA taught what a 30B omni model planned; the grounder by GRPO.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from folkmoot.formats import load_task, read_posts
from folkmoot.formats.fields import record_from
from folkmoot.formats.lines import read_rows
from folkmoot.models.untrusted import DATA_NOTICE, data_block
from folkmoot.models.weights import EMBEDDED, base_folder
from folkmoot.panels import dossier
from folkmoot.panels.prompt import load_prompt
from folkmoot.panels.reflection_replies import answer_words, question_words
from folkmoot.recipes.announcing import Announce, say_nothing
from folkmoot.recipes.launched import one_process
from folkmoot.recipes.preference_distillation import check_installed
from folkmoot.recipes.settings import settings_of
from folkmoot.recipes.splits import check_apart
from folkmoot.records import BadInput, MissingExtra, Post, Record, Task
from folkmoot.runs import RunFolder

if TYPE_CHECKING:
    from folkmoot.training.grounding import GrounderSettings, GroundingExample
    from folkmoot.training.preference import PreferenceSettings

Part = Literal["router", "reasoner", "grounder"]
TAGGED = re.compile(r"<(context|think|answer)>(.*?)</\1>", re.DOTALL)


class PartRecipe(Record):
    """One part and what it learns from; kept in `run.toml`.

    A router and a reasoner read posts with questions: `meta.events` is the collector's text, `meta.gold.teacher_plan`
    and `meta.gold.rationale` what is to be imitated. A grounder reads `GroundingExample` rows. `settings` holds the
    fields of `PreferenceSettings` or of `GrounderSettings`.
    """

    kind: Literal["social_part"] = "social_part"
    part: Part
    examples: str
    dev: str | None = None
    rows: int | None = Field(default=None, gt=0)
    """How many rows teach, the first; all by default."""
    base: str = EMBEDDED
    task: str = "social_intent"
    seed: int = 0
    threads: int | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


class PartResult(Record):
    """What a part's run left, and how it does on dev beside what needs no learning."""

    folder: str
    part: Part
    taught: int
    left_out: int
    dev: dict[str, float] = Field(default_factory=dict)


class Lesson(NamedTuple):
    """A conversation and the answer to imitate."""

    id: str
    messages: list[dict[str, Any]]
    answer: str


def run_part(
    recipe: PartRecipe, out: Path, *, resolve: Callable[[str], Path] = Path, announce: Announce = say_nothing
) -> PartResult:
    """The part trained in `out`, from wherever it stood.

    Raises:
        BadInput: the files or the settings cannot be used, or a launcher has started several processes.
        MissingExtra: the `distill` extra (router, reasoner) or `train` (grounder) is not installed.
    """
    one_process(f"Teaching a {recipe.part}")
    if recipe.part == "grounder":
        return _train_grounder(recipe, read_spans(recipe, resolve), out, announce)
    return _train_language(recipe, read_answers(recipe, resolve), out, announce)


def check_part(recipe: PartRecipe, resolve: Callable[[str], Path] = Path) -> None:
    """Nothing, where `run_part` could begin to train.

    Raises:
        BadInput, MissingExtra: as `run_part`.
    """
    if recipe.part == "grounder":
        read_spans(recipe, resolve)
    else:
        read_answers(recipe, resolve)


def paths_of(recipe: PartRecipe, resolve: Callable[[str], Path]) -> dict[str, Path]:
    """The files that a part names."""
    return {"examples": resolve(recipe.examples)} | ({"dev": resolve(recipe.dev)} if recipe.dev else {})


# ------------------------------------------------------------------------------------------- router, reasoner


def plan_lessons(posts: Sequence[Post], task: Task) -> list[Lesson]:
    """What a router is to reply, in the planner's own prompt and form, for every post with a teacher's plan.

    Raises:
        BadInput: a plan is not a list of steps with a type.
    """
    prompt = load_prompt("reflection", "team", version=1, language=task.language)
    system = prompt.text("system", task=task, data_notice=DATA_NOTICE)
    lessons = []
    for post in posts:
        plan = (post.meta.get("gold") or {}).get("teacher_plan")
        if plan is None or post.question is None:
            continue
        ground = grounds(plan, post.id)
        query = next((str(step.get("value", "")) for step in plan if step["type"] == "Grounder"), "")
        reply = {"ground": ground, "query": query, "reason": ""}
        lessons.append(Lesson(post.id, _asked(prompt, system, post, "plan"), json.dumps(reply, ensure_ascii=False)))
    return lessons


def grounds(plan: Any, id: str) -> bool:
    """Whether a teacher's plan looks for a part of the clip first.

    Raises:
        BadInput: it is not a list of steps with a type.
    """
    if not isinstance(plan, list) or not all(isinstance(step, Mapping) and "type" in step for step in plan):
        raise BadInput(f"post '{id}', field 'meta.gold.teacher_plan': a list of steps with a 'type' is accepted")
    return any(step["type"] == "Grounder" for step in plan)


def rationale_lessons(posts: Sequence[Post], task: Task) -> list[Lesson]:
    """What a reasoner is to reply, in its own prompt and form, for every post with a tagged rationale whose answer is
    the gold one."""
    prompt = load_prompt("reflection", "team", version=1, language=task.language)
    system = prompt.text("system", task=task, data_notice=DATA_NOTICE)
    lessons = []
    for post in posts:
        parts = dict(TAGGED.findall(str((post.meta.get("gold") or {}).get("rationale", ""))))
        if post.question is None or not {"context", "think"} <= parts.keys() or post.label is None:
            continue
        said = post.question.canonical(parts.get("answer", post.label))
        if said != post.label:
            continue
        answer: Any = post.label.split(",") if post.question.kind == "choices" else post.label
        reply = {"context": parts["context"].strip(), "think": parts["think"].strip(), "anchors": [], "answer": answer}
        slots = {"wanted": answer_words(post.question), "before": ""}
        lessons.append(
            Lesson(post.id, _asked(prompt, system, post, "reason", **slots), json.dumps(reply, ensure_ascii=False))
        )
    return lessons


def _asked(prompt: Any, system: str, post: Post, section: str, **slots: Any) -> list[dict[str, Any]]:
    """The conversation as the panel has it where perception's text is the collector's alone."""
    assert post.question is not None
    parts = [
        prompt.text("dossier", words=dossier.post_block(post) if post.text.strip() else "", observations="", span="")
    ]
    if events := str(post.meta.get("events") or "").strip():
        parts.append(prompt.text("events", events=data_block("observations", dossier.uncited(events))))
    parts.append(
        prompt.text("question", question=data_block("question", dossier.uncited(question_words(post.question))))
    )
    parts.append(prompt.text(section, **slots))
    return [{"role": "system", "content": system}, {"role": "user", "content": "\n\n".join(parts)}]


class Answers(NamedTuple):
    """What a router or a reasoner learns from, how, and the folder of its base."""

    paths: dict[str, Path]
    task: Task
    posts: list[Post]
    dev: list[Post]
    lessons: list[Lesson]
    settings: PreferenceSettings
    base: Path


def read_answers(recipe: PartRecipe, resolve: Callable[[str], Path]) -> Answers:
    """The answers that a router or a reasoner is to imitate.

    Raises:
        BadInput: a file or a setting cannot be used, or nothing can be learned.
        MissingExtra: the `distill` extra is not installed.
    """
    paths = paths_of(recipe, resolve)
    task = load_task(recipe.task)
    posts = read_posts(paths["examples"], task=task)
    dev = read_posts(paths["dev"], task=task) if "dev" in paths else []
    check_apart(posts, dev, "the examples", "dev")
    make = plan_lessons if recipe.part == "router" else rationale_lessons
    lessons = make(posts, task)[: recipe.rows]
    if not lessons:
        field = "teacher_plan" if recipe.part == "router" else "rationale"
        raise BadInput(
            f"{paths['examples']}, field 'meta.gold.{field}': no post has one that a {recipe.part} can learn"
        )
    check_installed()
    from folkmoot.training.preference import PreferenceSettings

    values = {"seed": recipe.seed, **recipe.settings, "loss": "sft"}
    settings = settings_of(PreferenceSettings, values, f"{recipe.part}.settings")
    return Answers(paths, task, posts, dev, lessons, settings, base_folder(recipe.base))


def _train_language(recipe: PartRecipe, read: Answers, out: Path, announce: Announce) -> PartResult:
    import torch

    from folkmoot.students.language import padding_id
    from folkmoot.training.imitation import tokenize_lessons
    from folkmoot.training.language_base import load_base
    from folkmoot.training.preference import train_preference

    paths, task, posts, dev, lessons, settings, base_at = read
    torch.set_num_threads(recipe.threads or torch.get_num_threads())
    configuration = {"recipe": {**recipe.model_dump(mode="json", exclude_none=True), "task": task.hash}}
    with RunFolder.open(out, configuration, inputs=paths) as run:
        announce("loading", note=recipe.base)
        base = load_base(base_at)
        tokens = tokenize_lessons(
            [(one.id, one.messages, one.answer) for one in lessons], base, max_tokens=settings.max_tokens
        )
        announce("stage", note=f"imitation of {len(tokens)} answers, {settings.epochs} epochs")
        model, _ = train_preference(
            base.model, tokens, settings, run.file("training"), padding=padding_id(base.tokenizer),
            on_step=lambda done, total: announce("training", done, total),
        )  # fmt: skip
        scores: dict[str, float] = {}
        if dev and recipe.part == "router":
            announce("evaluating", note=f"{len(dev)} dev questions")
            scores = _score_router(model, base, plan_lessons(dev, task), settings.max_tokens)
        folder = run.file(recipe.part)
        merged = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
        merged.save_pretrained(str(folder))
        base.reader.save_pretrained(str(folder))
        result = PartResult(
            folder=str(folder), part=recipe.part, taught=len(tokens), left_out=len(posts) - len(tokens), dev=scores
        )
        run.write_metrics(result.model_dump(mode="json"))
        return result


def _score_router(model: Any, base: Any, lessons: Sequence[Lesson], max_tokens: int | None) -> dict[str, float]:
    """How often the likelier of the two plans' beginnings is the teacher's: accuracy, macro-F1, the majority's."""
    from folkmoot.training.imitation import weigh_answers
    from folkmoot.training.scores import macro_f1

    gold = np.array([json.loads(lesson.answer)["ground"] for lesson in lessons], dtype=bool)
    likelier = np.array(
        [weigh_answers(model, base, lesson.messages, ['{"ground": false', '{"ground": true'], max_tokens=max_tokens) == 1
         for lesson in lessons], dtype=bool,
    )  # fmt: skip
    most = np.full(len(gold), gold.mean() >= 0.5)
    return {
        "n": float(len(gold)), "accuracy": float((likelier == gold).mean()), "macro_f1": macro_f1(gold, likelier),
        "majority_accuracy": float((most == gold).mean()), "majority_macro_f1": macro_f1(gold, most),
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------- grounder


def read_grounding(path: Path) -> list[GroundingExample]:
    """The grounding examples of a JSONL file.

    Raises:
        BadInput: the file is missing or empty.
        BadRecord: a row cannot be used.
    """
    from folkmoot.training.grounding import GroundingExample

    found = [record_from(GroundingExample, row, path=path, line=line, whole="query") for line, row in read_rows(path)]
    if not found:
        raise BadInput(f"{path} holds no grounding example")
    return found


class Spans(NamedTuple):
    """What a grounder learns from, and how."""

    paths: dict[str, Path]
    examples: list[GroundingExample]
    dev: list[GroundingExample]
    settings: GrounderSettings


def read_spans(recipe: PartRecipe, resolve: Callable[[str], Path]) -> Spans:
    """The spans that a grounder is to find.

    Raises:
        BadInput: a file or a setting cannot be used.
        MissingExtra: the `train` extra is not installed.
    """
    from importlib.util import find_spec

    paths = paths_of(recipe, resolve)
    if find_spec("torch") is None or find_spec("onnxruntime") is None:
        raise MissingExtra("Training a grounder", "train")
    from folkmoot.training.grounding import GrounderSettings

    examples = read_grounding(paths["examples"])[: recipe.rows]
    dev = read_grounding(paths["dev"]) if "dev" in paths else []
    shared = {e.group for e in examples if e.group} & {e.group for e in dev if e.group}
    if shared:
        raise BadInput(
            f"{len(shared)} groups are both in the examples and in dev, the first '{min(shared)}'; keep them apart"
        )
    return Spans(paths, examples, dev, settings_of(GrounderSettings, recipe.settings, "grounder.settings"))


def _train_grounder(recipe: PartRecipe, read: Spans, out: Path, announce: Announce) -> PartResult:
    import torch

    from folkmoot.models.sentence_encoder import SentenceEncoder
    from folkmoot.students.grounding import Describer
    from folkmoot.training.grounding import score_spans, train_grounder

    paths, examples, dev, settings = read
    torch.set_num_threads(recipe.threads or torch.get_num_threads())
    with RunFolder.open(out, {"recipe": recipe.model_dump(mode="json", exclude_none=True)}, inputs=paths) as run:
        describer = Describer(SentenceEncoder(recipe.base))
        announce("stage", note=f"{len(examples)} spans")
        trained = train_grounder(
            examples,
            describer,
            settings,
            seed=recipe.seed,
            on_epoch=lambda done, total: announce("training", done, total),
        )
        scores: dict[str, float] = {}
        if dev:
            found = [trained.scorer.ground(e.query, e.observations) for e in dev]
            own = score_spans([(f.start, f.end) if f else None for f in found], [e.span for e in dev])
            ends = [max((o.end_seconds or 0.0 for o in e.observations), default=0.0) for e in dev]
            whole = score_spans([(0.0, end) for end in ends], [e.span for e in dev])
            scores = {**own.model_dump(), "whole_clip_mean_iou": whole.mean_iou}
        folder = run.file("grounder")
        trained.scorer.save(folder)
        result = PartResult(
            folder=str(folder), part="grounder", taught=trained.taught, left_out=trained.unreachable, dev=scores
        )
        run.write_metrics(result.model_dump(mode="json"))
        return result


# ---------------------------------------------------------------------------------------------------- together


class SocialLoop(Record):
    """A recipe of kind `social`: any of the three parts, each with a `PartRecipe`'s fields but `part`."""

    kind: Literal["social"] = "social"
    router: dict[str, Any] | None = None
    reasoner: dict[str, Any] | None = None
    grounder: dict[str, Any] | None = None

    def parts(self) -> list[PartRecipe]:
        """The parts that are named.

        Raises:
            BadInput: none is, or a field is unknown or not accepted.
        """
        named: list[tuple[Part, dict[str, Any] | None]] = [
            ("router", self.router), ("reasoner", self.reasoner), ("grounder", self.grounder),
        ]  # fmt: skip
        found = [
            settings_of(PartRecipe, {**fields, "part": part}, part) for part, fields in named if fields is not None
        ]
        if not found:
            raise BadInput("a recipe of kind 'social' names at least one of the tables router, reasoner and grounder")
        return found


def run_social(
    loop: SocialLoop, out: Path, *, resolve: Callable[[str], Path] = Path, announce: Announce = say_nothing
) -> list[PartResult]:
    """Every part of the recipe, each in its own folder below `out`; a killed one goes on where it stopped.

    Raises:
        BadInput, MissingExtra: a part cannot be trained, told before the first one is.
    """
    found = []
    parts = loop.parts()
    for recipe in parts:
        check_part(recipe, resolve)
    for recipe in parts:
        announce("part", note=recipe.part)
        found.append(run_part(recipe, out / f"{recipe.part}_run", resolve=resolve, announce=announce))
    return found
