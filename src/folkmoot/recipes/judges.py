"""A spec -> a Judge: the same for the command line, Ray's workers and whatever else needs one by name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from folkmoot.formats import load_task, read_opinions, read_posts
from folkmoot.models.chat import ChatModel, Sampling
from folkmoot.panels import PANELS, RecordedOpinions, build_panel
from folkmoot.records import BadInput, Judge, Record, Task
from folkmoot.runs import Budget, Price, RunFolder
from folkmoot.students import TextStudent
from folkmoot.students.card import CARD_FILE


class JudgeSpec(Record):
    """Who judges, in plain values, so that it can be sent to another process and written into `run.toml`.

    Exactly one of `student` (a folder), `panel` (a name) and `opinions` (a file) decides; the rest serves a panel.
    """

    student: str | None = None
    panel: str | None = None
    opinions: str | None = None
    task: str | None = None
    model: str = "embedded"
    preset: Literal["paper", "reference"] = "paper"
    classifier: str | None = None
    examples: str | None = None
    seed: int = 0
    price: Price = Price()
    ledger: str | None = None
    """A run folder whose ledger a worker of another process keeps for itself."""

    def files(self) -> dict[str, Path]:
        """The files that the judge is made of, whose hashes belong to the run."""
        named = {"opinions": self.opinions, "examples": self.examples}
        files = {name: Path(path) for name, path in named.items() if path}
        for name, folder in (("student", self.student), ("classifier", self.classifier)):
            if folder:
                files[name] = Path(folder) / CARD_FILE
        return files


def find_judge(name: str) -> JudgeSpec:
    """The spec of what `--judge` names: a student's folder, a run that left one, or a panel.

    Raises:
        BadInput: it is none of these.
    """
    folder = Path(name)
    if (folder / CARD_FILE).exists():
        return JudgeSpec(student=name)
    if (folder / "student" / CARD_FILE).exists():
        return JudgeSpec(student=str(folder / "student"))
    if name.partition(":")[0] in PANELS:
        return JudgeSpec(panel=name)
    if folder.exists():
        raise BadInput(f"{name} is no student's folder and no run that left one: it has no {CARD_FILE}")
    raise BadInput(
        f"no judge '{name}': give a student's folder, a run folder, or one of the panels {', '.join(PANELS)}"
    )


def task_of(spec: JudgeSpec) -> Task:
    """The task of a panel or of recorded opinions.

    Raises:
        BadInput: none was named.
    """
    if spec.task is None:
        raise BadInput("a panel needs a task: give --task NAME or a task's TOML file")
    return load_task(spec.task)


def build_judge(
    spec: JudgeSpec,
    *,
    run: RunFolder | None = None,
    budget: Budget | None = None,
    opened: list[ChatModel] | None = None,
) -> Judge:
    """The judge that a spec describes, its calls kept in the run's ledger.

    Args:
        opened: gets the model, which the caller closes.

    Raises:
        BadInput: the spec names something that is not there, or not exactly one judge.
        MissingExtra: what would run it is not installed.
    """
    if sum(bool(way) for way in (spec.student, spec.panel, spec.opinions)) != 1:
        raise BadInput("name exactly one judge: --judge, --panel or --opinions")
    if spec.student:
        student = TextStudent.load(spec.student)
        if spec.task and load_task(spec.task).label_names != student.task.label_names:
            raise BadInput(
                f"the student of {spec.student} was trained for task '{student.task.name}', not '{spec.task}'"
            )
        return student
    task = task_of(spec)
    if spec.opinions:
        return RecordedOpinions(task, read_opinions(Path(spec.opinions), task=task))
    from folkmoot.models.loading import load_model
    from folkmoot.runs import Ledger

    ledger = run.ledger if run else Ledger(Path(spec.ledger) / "ledger.sqlite") if spec.ledger else None
    model = load_model(spec.model, ledger=ledger, budget=budget if ledger else None, price=spec.price)
    if opened is not None:
        opened.append(model)
    options: dict[str, object] = {"sampling": Sampling(seed=spec.seed, max_tokens=256)}
    name = str(spec.panel).partition(":")[0]
    if name == "negotiation":
        options["preset"] = spec.preset
        if spec.classifier:
            options["classifier"] = TextStudent.load(spec.classifier)
    if name == "few_shot":
        if not spec.examples:
            raise BadInput("panel 'few_shot' needs examples: give --examples FILE with labelled posts")
        options["examples"] = read_posts(Path(spec.examples), task=task)
    return build_panel(str(spec.panel), task, model, **options)


def check_opinions(spec: JudgeSpec, known: set[str]) -> None:
    """Refuse opinions about posts that are not judged.

    Raises:
        BadRecord: names the file and the line.
    """
    if spec.opinions:
        read_opinions(Path(spec.opinions), task=task_of(spec), known=known)
