"""A run folder -> what its report shows: verdicts, gold labels, rounds, cost and where all of it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from folkmoot.evaluation import SideBySide
from folkmoot.formats import load_task, read_posts, read_verdicts, shipped_tasks
from folkmoot.records import BadInput, Post, Task, Verdict
from folkmoot.runs import RunFolder
from folkmoot.runs.manifest import input_hash
from folkmoot.students.card import CARD_FILE, StudentCard

DEV_VERDICTS = "dev_verdicts.jsonl"


class RunContents(NamedTuple):
    """What a run folder tells of itself; None where it holds no such thing."""

    task: Task | None
    verdicts: list[Verdict] | None
    gold: list[Path]
    opinions: Path | None
    pool: Path | None
    rounds: list[dict[str, Any]] | None
    comparison: SideBySide | None
    cost: dict[str, Any] | None
    provenance: dict[str, str]


def read_run(path: Path) -> RunContents:
    """The contents of a run of `judge`, or of a self-training one, whose verdicts are those on its dev posts.

    Raises:
        BadInput: there is no run folder, or a file that the run has read has changed since.
    """
    run = RunFolder.read(path)
    check_inputs(run)
    inputs = {name: Path(entry["path"]) for name, entry in run.manifest["inputs"].items()}
    metrics = json.loads(run.file("metrics.json").read_text("utf-8")) if run.file("metrics.json").exists() else {}
    is_training = run.file(DEV_VERDICTS).exists()
    verdicts = None
    if is_training:
        verdicts = read_verdicts(run.file(DEV_VERDICTS))
    elif len(run.verdict_log):
        verdicts = list(run.verdict_log.verdicts().values())
    posts = [file for name, file in sorted(inputs.items()) if name.split("_")[0] == "posts"]
    return RunContents(
        task=_task(run),
        verdicts=verdicts,
        gold=[inputs["dev"]] if is_training and "dev" in inputs else posts,
        opinions=inputs.get("opinions"),
        pool=inputs.get("pool"),
        rounds=metrics.get("rounds"),
        comparison=SideBySide.model_validate(metrics["comparison"]) if "comparison" in metrics else None,
        cost=run.ledger.totals().model_dump() if run.file("ledger.sqlite").exists() else None,
        provenance=flat(run.manifest),
    )


def check_inputs(run: RunFolder) -> None:
    """Refuse to report on files that are not those that the run has read. One that is gone is left out of the page.

    Raises:
        BadInput: names the first file that has changed.
    """
    for name, entry in run.manifest["inputs"].items():
        path = Path(entry["path"])
        if path.exists() and input_hash(path, name) != entry["sha256"]:
            raise BadInput(
                f"{path} ('{name}') has changed since the run in {run.path} read it, so the page would mix two "
                "experiments. Put the old file back, or run again in a new folder."
            )


def gold_posts(paths: list[Path], task: Task) -> list[Post]:
    """The posts of the files that have a gold label.

    Raises:
        BadInput: none has.
    """
    labelled = [
        post for path in paths for post in read_posts(path, task=task, needs_content=False) if post.label is not None
    ]
    if not labelled:
        named = ", ".join(map(str, paths)) or "the run"
        raise BadInput(f"a report scores verdicts, and no post of {named} has a label; give --gold")
    return labelled


def _task(run: RunFolder) -> Task | None:
    """The task by the student's card, or the shipped one with the hash that the run has written down."""
    if run.file(f"student/{CARD_FILE}").exists():
        return StudentCard.load(run.file("student")).task
    named = run.configuration.get("task")
    if isinstance(named, dict) and named.get("name") in shipped_tasks():
        task = load_task(named["name"])
        return task if task.hash == named.get("sha256") else None
    return None


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested table with dotted names, for people to read."""
    result: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            result.update(flat(value, f"{prefix}{key}."))
        else:
            result[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return result
