"""The stages of the low-resource loop, in their order: rounds, committee, student, report. Importing it imports torch."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from folkmoot.formats import read_lessons, write_lessons
from folkmoot.models.chat import ChatModel
from folkmoot.models.encoder import encoder_folder
from folkmoot.models.weights import base_folder
from folkmoot.panels import RecordedOpinions, build_panel, heard_from
from folkmoot.recipes.announcing import Announce
from folkmoot.recipes.low_resource import LowResource, PanelChoice
from folkmoot.recipes.low_resource_checks import check_depth, check_towers, check_views
from folkmoot.recipes.low_resource_inputs import Inputs
from folkmoot.recipes.low_resource_report import Students, report_run
from folkmoot.recipes.settings import settings_of
from folkmoot.records import BadInput, Judge, Lesson, Post
from folkmoot.runs import RunFolder
from folkmoot.runs.atomic import atomic_folder
from folkmoot.students import TextStudent
from folkmoot.students.lexical import LexicalTower
from folkmoot.students.text import normalise_text
from folkmoot.students.views import ViewReader
from folkmoot.supervision import Source
from folkmoot.training.distillation import (
    DistillationSettings,
    ask_committee,
    distilled_lessons,
    fit_lexical,
    fit_student,
)
from folkmoot.training.frozen import FrozenSettings
from folkmoot.training.learner import FrozenLearner, Learner, Pupil, TunedLearner, TunedPupil
from folkmoot.training.lexical import LexicalTable
from folkmoot.training.second_look import take_second_look
from folkmoot.training.seeing import SeeingLearner
from folkmoot.training.self_training import PanelFor, Round, SelfTrained, SelfTraining, SelfTrainingSettings
from folkmoot.training.shallow import ShallowSettings, first_layers, shallow_lessons
from folkmoot.training.student import write_student
from folkmoot.training.tuned import TunedSettings

PUPIL = "pupil"
"""The folder that holds a tuned student's weights until the run is finished: they take minutes to learn."""
SHALLOW_PUPIL = "shallow_pupil"
DISTILLED = "distilled.jsonl"
SHALLOW_DISTILLED = "shallow_distilled.jsonl"
"""What the pool was taught as, to the student and to the shallow one."""


class Taught(NamedTuple):
    """The student before it is written: its pupil and n-gram tower, and the lessons behind them."""

    pupil: Pupil | None
    tower: LexicalTower | None
    lessons: Sequence[Lesson]


@dataclass(frozen=True)
class Stages:
    """One recipe with its settings and inputs, checked; a run's folder is handed to each stage."""

    recipe: LowResource
    read: Inputs
    announce: Announce
    rounds: SelfTrainingSettings
    frozen: FrozenSettings
    tuned: TunedSettings
    distillation: DistillationSettings | None
    shallow: ShallowSettings | None

    @classmethod
    def of(cls, recipe: LowResource, read: Inputs, *, has_model: bool, announce: Announce) -> Stages:
        """The stages of a recipe.

        Args:
            has_model: whether a live panel could be asked.

        Raises:
            BadInput: a setting cannot be used, an encoder is not there, or nobody makes the panel's opinions.
        """
        import torch

        torch.set_num_threads(recipe.encoder.threads or torch.get_num_threads())
        rounds = settings_of(SelfTrainingSettings, recipe.rounds, "rounds")
        frozen = settings_of(FrozenSettings, recipe.frozen, "frozen")
        tuned = settings_of(TunedSettings, recipe.tuned, "tuned")
        distillation = None
        if recipe.distillation is not None:
            distillation = settings_of(DistillationSettings, recipe.distillation, "distillation")
            if distillation.language is not None:
                base_folder(distillation.language.base)
            for member in distillation.encoders:
                encoder_folder(member.base)
        shallow = None if recipe.shallow is None else settings_of(ShallowSettings, recipe.shallow, "shallow")
        check_towers(recipe)
        if shallow is not None:
            check_depth(recipe.encoder.base, shallow.layers)
        if rounds.agreement.source is not Source.CLASSIFIER and read.opinions is None and not has_model:
            raise BadInput("a panel needs recorded opinions (--opinions FILE) or a model (--model)")
        if read.opinions is not None and recipe.agents is not None:
            first = rounds.agreement.heard == "first"
            read = replace(read, opinions=heard_from(read.opinions, recipe.agents, first_round_only=first))
        return cls(recipe, read, announce, rounds, frozen, tuned, distillation, shallow)

    @property
    def asks_model(self) -> bool:
        """Whether a live panel makes opinions."""
        return self.read.opinions is None and self.rounds.agreement.source is not Source.CLASSIFIER

    @property
    def table(self) -> list[Post]:
        """Every post that a learner may be asked about."""
        return [*self.read.labelled, *self.read.pool, *self.read.dev]

    def learner(self, run: RunFolder) -> Learner:
        """What makes pupils of lessons: encoders frozen or tuned, or heads on several views of a post.

        Raises:
            BadInput: no labelled or no dev post shows any of the views.
        """
        labelled, pool, dev, encoder = self.read.labelled, self.read.pool, self.read.dev, self.recipe.encoder
        self.announce("reading", note=f"{len(labelled)} labelled, {len(pool)} in the pool, {len(dev)} for dev")
        if encoder.views != ("text",):

            def on_look(done: int, total: int) -> None:
                if done == total or done % 25 == 0:
                    self.announce("looking", done, total)

            seeing = SeeingLearner(
                self.table, reader=ViewReader.open(encoder.views, text=encoder.base, image=encoder.image),
                taught=[*labelled, *pool], settings=self.frozen, cache=run.file("vectors"), on_post=on_look,
            )  # fmt: skip
            check_views(seeing.shown, labelled, self.read.paths["labelled"], encoder.views)
            check_views(seeing.shown, dev, self.read.paths["dev"], encoder.views)
            return seeing
        if encoder.tune:
            return TunedLearner(self.table, encoder=encoder.base, max_tokens=encoder.max_tokens, settings=self.tuned)
        self.announce("encoding", note=f"{len(self.table)} posts, once")
        return FrozenLearner(
            self.table, encoder=encoder.base, max_tokens=encoder.max_tokens, settings=self.frozen,
            every_layer=encoder.layers == "all", cache=run.file("vectors"),
        )  # fmt: skip

    def panel_for(self, model: ChatModel | None) -> PanelFor | None:
        """Builds the panel that sees a classifier: recorded opinions, a live panel, or None where nobody is heard."""
        if self.read.opinions is not None:
            recorded = RecordedOpinions(self.read.task, self.read.opinions)
            return lambda classifier: recorded
        if model is None:
            return None

        def live(classifier: Judge) -> Judge:
            heard = classifier if self.rounds.agreement.source is Source.BOTH else None
            return build_panel(self.recipe.panel.name, self.read.task, model, **panel_options(self.recipe.panel, heard))

        return live

    def machine(self, run: RunFolder, learner: Learner, model: ChatModel | None) -> SelfTraining:
        """The rounds, in the run's folder."""
        opinions = self.read.opinions

        def on_round(r: Round) -> None:
            verdict = "accepted" if r.accepted else "rolled back"
            self.announce(
                "round", r.round, note=f"dev macro-F1 {r.dev_macro_f1:.4f}, {verdict}; {r.pool_left} posts left"
            )

        return SelfTraining(
            task=self.read.task, labelled=self.read.labelled, pool=self.read.pool, dev=self.read.dev, learner=learner,
            panel_for=self.panel_for(model), settings=self.rounds, folder=run.file("rounds"), seed=self.recipe.seed,
            has_opinion=(lambda post: post.id in opinions) if opinions is not None else (lambda post: True),
            on_round=on_round, on_step=self.on_step,
        )  # fmt: skip

    def on_step(self, done: int, total: int) -> None:
        """Tell of a step of training."""
        self.announce("training", done, total)

    def teach(self, run: RunFolder, learner: Learner, machine: SelfTraining, trained: SelfTrained) -> Taught:
        """The student of the committee, or the best round's pupil where there is no committee."""
        lessons: Sequence[Lesson] = trained.lessons
        write_lessons(lessons, run.file("lessons.jsonl"))
        lexical, rows = None, {post.id: row for row, post in enumerate(self.table)}
        if self.recipe.lexical:
            self.announce("lexical", note="counting n-grams")
            lexical = LexicalTable([normalise_text(post.text) for post in self.table])
        if self.distillation is None:
            pupil = machine.best_pupil(trained.best_round)
        else:
            lessons = self.distil(run, learner, machine, trained, lexical, rows)
            write_lessons(lessons, run.file(DISTILLED))
            self.announce("student", note=f"learning what the committee says of {len(self.read.pool)} posts")
            pupil = self.student_pupil(run, learner, lessons)
        return Taught(pupil, fit_lexical(lexical, rows, lessons) if lexical is not None else None, lessons)

    def distil(
        self,
        run: RunFolder,
        learner: Learner,
        machine: SelfTraining,
        trained: SelfTrained,
        lexical: LexicalTable | None,
        rows: Mapping[str, int],
    ) -> list[Lesson]:
        """What the committee says of the whole pool, and the gold labels."""
        assert self.distillation is not None
        pool, best = self.read.pool, trained.best_round
        committee = ask_committee(
            lessons=trained.lessons, pool=pool, learner=learner,
            others=[
                TunedLearner(
                    self.table, encoder=member.base, max_tokens=self.recipe.encoder.max_tokens, settings=member.tuned
                )
                for member in self.distillation.encoders
            ],
            lexical=lexical, lexical_rows=rows, loss=self.rounds.loss, settings=self.distillation,
            first=lambda: machine.logits(best, pool), task=self.read.task,
            texts={post.id: post.text for post in self.table}, folder=run.file("committee"), seed=self.recipe.seed,
            on_step=self.on_step, on_member=lambda done, total: self.announce("committee", done, total),
        )  # fmt: skip
        gold = [lesson for lesson in trained.lessons if lesson.membership.is_gold]
        return distilled_lessons(committee, pool, gold, self.distillation, round=best)

    def student_pupil(self, run: RunFolder, learner: Learner, lessons: Sequence[Lesson]) -> Pupil:
        """The student's pupil of distilled lessons."""
        if not learner.is_tuned:
            return fit_student(learner, lessons, seed=self.recipe.seed, on_step=self.on_step)
        return self.taught_once(run, PUPIL, learner, lessons)

    def taught_once(self, run: RunFolder, name: str, learner: Learner, lessons: Sequence[Lesson]) -> Pupil:
        """A tuned pupil, from the weights that it left, so that a killed run does not teach it twice."""
        kept = run.file(name)
        if not kept.exists():
            pupil = fit_student(learner, lessons, seed=self.recipe.seed, on_step=self.on_step)
            with atomic_folder(kept) as draft:
                pupil.save(draft)
        return learner.load(kept)

    def forget_pupils(self, run: RunFolder) -> None:
        """Remove the weights that a finished run no longer needs."""
        for name in (PUPIL, SHALLOW_PUPIL):
            shutil.rmtree(run.file(name), ignore_errors=True)

    def write_students(self, run: RunFolder, learner: Learner, taught: Taught, trained: SelfTrained) -> Students:
        """The student with its exports, the shallow one where it is asked for, and the fast one of n-grams alone where
        there is a tower."""
        self.announce("exporting", note="weights, ONNX, calibration")
        name = self.read.task.name

        def write(kind: str, learner: Learner | None, taught: Taught, *, distilled: str = DISTILLED) -> TextStudent:
            return write_student(
                run.file(kind), name=f"{name}-{kind.removesuffix('_student')}", learner=learner, pupil=taught.pupil,
                task=self.read.task, dev=self.read.dev, lessons=taught.lessons, lexical=taught.tower,
                abstain_accuracy=self.recipe.abstain_accuracy, first_look=self.recipe.first_look,
                export=self.recipe.export,
                lineage={
                    "run": run.path.name, "lessons_file": "lessons.jsonl", "distilled_file": distilled,
                    "taught": len(trained.lessons), "rounds": len(trained.rounds) - 1,
                    "best_round": trained.best_round, "seed": self.recipe.seed,
                    "inputs": run.manifest.get("inputs", {}),
                },
            )  # fmt: skip

        student = write("student", learner, taught)
        shallow = None
        if self.shallow is not None:
            again, lessons = self.teach_shallow(run, taught, student, round=trained.best_round)
            shallow = write("shallow_student", again, lessons, distilled=SHALLOW_DISTILLED)
            student = self.second_look(run, student, shallow)
        fast = write("fast_student", None, taught._replace(pupil=None)) if taught.tower is not None else None
        return Students(student, shallow, fast)

    def second_look(self, run: RunFolder, student: TextStudent, shallow: TextStudent) -> TextStudent:
        """The student, with the shallow one before its encoder where the recipe has it so."""
        assert self.shallow is not None
        if self.shallow.deep_share is None:
            return student
        return take_second_look(
            run.file("student"), run.file("shallow_student"), dev=self.read.dev,
            deep_share=self.shallow.deep_share, first_look=self.recipe.first_look, abstain_accuracy=self.recipe.abstain_accuracy,
            lineage={name: shallow.card.lineage[name] for name in ("lessons", "distilled_file")},
        )  # fmt: skip

    def teach_shallow(
        self, run: RunFolder, taught: Taught, student: TextStudent, *, round: int
    ) -> tuple[Learner, Taught]:
        """The shallow student's learner and lessons: the student's first layers learn what it and the committee say."""
        assert self.shallow is not None
        assert isinstance(taught.pupil, TunedPupil)
        self.announce("shallow", note=f"{self.shallow.layers} layers, learning what the student says too")
        if (kept := run.file(SHALLOW_DISTILLED)).exists():  # of a run that was killed after minutes of reading the pool
            lessons = read_lessons(kept)
        else:
            said = student.by_every_tower(self.read.pool)
            lessons = shallow_lessons(said, self.read.pool, taught.lessons, round=round)
            write_lessons(lessons, kept)
        learner = TunedLearner(
            self.table, encoder=self.recipe.encoder.base, max_tokens=self.recipe.encoder.max_tokens,
            settings=self.shallow.tuned, start=first_layers(taught.pupil.network, self.shallow.layers),
        )  # fmt: skip
        return learner, Taught(self.taught_once(run, SHALLOW_PUPIL, learner, lessons), taught.tower, lessons)

    def report(
        self, run: RunFolder, students: Students, machine: SelfTraining, trained: SelfTrained, *, command: str
    ) -> dict[str, Any]:
        """The metrics on dev, once the verdicts, the metrics and the report are written."""
        self.announce("evaluating", note=f"{len(self.read.dev)} dev posts")
        return report_run(run, self.recipe, self.read, students, machine, trained, command=command)


def panel_options(choice: PanelChoice, classifier: Judge | None) -> dict[str, Any]:
    """The options of the chosen panel: only negotiation hears the classifier, and only where both have a say."""
    return {"classifier": classifier, "preset": choice.preset} if choice.name == "negotiation" else {}
