"""The shipped recipes load, and a society's whole loop runs from one file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_models import save_llama

from folkmoot.formats import read_verdicts, write_posts
from folkmoot.recipes.launched import one_process
from folkmoot.recipes.reading import read_recipe
from folkmoot.recipes.social import SocialLoop
from folkmoot.recipes.society_loop import SocietyLoop, run_society_loop
from folkmoot.records import BadInput, BadRecord, Post

RECIPES = Path(__file__).parent.parent.parent / "recipes"
Tell = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_is_one_of_the_loops(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.kind in ("selftrain", "society_loop", "distill", "social")
    if isinstance(recipe, SocialLoop):
        assert [part.part for part in recipe.parts()] == ["router", "grounder"]


def test_a_recipe_of_an_unknown_kind_suggests_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('kind = "society-loop"\n')
    with pytest.raises(BadRecord, match="Did you mean 'society_loop'"):
        read_recipe(tmp_path / "r.toml")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe r.toml with its files: judged posts, dev posts, users, opinions and reasoning."""
    monkeypatch.chdir(tmp_path)
    save_llama(Path("base"), context=1024)
    other = {"fake": "real", "real": "fake"}
    posts = [Post(id=f"p{n}", text=f"tea {n} cures rain" if n % 2 else f"the tea house opens at {n}",
                  label="fake" if n % 2 else "real") for n in range(16)]  # fmt: skip
    write_posts(posts[:8], Path("posts.jsonl"))
    write_posts(posts[8:], Path("dev.jsonl"))
    Path("users.jsonl").write_text('{"id":"ann","interests":["Tea"]}\n{"id":"bob","interests":["Tea"]}\n')
    opinions, scot = [], []
    for post in posts[:8]:
        said = {"ann": str(post.label), "bob": other[str(post.label)]}
        opinions += [
            {"id": post.id, "agent": a, "round": 0, "label": label, "confidence": 0.7, "rationale": "so"}
            for a, label in said.items()
        ]
        classes = [{"user": "ann", "class": "correct"}, {"user": "bob", "class": "incorrect"}]
        scot.append(
            {
                "id": post.id,
                "classes": classes,
                "chosen": f"so\nVerdict: {post.label}",
                "rejected": f"no\nVerdict: {other[str(post.label)]}",
            }
        )
    for name, rows in (("opinions.jsonl", opinions), ("scot.jsonl", scot)):
        Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("r.toml").write_text(
        'kind = "society_loop"\ntask = "misinformation"\nposts = "posts.jsonl"\nprofiles = "users.jsonl"\n'
        'opinions = "opinions.jsonl"\nscot = "scot.jsonl"\ndev = "dev.jsonl"\n'
        f'[distillation]\nbase = "{tmp_path / "base"}"\nthreads = 1\n[distillation.settings]\nloss = "scpo"\nlora_rank = 2\nbatch_size = 4\n'
    )
    return tmp_path


def test_opinions_become_a_student_from_one_file_and_the_same_command_takes_no_step_again(
    tell: Tell, here: Path
) -> None:
    code, out, err = tell("run", "r.toml", "--data", ".", "--out", "loop", "--json")
    assert code == 0, err
    done = json.loads(out)
    assert (done["society"]["posts"], done["pairs"]["pairs"], done["student"]["steps"]) == (8, 8, 4)
    assert done["society"]["outcomes"] == {"abstained": 8}
    code, again, err = tell("run", "r.toml", "--data", ".", "--out", "loop", "--json")
    assert code == 0, err
    assert json.loads(again)["student"]["metrics"] == done["student"]["metrics"]
    for judge in ("loop/student", "loop"):
        code, _, err = tell("judge", "--judge", judge, "--posts", "dev.jsonl", "--out", f"V-{Path(judge).name}.jsonl")
        assert code == 0, err
    assert len(read_verdicts("V-student.jsonl")) == 8
    assert read_verdicts("V-loop.jsonl") == read_verdicts("V-student.jsonl")
    code, out, err = tell("trace", "--judge", "loop", "--posts", "dev.jsonl", "--id", "p9")
    assert code == 0, err
    assert "student loop/student/student" in out
    code, _, err = tell("trace", "--judge", "loop/society", "--posts", "dev.jsonl", "--id", "p9")
    assert code == 2
    assert "'folkmoot distill'" in err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('dev = "dev.jsonl"', 'dev = "gone.jsonl"', "gone.jsonl: no such file"),
        ('scot = "scot.jsonl"', 'scot = "gone.jsonl"', "gone.jsonl: no such file"),
        ('loss = "scpo"', 'losss = "scpo"', "r.toml, recipe table 'distillation.settings', field 'losss'"),
        ('loss = "scpo"', 'loss = "bogus"', "'bogus' arrived"),
        ("threads = 1", 'clean = "no"', "field 'clean'"),
    ],
)
def test_every_file_and_table_is_checked_before_the_first_step(
    tell: Tell, here: Path, old: str, new: str, said: str
) -> None:
    recipe = Path("r.toml").read_text()
    assert old in recipe
    Path("r.toml").write_text(recipe.replace(old, new))
    code, _, err = tell("run", "r.toml", "--data", ".", "--out", "loop")
    assert code == 2
    assert said in err
    assert not Path("loop").exists()


def test_a_launcher_with_several_processes_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one_process("A whole society's loop")
    monkeypatch.setenv("WORLD_SIZE", "2")
    recipe = SocietyLoop(task="misinformation", posts="P.jsonl")
    with pytest.raises(BadInput, match="A whole society's loop takes one process, and 2 were started"):
        run_society_loop(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()
