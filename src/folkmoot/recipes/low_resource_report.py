"""What a low-resource run tells at its end: its verdicts on dev, its metrics and its report. Importing it imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from folkmoot.evaluation import compare_judges, evaluate, write_report
from folkmoot.formats import write_verdicts
from folkmoot.recipes.low_resource import LowResource, PanelChoice
from folkmoot.recipes.low_resource_inputs import Inputs
from folkmoot.recipes.reporting import flat
from folkmoot.records import Opinion, Verdict
from folkmoot.runs import RunFolder
from folkmoot.students import TextStudent
from folkmoot.students.card import StudentCard
from folkmoot.training.prior import estimate_prior
from folkmoot.training.self_training import SelfTrained, SelfTraining


class Students(NamedTuple):
    """The students that a run writes."""

    student: TextStudent
    shallow: TextStudent | None
    fast: TextStudent | None


def report_run(
    run: RunFolder,
    recipe: LowResource,
    read: Inputs,
    students: Students,
    machine: SelfTraining,
    trained: SelfTrained,
    *,
    command: str,
) -> dict[str, Any]:
    """The metrics on dev, once the verdicts, the metrics and the report are written."""
    task, dev, opinions = read.task, read.dev, read.opinions
    blind = [post.blind() for post in dev]
    judges: dict[str, Sequence[Verdict]] = {"student": students.student.verdicts(blind)}
    if students.student.card.second_look is not None:
        thorough = TextStudent.load(run.file("student"), thorough=True)
        judges["thorough student"] = thorough.verdicts(blind)
    if students.shallow is not None:
        judges["shallow student"] = students.shallow.verdicts(blind)
    if students.fast is not None:
        judges["fast student"] = students.fast.verdicts(blind)
    judges["gold labels alone (round 0)"] = machine.first_verdicts()
    write_verdicts(judges["student"], run.file("dev_verdicts.jsonl"))
    metrics = evaluate(judges["student"], dev, task)
    side_by_side = compare_judges(judges, dev, task=task)
    rounds = [r.model_dump(mode="json") for r in trained.rounds]
    summary: dict[str, Any] = {
        "dev": metrics.model_dump(mode="json"),
        "comparison": side_by_side.model_dump(mode="json"),
        "rounds": rounds,
        "student": students.student.card.dev,
        "runtime": students.student.runtime,
    }
    if recipe.estimate_prior:
        share = sum(post.label == task.positive for post in read.labelled) / len(read.labelled)
        said = students.student.probabilities(read.pool)
        summary["estimated_prior"] = estimate_prior(said, labelled_prior=share)
    run.write_metrics(summary)
    write_report(
        run.file("report.html"),
        title=recipe.title or f"{task.name}: learned from {len(read.labelled)} labels",
        task=task,
        metrics=metrics,
        verdicts=judges["student"],
        gold=dev,
        opinions=opinions_of_panel(run.file("rounds") / "panel.jsonl") if opinions is None else dict(opinions),
        posts=read.pool,
        rounds=rounds,
        comparison=side_by_side,
        cost=run.ledger.totals().model_dump() if run.file("ledger.sqlite").exists() else None,
        provenance={"command": command, **flat(run.manifest)},
        setting=setting_words(recipe, read, students.student),
    )
    held: dict[str, Any] = summary["dev"]
    return held


def setting_words(recipe: LowResource, read: Inputs, student: TextStudent) -> dict[str, str]:
    """The setting in words, for the report."""
    card = student.card
    heard = f", {len(read.opinions)} of them with recorded opinions" if read.opinions is not None else ""
    how = "tuned" if recipe.encoder.tune else "frozen" + (", all layers" if recipe.encoder.layers == "all" else "")
    return {
        "Gold labels": f"{len(read.labelled)} posts that people labelled",
        "Pool": f"{len(read.pool)} unlabelled posts{heard}",
        "Opinions": panel_words(recipe.panel, read.opinions),
        "Student": f"reads {', '.join(card.views)}; {', '.join(card.towers)} on {card.base}, {how}, runs on "
        f"{student.runtime}{look_words(card)}",
        "Scored on": f"{len(read.dev)} dev posts, which also chose the rounds and the calibration",
    }


def panel_words(choice: PanelChoice, opinions: Mapping[str, Sequence[Opinion]] | None) -> str:
    """The panel in words, for the report."""
    if opinions is None:
        return f"{choice.name} ({choice.preset})"
    agents = sorted({opinion.agent for said in opinions.values() for opinion in said})
    return f"recorded opinions of {' and '.join(agents)} (a language model in these roles, not people)"


def look_words(card: StudentCard) -> str:
    """What the report says of the posts that the encoder is spared."""
    first, deep = card.dev.get("first_look_share"), card.dev.get("deep_share")
    said = f"; n-grams alone decide the {first:.0%} on which they are sure" if first else ""
    if deep is not None:
        said += f"; a shallow student decides what it is sure of, and the whole encoder reads {deep:.0%}"
    return said


def opinions_of_panel(path: Path) -> dict[str, Sequence[Opinion]]:
    """The opinions of a live panel's verdicts, by post."""
    if not path.exists():
        return {}
    verdicts = (Verdict.from_line(line) for line in path.read_text().splitlines() if line)
    return {verdict.id: verdict.opinions for verdict in verdicts}
