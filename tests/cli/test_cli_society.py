"""`society` and `synthesize` as a user gives them: recorded, live against scripted endpoints, resumed, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from folkmoot.formats import read_pairs, read_posts, read_verdicts, write_posts
from folkmoot.records import Post

Tell = Callable[..., tuple[int, str, str]]
USERS = ("ann", "bob", "cy")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six posts, three users, their recorded opinions (cy is always wrong), assessments and reasoning."""
    monkeypatch.chdir(tmp_path)
    posts = [Post(id=f"p{n}", text=f"words {n}", label="fake" if n % 2 else "real") for n in range(6)]
    write_posts(posts, Path("P.jsonl"))
    Path("users.jsonl").write_text(
        "".join(json.dumps({"id": u, "interests": ["Tea"] if u != "cy" else []}) + "\n" for u in USERS)
    )
    other = {"fake": "real", "real": "fake"}
    rows, scot = [], []
    for post in posts:
        classes = []
        for user in USERS:
            right = user != "cy"
            label = post.label if right else other[str(post.label)]
            rows.append(
                {"id": post.id, "agent": user, "round": 0, "label": label, "confidence": 0.8, "rationale": "so"}
            )
            classes.append({"user": user, "class": "correct" if right else "incorrect", "confidence": 0.9})
        scot.append({"id": post.id, "classes": classes, "chosen": f"a\nVerdict: {post.label}",
                     "rejected": f"b\nVerdict: {other[str(post.label)]}", "gold_doubtful": post.id == "p0"})  # fmt: skip
    for name, lines in (("O.jsonl", rows), ("scot.jsonl", scot)):
        Path(name).write_text("".join(json.dumps(row) + "\n" for row in lines))
    Path("plan.jsonl").write_text(
        "".join(json.dumps({"id": p.id, "users": USERS, "topics": ["Tea"]}) + "\n" for p in posts)
    )
    return tmp_path


RECORDED = (
    "society",
    "--posts",
    "P.jsonl",
    "--profiles",
    "users.jsonl",
    "--plan",
    "plan.jsonl",
    "--opinions",
    "O.jsonl",
)
SYNTHESIZE = (
    "synthesize",
    "--opinions",
    "O.jsonl",
    "--gold",
    "P.jsonl",
    "--scot",
    "scot.jsonl",
    "--out",
    "pairs.jsonl",
)


def test_a_recorded_society_is_counted_in_four_ways_and_becomes_pairs(tell: Tell, here: Path) -> None:
    code, out, err = tell(*RECORDED, "--out", "run", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert {how: score["accuracy"] for how, score in result["scores"].items()} == dict.fromkeys(
        ("vote", "confidence", "dawid_skene", "glad"), 1.0
    )
    assert result["plan"]["seats"] == {"ann": 6, "bob": 6, "cy": 6}
    assert result["profiles_without_interests"] == 1
    assert [v.judge for v in read_verdicts("run/verdicts.dawid_skene.jsonl")] == ["society-dawid_skene:v1"] * 6
    code, out, err = tell(
        "synthesize", "--run", "run", "--gold", "P.jsonl", "--scot", "scot.jsonl", "--out", "pairs.jsonl", "--json"
    )
    assert code == 0, err
    made = json.loads(out)
    assert (made["pairs"], made["kinds"], made["flags"]) == (6, {"mixed": 6}, {"gold_doubtful": 1})
    pairs = read_pairs("pairs.jsonl")
    assert [pair.sc for pair in pairs] == [pytest.approx(1 / 3, abs=1e-6)] * 6
    assert "words 3" in pairs[3].prompt[0]["content"]


def test_an_audit_stands_beside_the_judge(tell: Tell, here: Path) -> None:
    Path("second.jsonl").write_text(
        '{"id":"p1","user":"ann","class":"correct"}\n{"id":"p1","user":"cy","class":"partially_correct"}\n'
    )
    code, out, err = tell(*SYNTHESIZE, "--audit", "second.jsonl", "--json")
    assert code == 0, err
    assert (json.loads(out)["audit"]["both"], json.loads(out)["audit"]["agreement"]) == (2, 0.5)
    Path("bad.jsonl").write_text('{"id":"p1","user":"ann","class":"right"}\n')
    code, _, err = tell(*SYNTHESIZE, "--audit", "bad.jsonl")
    assert code == 2
    assert "bad.jsonl, line 1, field 'class'" in err


def test_recorded_opinions_of_a_society_vote_as_its_panel_would(tell: Tell, here: Path) -> None:
    command = ("judge", "--opinions", "O.jsonl", "--task", "misinformation", "--posts", "P.jsonl", "--json")
    code, out, err = tell(*command, "--panel", "society", "--out", "voted.jsonl")
    assert code == 0, err
    assert json.loads(out)["outcomes"] == {"labelled": 6}, "cy is outvoted"
    assert {verdict.judge for verdict in read_verdicts("voted.jsonl")} == {"society:v1"}
    assert json.loads(tell(*command, "--out", "agreed.jsonl")[1])["outcomes"] == {"abstained": 6}


def test_posts_without_a_gold_label_are_counted(tell: Tell, here: Path) -> None:
    posts = [post.model_copy(update={"label": None}) if post.id == "p5" else post for post in read_posts("P.jsonl")]
    write_posts(posts, Path("P.jsonl"))
    code, out, err = tell(*SYNTHESIZE, "--json")
    assert code == 0, err
    assert (json.loads(out)["pairs"], json.loads(out)["without_gold"]) == (5, 1)


def test_posts_that_cannot_become_pairs_are_counted_by_reason(tell: Tell, here: Path) -> None:
    rows = [json.loads(line) for line in Path("O.jsonl").read_text().splitlines()]
    for row in rows:
        if row["id"] == "p2":
            row |= {"label": None, "confidence": None, "outcome": "refused"}
    Path("O.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept = [line for line in Path("scot.jsonl").read_text().splitlines() if '"p4"' not in line]
    Path("scot.jsonl").write_text("\n".join(kept) + "\n")
    code, out, err = tell(*SYNTHESIZE, "--json")
    assert code == 0, err
    made = json.loads(out)
    assert made["pairs"] == 4
    assert made["skipped"] == {"no user's opinion could be used": 1, "its reasoning is not recorded": 1}
    assert made["unlabelled"] == 3
    assert [json.loads(line)["id"] for line in Path("pairs.jsonl.run/skipped.jsonl").read_text().splitlines()] == [
        "p2",
        "p4",
    ]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("society", "--posts", "P.jsonl", "--profiles", "none.jsonl", "--out", "r"), "none.jsonl"),
        ((*RECORDED, "--out", "r", "--aggregate", "borda"), "no such way of counting"),
        (("synthesize", "--gold", "P.jsonl", "--out", "x.jsonl"), "--run with a society's run folder"),
        (("synthesize", "--gold", "P.jsonl", "--opinions", "O.jsonl", "--run", "r", "--out", "x.jsonl"), "--opinions"),
        (
            ("synthesize", "--gold", "P.jsonl", "--task", "offensive", "--opinions", "O.jsonl", "--out", "x.jsonl"),
            "field 'label'",
        ),
    ],
)
def test_bad_usage_is_told_in_a_sentence(tell: Tell, here: Path, command: tuple[str, ...], said: str) -> None:
    code, _, err = tell(*command)
    assert code == 2
    assert said in err


def test_a_plan_that_asks_a_stranger_is_refused_by_file_and_field(tell: Tell, here: Path) -> None:
    Path("plan.jsonl").write_text('{"id":"p1","users":["eve"]}\n')
    code, _, err = tell(
        "society", "--posts", "P.jsonl", "--profiles", "users.jsonl", "--plan", "plan.jsonl", "--out", "r"
    )
    assert code == 2
    assert "plan.jsonl, field 'users': post 'p1' asks 'eve'" in err


def test_a_dry_run_says_who_is_asked_and_what_it_costs(tell: Tell, here: Path) -> None:
    command = ("society", "--posts", "P.jsonl", "--profiles", "users.jsonl", "--plan", "plan.jsonl", "--model",
               "openai:m@http://127.0.0.1:9/v1", "--price-in", "1", "--price-out", "2", "--dry-run", "--json")  # fmt: skip
    code, out, err = tell(*command, "--out", "r")
    assert code == 0, err
    plan = json.loads(out)
    assert (plan["calls_max"], plan["seats"]["seated_users"]) == (18, 3)
    assert plan["cost_usd"] > 0
    assert not Path("r").exists()
    code, out, err = tell(*(word for word in command if word != "--json"), "--out", "r")
    assert code == 0, err
    calls, seats = out.splitlines()
    assert "calls_max " in calls
    assert seats.startswith("seats: posts 6  users_a_post 3  bank 3  seated_users 3")
    assert "{" not in out
