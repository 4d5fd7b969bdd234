"""The files that a low-resource recipe names, read and checked against one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from folkmoot.formats import load_task, read_opinions, read_posts
from folkmoot.recipes.low_resource import LowResource
from folkmoot.recipes.splits import check_apart, check_labels, read_pool
from folkmoot.records import BadInput, Opinion, Post, Task


@dataclass(frozen=True)
class Inputs:
    """What a recipe's files hold, checked against one another."""

    task: Task
    labelled: list[Post]
    pool: list[Post]
    dev: list[Post]
    opinions: Mapping[str, Sequence[Opinion]] | None
    paths: Mapping[str, Path]


def read_inputs(recipe: LowResource, resolve: Callable[[str], Path]) -> Inputs:
    """The posts, labels and opinions that a recipe names.

    Raises:
        BadInput: a file cannot be used, a label is missing, or a post stands on both sides of a split.
    """
    named = {"labelled": recipe.labelled, "pool": recipe.pool, "dev": recipe.dev, "opinions": recipe.opinions}
    paths = {name: resolve(path) for name, path in named.items() if path is not None}
    task = load_task(recipe.task)
    labelled = read_posts(paths["labelled"], task=task)
    dev = read_posts(paths["dev"], task=task)
    if "pool" not in paths:
        raise BadInput("self-training needs a pool of unlabelled posts: give --pool FILE")
    pool = read_pool(paths["pool"], labelled, task)
    check_apart(labelled, dev, "labelled", "dev")
    check_apart(pool, dev, "pool", "dev")
    check_labels(labelled, paths["labelled"], task)
    check_labels(dev, paths["dev"], task)
    known = {post.id for post in (*pool, *labelled, *dev)}
    opinions = read_opinions(paths["opinions"], task=task, known=known) if "opinions" in paths else None
    return Inputs(task, labelled, pool, dev, opinions, paths)
