"""A spec -> a Judge: the same for the command line, Ray's workers and whatever else needs one by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from folkmoot.formats import load_task, read_opinions, read_posts
from folkmoot.formats.fields import did_you_mean
from folkmoot.formats.profiles import WORLD, read_profiles
from folkmoot.models.chat import ChatModel, Sampling
from folkmoot.models.cores import available_cores
from folkmoot.models.loading import keep_calls, load_model
from folkmoot.panels import PANELS, RecordedOpinions, build_panel
from folkmoot.panels.society import RecordedSociety
from folkmoot.perception import PerceptionSettings
from folkmoot.recipes.sources import LOOKING, RETRIEVING, WorldSpec, looking, retriever_of
from folkmoot.recipes.toml_file import read_toml
from folkmoot.records import BadInput, BadRecord, Judge, Record, Task
from folkmoot.runs import Budget, Ledger, Price, RunFolder
from folkmoot.students import card_file, open_student
from folkmoot.students.grounding import GROUNDER_FILE, grounder_folder, open_grounder
from folkmoot.students.opening import CARD_FILES

REPLY_TOKENS = 256
BRIEF_LOOK = PerceptionSettings(ocr_frames=8)
"""Fewer frames read for text, where a third of the observations is shown."""
SMALL_MODEL_PENALTY = 0.4
"""The embedded model repeats itself for ever without (chosen: four clips were judged to their end with it)."""
TEAM_CONTEXT_TOKENS = 8192
"""A dossier with evidence takes more than a post (SmolLM2's own limit)."""
PATHS = ("student", "opinions", "classifier", "examples", "ledger", "profiles", "grounder", "router")


class JudgeSpec(Record):
    """Who judges, in plain values, so that it can be sent to another process and read from a recipe.

    A `student` (a folder) decides, or a `panel` (a name), whose calls a file of `opinions` can take the place of;
    opinions alone will do. The rest serves a panel.
    """

    student: str | None = None
    thorough: bool = False
    """Every tower of the student reads every post, whatever its looks would spare it."""
    panel: str | None = None
    opinions: str | None = None
    task: str | None = None
    model: str = "embedded"
    preset: Literal["paper", "reference", "delphi_agent"] = "paper"
    classifier: str | None = None
    examples: str | None = None
    profiles: str | None = None
    users: int = Field(default=8, ge=1)
    attempts: int = Field(default=3, ge=1)
    suffices: int = Field(default=7, ge=1, le=10)
    grounder: str | None = None
    router: str | None = None
    seed: int = 0
    world: WorldSpec = WorldSpec()
    price: Price = Price()
    ledger: str | None = None
    """A run folder whose ledger a worker of another process keeps for itself."""

    @property
    def calls_model(self) -> bool:
        """Whether judging takes a model's calls."""
        return self.panel is not None and self.opinions is None

    def files(self) -> dict[str, Path]:
        """The files that the judge is made of, whose hashes belong to the run."""
        own = self.profiles if self.profiles != WORLD else None
        named = {"opinions": self.opinions, "corpus": self.world.corpus, "examples": self.examples, "profiles": own}
        files = {name: Path(path) for name, path in named.items() if path}
        for name, folder in (("student", self.student), ("classifier", self.classifier)):
            if folder and (card := card_file(folder)) is not None:
                files[name] = card
        if self.router:
            files["router"] = router_folder(self.router)
        if self.grounder:
            files["grounder"] = grounder_folder(Path(self.grounder)) / GROUNDER_FILE
        return files

    def anchored(self, folder: Path | None = None) -> JudgeSpec:
        """The same spec with absolute paths, relative ones taken from `folder`; by default from the current one."""
        folder = (folder or Path()).absolute()
        found = {name: str(folder / path) for name in PATHS if (path := getattr(self, name)) and path != WORLD}
        if self.task and self.task.endswith(".toml"):
            found["task"] = str(folder / self.task)
        world = {name: str(folder / path) for name in ("corpus", "snapshot") if (path := getattr(self.world, name))}
        kind, colon, path = self.model.partition(":")
        if colon and kind in ("transformers", "replay"):
            found["model"] = f"{kind}:{folder / path}"
        return self.model_copy(update={**found, "world": self.world.model_copy(update=world)})


def find_judge(name: str) -> JudgeSpec:
    """The spec of what `--judge` names: a student's folder, a run that left one, a recipe's TOML file, or a panel.

    Raises:
        BadInput: it is none of these.
    """
    folder = Path(name)
    if (student := student_folder(folder)) is not None:
        return JudgeSpec(student=name if student == folder else str(student))
    if name.endswith(".toml"):
        return read_judge(folder)
    plain = name.partition(":")[0]
    if plain in PANELS:
        return JudgeSpec(panel=name)
    if folder.exists():
        raise BadInput(without_student(folder))
    raise BadInput(
        f"no judge '{name}'{did_you_mean(plain, list(PANELS))}: give a student's folder, a run folder, a recipe's .toml "
        f"file, or one of the panels {', '.join(PANELS)}"
    )


def student_folder(path: Path) -> Path | None:
    """The student's folder that a path names: itself, or the one that a run or a society's loop left in it."""
    places = (path, path / "student", path / "student" / "student")
    return next((place for place in places if card_file(place) is not None), None)


def without_student(path: Path) -> str:
    """The words of an error about a folder in which there is no student."""
    return (
        f"{path} is no student's folder and no run that left one: it has neither {' nor '.join(CARD_FILES)}. Make one "
        "with 'folkmoot selftrain', 'folkmoot distill' or 'folkmoot run', and give its run folder."
    )


def read_judge(path: Path) -> JudgeSpec:
    """The judge of a recipe with `kind = "judge"` and a `JudgeSpec`'s fields; paths are relative to the file.

    Raises:
        BadInput: the file is missing or a loop's recipe.
        BadRecord: it is not TOML, or a field is unknown or not accepted.
    """
    values = read_toml(path, remedy='give the path of a .toml file with kind = "judge"')
    kind = values.pop("kind", None)
    if kind != "judge":
        raise BadInput(
            f"{path} has kind = {kind!r}; a judge's recipe has kind = \"judge\". A loop's is run with 'folkmoot run', "
            "and its run folder is then the judge."
        )
    try:
        return JudgeSpec.model_validate(values).anchored(path.parent)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        hint = did_you_mean(field, list(JudgeSpec.model_fields)) if first["type"] == "extra_forbidden" else ""
        raise BadRecord(path, None, field, f"{first['msg']}{hint}.") from None


def task_of(spec: JudgeSpec) -> Task:
    """The task of a panel or of recorded opinions.

    Raises:
        BadInput: none was named.
    """
    if spec.task is None:
        raise BadInput("a panel needs a task: give --task NAME or a task's TOML file")
    return load_task(spec.task)


def model_of(spec: JudgeSpec) -> ChatModel:
    """The model that a panel calls, with room for a dossier where the panel has one."""
    if str(spec.panel).partition(":")[0] in LOOKING:
        # One slot, so that a dossier is read once for all the questions about it; every core, as they come in turn.
        return load_model(spec.model, slots=1, context_tokens=TEAM_CONTEXT_TOKENS, threads=available_cores())
    return load_model(spec.model)


def build_judge(
    spec: JudgeSpec,
    *,
    model: ChatModel | None = None,
    run: RunFolder | None = None,
    budget: Budget | None = None,
    opened: list[ChatModel] | None = None,
) -> Judge:
    """The judge that a spec describes, its calls kept in the run's ledger.

    Args:
        model: the panel's model, where it is loaded already.
        opened: gets the model, which the caller closes.

    Raises:
        BadInput: the spec names something that is not there, or not exactly one judge.
        MissingExtra: what would run it is not installed.
    """
    if bool(spec.student) == bool(spec.panel or spec.opinions):
        raise BadInput("name exactly one judge: --judge, --panel or --opinions")
    if spec.student:
        student = open_student(spec.student, thorough=spec.thorough)
        if spec.task and load_task(spec.task).label_names != student.task.label_names:
            raise BadInput(
                f"the student of {spec.student} was trained for task '{student.task.name}', not '{spec.task}'"
            )
        return student
    name = str(spec.panel).partition(":")[0]
    if spec.panel and name not in PANELS:
        raise BadInput(f"no panel '{name}'{did_you_mean(name, list(PANELS))}; there are {', '.join(PANELS)}")
    task = task_of(spec)
    if spec.opinions and name == "society":
        return RecordedSociety(task, read_opinions(Path(spec.opinions), task=task))
    if spec.opinions:
        recorded = "recorded" if spec.preset == "paper" else f"recorded-{spec.preset}"
        rule: Literal["paper", "reference"] = "reference" if spec.preset == "reference" else "paper"
        return RecordedOpinions(task, read_opinions(Path(spec.opinions), task=task), name=recorded, rule=rule)
    options: dict[str, object] = {"sampling": Sampling(seed=spec.seed, max_tokens=REPLY_TOKENS)}
    if name == "negotiation":
        options["preset"] = spec.preset
        if spec.classifier:
            options["classifier"] = open_student(spec.classifier)
    if name == "society":
        options |= {
            "profiles": read_profiles(spec.profiles or WORLD).profiles, "users": spec.users, "seed": spec.seed,
        }  # fmt: skip
    if name in RETRIEVING:
        options["retriever"] = retriever_of(spec.world)
        options["as_of"] = spec.world.as_of
    if name == "delphi":
        world, is_small = spec.world, spec.model.startswith("embedded")
        options |= {
            "preset": spec.preset, "gate": world.gate, "threshold": world.threshold, "without": world.without,
            "passages": world.passages, "allow_undated": world.allow_undated, "allowed": world.allowed or None,
            "sampling": Sampling(
                seed=spec.seed, max_tokens=2 * REPLY_TOKENS, frequency_penalty=SMALL_MODEL_PENALTY if is_small else 0.0
            ),
            "brief": is_small,
        }  # fmt: skip
    if name == "reflection":
        is_small = spec.model.startswith("embedded")
        options |= {
            "preset": spec.preset, "attempts": spec.attempts, "suffices": spec.suffices, "without": spec.world.without,
            "brief": is_small, "grounder": open_grounder(spec.grounder) if spec.grounder else None,
            "sampling": Sampling(
                seed=spec.seed, max_tokens=2 * REPLY_TOKENS, frequency_penalty=SMALL_MODEL_PENALTY if is_small else 0.0
            ),
        }  # fmt: skip
    if name == "few_shot":
        if not spec.examples:
            raise BadInput("panel 'few_shot' needs examples: give --examples FILE with labelled posts")
        options["examples"] = read_posts(Path(spec.examples), task=task)
    model = model or model_of(spec)
    if opened is not None:
        opened.append(model)
    ledger = run.ledger if run else Ledger(Path(spec.ledger) / "ledger.sqlite") if spec.ledger else None
    if ledger is not None:
        model = keep_calls(model, ledger, budget=budget, price=spec.price)
    if name == "reflection" and spec.router:
        router = load_router(spec.router)
        if opened is not None:
            opened.append(router)
        options["router"] = keep_calls(router, ledger, budget=budget, price=Price()) if ledger is not None else router
    if name in LOOKING:
        settings = BRIEF_LOOK if spec.model.startswith("embedded") else PerceptionSettings()
        options["look"] = looking(settings, captioner=model if spec.world.captions else None)
    return build_panel(str(spec.panel), task, model, **options)


def load_router(name: str) -> ChatModel:
    """The distilled router of a folder or run. It was taught the form of its reply and is not told it again."""
    from folkmoot.models.transformers import TransformersModel

    return TransformersModel(router_folder(name), json_request="")


def router_folder(name: str) -> Path:
    """The folder of a distilled router, or of the run that left one."""
    return next(
        (path for path in (Path(name) / "router", Path(name) / "router_run" / "router") if path.is_dir()), Path(name)
    )


def configuration_of(spec: JudgeSpec, judge: Judge, model: ChatModel | None = None) -> dict[str, Any]:
    """What makes a run of this judge the same run: no path, no address and no price, which may change on the way."""
    configuration: dict[str, Any] = {
        "verb": "judge", "judge": judge.name, "task": {"name": judge.task.name, "sha256": judge.task.hash}
    }  # fmt: skip
    if spec.thorough:
        configuration["thorough"] = True
    if model is not None:
        configuration |= {"model": model.name, "seed": spec.seed}
        if spec.panel and spec.panel.startswith("society"):
            configuration["users"] = spec.users
        if spec.panel and spec.panel.startswith("reflection"):
            configuration |= {"attempts": spec.attempts, "suffices": spec.suffices, "router": spec.router is not None}
        if spec.panel and spec.panel.partition(":")[0] in RETRIEVING:
            configuration["world"] = spec.world.configuration()
    return configuration


def check_opinions(spec: JudgeSpec, known: set[str]) -> None:
    """Refuse opinions about posts that are not judged.

    Raises:
        BadRecord: names the file and the line.
    """
    if spec.opinions:
        read_opinions(Path(spec.opinions), task=task_of(spec), known=known)
