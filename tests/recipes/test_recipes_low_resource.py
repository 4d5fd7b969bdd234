"""Self-training from the command line: what is refused before anything is trained, and a run that is finished."""

from __future__ import annotations

import asyncio
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mild_posts import make_posts, write_files
from safetensors.numpy import load_file

import folkmoot.recipes.low_resource_report as reporting
import folkmoot.recipes.low_resource_stages as stages
from folkmoot.formats import read_posts, write_posts
from folkmoot.models.scripted import ScriptedModel
from folkmoot.recipes.low_resource import LowResource, read_gammas, rules_of
from folkmoot.recipes.low_resource_loop import FINISHED, run_low_resource
from folkmoot.records import BadInput
from folkmoot.students import Calibration, TextStudent
from folkmoot.students.card import FirstLook
from folkmoot.students.text_student import READERS

COMMAND = ("selftrain", "--task", "drinks.toml", "--labelled", "labelled.jsonl", "--pool", "pool.jsonl", "--dev",
           "dev.jsonl", "--opinions", "opinions.jsonl", "--batch", "30", "--committee", "0", "--out", "run")  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labelled posts, a pool with opinions, dev posts, and a task."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return tmp_path


def files(folder: str) -> dict[str, tuple[bytes, int]]:
    """What a run's student and report hold, and when they were written."""
    found = [*Path(folder, "student").rglob("*"), *Path(folder, "fast_student").rglob("*"), Path(folder, "report.html")]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found if path.is_file()}


def test_a_finished_run_is_told_again_and_nothing_is_written(
    tell: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, first, err = tell(*COMMAND, "--json")
    assert code == 0, err
    before = files("run")
    code, again, err = tell(*COMMAND)
    assert code == 0, err
    assert "finished before" in err
    code, again, _ = tell(*COMMAND, "--json")
    assert json.loads(again) == json.loads(first)
    assert files("run") == before

    Path("run/student/card.json").unlink()  # what is gone is made again, to the same bytes
    kept = reporting.write_report

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reporting, "write_report", killed)
    tell(*COMMAND, "--json")
    assert not Path("run", FINISHED).exists(), "a kill on the way must not leave it"
    monkeypatch.setattr(reporting, "write_report", kept)
    code, again, err = tell(*COMMAND, "--json")
    assert code == 0, err
    assert json.loads(again) == json.loads(first)
    students = {name: content for name, (content, _) in files("run").items() if "report" not in name}
    assert students == {name: content for name, (content, _) in before.items() if "report" not in name}
    assert Path("run", FINISHED).exists()


def test_posts_that_show_none_of_the_views_are_refused(tell: Any, here: Path) -> None:
    code, out, err = tell(*COMMAND, "--views", "image")
    assert (code, out) == (2, "")
    assert "labelled.jsonl: none of the 8 posts shows the view image" in err
    assert not Path("run/rounds").exists()
    code, _, err = tell(*COMMAND[:-1], "other", "--views", "image,ocr")
    assert code == 2
    assert "the views image, ocr" in err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--gamma-sweep", "0,x"), "--gamma-sweep: 'x' is no number"),
        (("--gamma-sweep", "0,2"), "--gamma-sweep: 2 arrived"),
        (("--abstain-accuracy", "1.5"), "--abstain-accuracy 1.5"),
        (("--abstain-accuracy", "0"), "--abstain-accuracy 0"),
        (("--abstain-accuracy", "-1"), "--abstain-accuracy -1"),
        (("--first-look", "1.5"), "--first-look 1.5"),
        (("--first-look", "0.99", "--no-lexical"), "a first look is the n-gram tower's"),
        (("--layers", "all", "--tune-encoder"), "a head sees all layers of a frozen encoder"),
        (("--layers", "all", "--views", "text,image"), "a head sees all layers of a frozen encoder"),
    ],
)
def test_an_option_that_is_not_accepted_is_named(tell: Any, here: Path, given: tuple[str, str], said: str) -> None:
    code, _, err = tell(*COMMAND, *given)
    assert code == 2
    assert said in err


def test_gammas_are_numbers_joined_by_commas() -> None:
    assert read_gammas("-0.1, 0,0.1") == [-0.1, 0, 0.1]
    with pytest.raises(BadInput, match="gamma-sweep"):
        read_gammas("nan")


RECIPE = """
task = "drinks.toml"
labelled = "labelled.jsonl"
pool = "pool.jsonl"
dev = "dev.jsonl"
opinions = "opinions.jsonl"
"""


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ('[rounds]\nbatch = "many"\n', ("table 'rounds', field 'batch'", "'many' arrived")),
        ("[tuned]\nepoch = 1\n", ("table 'tuned', field 'epoch'", "did you mean 'epochs'")),
        ("[frozen]\nsteps = 0\n", ("table 'frozen', field 'steps'", "0 arrived")),
        ('[encoder]\ntune = "no"\n', ("field 'encoder.tune'", "'no' arrived")),
        ('[rounds]\nuse_disagreed = "no"\n', ("field 'use_disagreed'", "'no' arrived")),
    ],
)
def test_a_recipes_bad_field_is_told_with_file_and_value(
    tell: Any, here: Path, tables: str, said: tuple[str, ...]
) -> None:
    Path("r.toml").write_text(RECIPE + tables)
    code, _, err = tell("run", "r.toml", "--data", ".", "--out", "run")
    assert code == 2
    for words in ("r.toml", *said):
        assert words in err
    assert not Path("run").exists()


def test_the_summary_says_how_many_posts_the_student_abstains_from(tell: Any, here: Path) -> None:
    noisy = make_posts(40, seed=3, prefix="d")
    swapped = {"tea": "rain", "rain": "tea"}
    write_posts(
        [p.model_copy(update={"label": swapped[str(p.label)]}) if n < 6 else p for n, p in enumerate(noisy)],
        Path("dev.jsonl"),
    )
    code, out, err = tell(*COMMAND, "--abstain-accuracy", "1.0", "--no-lexical")
    assert code == 0, err
    assert "it abstains from " in out
    assert " of 40 dev posts" in out


def test_the_panels_model_is_closed_where_the_run_fails(here: Path) -> None:
    closed = []

    class Watched(ScriptedModel):
        async def aclose(self) -> None:
            closed.append(self.name)

    recipe = LowResource(task="drinks.toml", labelled="labelled.jsonl", pool="pool.jsonl", dev="dev.jsonl")
    with pytest.raises(BadInput, match="has 0 replies"):
        asyncio.run(run_low_resource(recipe, here / "run", model_for=lambda run: Watched([])))
    assert len(closed) == 1


def test_a_first_look_is_taken_by_default_and_can_be_left_out(tell: Any, here: Path) -> None:
    shares = []
    for given in ((), ("--first-look", "0")):
        out = f"run{len(shares)}"
        code, _, err = tell(*COMMAND[:-1], out, *given)
        assert code == 0, err
        shares.append(json.loads(Path(out, "student/card.json").read_text())["dev"]["first_look_share"])
    assert shares[0] > 0
    assert shares[1] is None
    assert "n-grams alone decide" in Path("run0/report.html").read_text()
    assert "n-grams alone decide" not in Path("run1/report.html").read_text()


def test_a_frozen_encoders_head_sees_all_layers_unless_told_otherwise(tell: Any, here: Path) -> None:
    for given, layers in (((), "all"), (("--layers", "last"), "last"), (("--preset", "paper"), "last")):
        code, _, err = tell(*COMMAND[:-1], layers, *given)
        assert code == 0, err
        held = tomllib.loads(Path(layers, "run.toml").read_text())
        assert held["configuration"]["recipe"]["encoder"]["layers"] == layers
        weights = load_file(Path(layers, "student/model.safetensors"))["head.weight"]
        assert weights.shape == (1, 6 * 384 if layers == "all" else 384)
        assert ("all layers" in Path(layers, "report.html").read_text()) == (layers == "all")
        shutil.rmtree(layers)


def test_rules_suit_the_encoder() -> None:
    frozen, tuned = (rules_of("folkmoot", encoder="embedded", tune=tune) for tune in (False, True))
    assert frozen["rounds"]["agreement"]["heard"] == "last"
    assert frozen["encoder"] == {"layers": "all"}
    assert tuned["rounds"]["agreement"]["heard"] == "first"
    assert "encoder" not in tuned
    large = rules_of("folkmoot", encoder="embedded-large", tune=True)
    shipped = tomllib.loads((Path(__file__).parents[2] / "recipes" / "offensive-tuned.toml").read_text())
    shipped["shallow"]["layers"] = large["shallow"]["layers"]  # how many a task needs, dev chose for each
    shipped["shallow"]["deep_share"] = large["shallow"]["deep_share"]
    assert {
        name: shipped[name] for name in ("rounds", "tuned", "distillation", "shallow", "lexical", "first_look")
    } == large
    assert rules_of("paper", encoder="embedded-large", tune=True).get("tuned") is None


def test_a_pupil_of_another_encoder_joins_the_committee(tell: Any, here: Path) -> None:
    recipe = (
        'kind = "selftrain"\n' + RECIPE + 'export = false\n[rounds]\nbatch = 30\n[rounds.agreement]\nsource = "panel"\n'
        '[distillation]\nmembers = 1\n[[distillation.encoders]]\nbase = "embedded"\ntuned = { learning_rate = 1e-4 }\n'
    )
    Path("r.toml").write_text(recipe)
    heard = Path("opinions.jsonl").read_text().splitlines(keepends=True)
    Path("opinions.jsonl").write_text("".join(heard[: len(heard) // 2]))  # the rest of the pool is taught all the same
    code, _, err = tell("run", "r.toml", "--data", ".", "--out", "run")
    assert code == 0, err
    assert len(np.load("run/committee/member_00.npy")) > len(np.load("run/rounds/pool_logits_000.npy"))
    kept = Path("run/committee/encoder_00.npy")
    made = kept.stat().st_mtime_ns
    assert len(np.load(kept)) == len(Path("pool.jsonl").read_text().splitlines())

    Path("run/student/card.json").unlink()
    assert tell("run", "r.toml", "--data", ".", "--out", "run")[0] == 0
    assert kept.stat().st_mtime_ns == made, "it was not taught again"

    Path("r.toml").write_text(recipe.replace('base = "embedded"', 'base = "none"'))
    code, _, err = tell("run", "r.toml", "--data", ".", "--out", "other")
    assert code == 2
    assert "none is no encoder" in err
    assert not Path("other").exists()


SHALLOW = {
    "task": "drinks.toml", "labelled": "labelled.jsonl", "pool": "pool.jsonl", "dev": "dev.jsonl",
    "opinions": "opinions.jsonl", "encoder": {"tune": True, "threads": 1}, "lexical": True,
    "rounds": {"max_rounds": 1, "batch": 20, "agreement": {"source": "panel"}}, "distillation": {"members": 1},
    "shallow": {"layers": 2, "deep_share": 0.5},
}  # fmt: skip


def test_a_shallow_student_keeps_the_first_layers_and_is_taught_once(
    tell: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = LowResource.model_validate(SHALLOW)
    kept = stages.Stages.report

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages.Stages, "report", stopped)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(run_low_resource(recipe, here / "run"))
    assert (here / "run" / stages.SHALLOW_PUPIL).is_dir()
    monkeypatch.setattr(stages.Stages, "report", kept)
    monkeypatch.setattr(stages, "fit_student", stopped)
    monkeypatch.setattr(stages, "shallow_lessons", stopped)
    trained = asyncio.run(run_low_resource(recipe, here / "run"))
    assert not (here / "run" / stages.SHALLOW_PUPIL).exists(), "a finished run keeps no second copy"

    deep, shallow = (Path(folder) for folder in (trained.student, str(trained.shallow_student)))
    depths = [json.loads((folder / "encoder.json").read_text())["num_hidden_layers"] for folder in (deep, shallow)]
    assert depths == [6, 2]
    sizes = [(folder / "model.onnx").stat().st_size for folder in (deep, shallow)]
    assert sizes[1] < sizes[0] - 4 * 4 * 1_700_000, "four layers of 1.77 million numbers are gone"
    judges = json.loads(Path(trained.folder, "metrics.json").read_text())["comparison"]["judges"]
    assert {"student", "thorough student", "shallow student"} <= judges.keys()
    for folder in (deep, shallow):
        code, out, err = tell("trace", "--judge", folder, "--posts", "dev.jsonl", "--id", "d0", "--json")
        assert code == 0, err
        told = json.loads(out)
        assert told["lessons_hash_holds"]
        assert told["decided_by"] in READERS
    assert 0 < json.loads((deep / "card.json").read_text())["dev"]["deep_share"] <= 0.5
    assert "a shallow student decides what it is sure of" in Path(trained.report).read_text()

    distilled = Path(trained.folder, stages.SHALLOW_DISTILLED)
    distilled.write_text("".join(distilled.read_text().splitlines(keepends=True)[1:]))
    assert not json.loads(tell("trace", "--judge", deep, "--posts", "dev.jsonl", "--id", "d0", "--json")[1])[
        "lessons_hash_holds"
    ]


def test_a_thorough_student_reads_every_post_with_all_it_has(tell: Any, here: Path) -> None:
    code, _, err = tell(*COMMAND, "--first-look", "0")
    assert code == 0, err
    folder = Path("run/student")
    student = TextStudent.load(folder)
    look = FirstLook(calibration=Calibration(scale=0.0, lexical_scale=-1.0), sure_from=0.5)  # always sure, mostly wrong
    student.card.model_copy(update={"first_look": look}).save(folder)
    for name, given in (("quick", ()), ("whole", ("--thorough",))):
        code, _, err = tell("judge", "--judge", folder, "--posts", "dev.jsonl", "--out", f"{name}.jsonl", *given)
        assert code == 0, err
    labels = [
        [json.loads(line)["label"] for line in Path(f"{name}.jsonl").read_text().splitlines()]
        for name in ("quick", "whole")
    ]
    assert labels[0] != labels[1]
    assert labels[1] == [verdict.label for verdict in student.verdicts(read_posts(Path("dev.jsonl")))]
    code, _, err = tell("judge", "--judge", folder, "--posts", "dev.jsonl", "--out", "quick.jsonl", "--thorough")
    assert code == 2, "another judge than the one whose run this is"
    code, _, err = tell(
        "judge", "--panel", "direct", "--task", "drinks.toml", "--posts", "dev.jsonl", "--out", "p.jsonl", "--thorough"
    )
    assert code == 2
    assert "--thorough is for a student" in err


def test_the_share_for_the_whole_encoder_is_a_share(tell: Any, here: Path) -> None:
    for given, said in (
        (("--deep-share", "1.5"), "--deep-share 1.5: more than 0 and less than 1 is accepted"),
        (("--deep-share", "0.1"), "--deep-share is for a shallow student: add --shallow LAYERS"),
    ):
        code, _, err = tell(*COMMAND, *given)
        assert code == 2
        assert said in err


def test_a_shallow_student_needs_a_deeper_tuned_one(here: Path) -> None:
    for changed, said in (
        ({"shallow": {"layers": 6}}, "field 'layers': 6 arrived; the encoder embedded has 6 layers"),
        ({"shallow": {"layers": 0}}, "field 'layers': Input should be greater than 0"),
        ({"encoder": {"tune": False}}, "first layers of a tuned one"),
    ):
        recipe = LowResource.model_validate({**SHALLOW, **changed})
        with pytest.raises(BadInput, match=said):
            asyncio.run(run_low_resource(recipe, here / "other"))
    assert not (here / "other").exists()


def test_a_tuned_student_is_taught_once_though_the_run_is_killed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = LowResource.model_validate(
        {
            "task": "drinks.toml", "labelled": "labelled.jsonl", "pool": "pool.jsonl", "dev": "dev.jsonl",
            "opinions": "opinions.jsonl", "encoder": {"tune": True, "threads": 1}, "export": False,
            "rounds": {"max_rounds": 1, "batch": 20, "agreement": {"source": "panel"}}, "distillation": {"members": 1},
        }
    )  # fmt: skip
    whole = asyncio.run(run_low_resource(recipe, here / "whole"))

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages, "write_student", stopped)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(run_low_resource(recipe, here / "killed"))
    assert (here / "killed" / stages.PUPIL).is_dir()
    with monkeypatch.context() as patch:
        patch.setattr(stages, "fit_student", stopped)
        again = asyncio.run(run_low_resource(recipe, here / "killed"))
    assert again.metrics == whole.metrics
    weights = [Path(run.student, "model.safetensors").read_bytes() for run in (whole, again)]
    assert weights[0] == weights[1]
    assert not (here / "whole" / stages.PUPIL).exists(), "a finished run keeps no second copy"
    assert not (here / "killed" / stages.PUPIL).exists()
