"""A classifier, or any other judge, as one more voice in a panel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from folkmoot.records import CLASSIFIER, BadInput, Judge, Opinion, Post, Task, Verdict

Classifier = Judge | Callable[[Post], Awaitable[Verdict]]
"""A Judge, or a function that judges a post."""


async def hear(classifier: Classifier, post: Post, *, task: Task) -> Opinion:
    """The classifier's verdict on the post as the opinion of the agent `classifier`.

    Raises:
        BadInput: it gave a label that the task does not have.
    """
    verdict = await (classifier.judge if isinstance(classifier, Judge) else classifier)(post.blind())
    if verdict.label is not None and verdict.label not in task.label_names:
        raise BadInput(
            f"the classifier '{verdict.judge}' gave a label of task '{verdict.task}' that task '{task.name}' does not "
            f"have; accepted are {list(task.label_names)}"
        )
    return Opinion(
        agent=CLASSIFIER,
        outcome=verdict.outcome,
        label=verdict.label,
        confidence=verdict.probability,
        calls=verdict.calls,
    )
