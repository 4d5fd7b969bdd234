"""Invented posts about tea and rain, enough of them to learn from."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from folkmoot.formats import write_opinions, write_posts
from folkmoot.records import Label, Opinion, Post, Task

TASK = Task(
    name="drinks",
    question="Is the post about tea?",
    labels=(Label(name="tea", definition="It is about tea."), Label(name="rain", definition="It is about rain.")),
    positive="tea",
)
TASK_TOML = """
name = "drinks"
question = "Is the post about tea?"
positive = "tea"
[[labels]]
name = "tea"
definition = "It is about tea."
[[labels]]
name = "rain"
definition = "It is about rain."
"""
"""The same task as its file."""
TEA = [
    "a warm cup of tea",
    "the kettle sings",
    "green leaves in a pot",
    "milk and sugar please",
    "biscuits with a brew",
]
RAIN = ["clouds over the hill", "my umbrella broke", "puddles in the street", "drops on the window", "a wet coat"]
ENDS = ["this morning", "again today", "with my sister", "at the station", "before work", "and I smile"]


def make_posts(count: int, *, seed: int, prefix: str) -> list[Post]:
    """Posts with gold labels, half of each."""
    dice = random.Random(seed)
    posts = []
    for number in range(count):
        label = "tea" if number % 2 == 0 else "rain"
        text = f"{dice.choice(TEA if label == 'tea' else RAIN)} {dice.choice(ENDS)}"
        posts.append(Post(id=f"{prefix}{number}", text=text, label=label))
    return posts


def without_labels(posts: Sequence[Post]) -> list[Post]:
    return [post.blind() for post in posts]


def make_opinions(posts: Sequence[Post], *, seed: int, error: float = 0.1) -> dict[str, tuple[Opinion, ...]]:
    """Two agents, each wrong now and then."""
    dice = random.Random(seed)
    opinions = {}
    for post in posts:
        said = []
        for agent in ("moderator", "user"):
            wrong = dice.random() < error
            label = str(post.label) if not wrong else ("rain" if post.label == "tea" else "tea")
            said.append(Opinion(agent=agent, round=0, label=label, confidence=0.8))
        opinions[post.id] = tuple(said)
    return opinions


def write_files(folder: Path) -> list[Post]:
    """The pool with its gold labels; `folder` holds it without, labelled posts, opinions, dev posts and the task."""
    pool = make_posts(60, seed=2, prefix="p")
    write_posts(make_posts(8, seed=1, prefix="l"), folder / "labelled.jsonl")
    write_posts(without_labels(pool), folder / "pool.jsonl")
    write_posts(make_posts(40, seed=3, prefix="d"), folder / "dev.jsonl")
    write_opinions(make_opinions(pool, seed=4), folder / "opinions.jsonl")
    (folder / "drinks.toml").write_text(TASK_TOML)
    return pool
