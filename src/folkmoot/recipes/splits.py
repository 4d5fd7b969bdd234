"""The posts that a loop learns from and is scored on, checked against one another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from folkmoot.formats import read_posts
from folkmoot.records import BadInput, Post, Task


def read_pool(path: Path, labelled: Sequence[Post], task: Task) -> list[Post]:
    """The pool without the posts that are labelled already.

    Raises:
        BadInput: nothing is left.
    """
    taken = {post.id for post in labelled}
    pool = [post for post in read_posts(path, task=task) if post.id not in taken]
    if not pool:
        raise BadInput(f"{path}: every post of the pool is among the labelled ones, so nothing is left to learn from")
    return pool


def check_apart(one: Sequence[Post], other: Sequence[Post], first: str, second: str) -> None:
    """Refuse posts that stand on both sides of a split.

    Raises:
        BadInput: names how many and the first.
    """
    shared = {post.id for post in one} & {post.id for post in other}
    if shared:
        raise BadInput(
            f"{len(shared)} posts are both in {first} and in {second}, the first '{min(shared)}'; keep them apart"
        )


def check_labels(posts: Sequence[Post], path: Path, task: Task) -> None:
    """Refuse a file in which a post has no label, or a label no post.

    Raises:
        BadInput: names the first such post or label.
    """
    for post in posts:
        if post.label is None:
            raise BadInput(f"{path}, field 'label': post '{post.id}' has none; every post of this file needs one")
    held = {post.label for post in posts}
    for label in task.label_names:
        if label not in held:
            raise BadInput(
                f"{path}, field 'label': none of the {len(posts)} posts is '{label}'; task '{task.name}' needs at least "
                "one of each label"
            )
