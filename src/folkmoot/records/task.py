"""A task: what is asked of a post. Data, not code."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from folkmoot.records.base import Record
from folkmoot.records.post import MediaType


class Label(Record):
    """One answer of a task, with the definition that judges are given."""

    name: str = Field(min_length=1)
    definition: str = ""


class Task(Record):
    """The question, the policy and the labels. A user's own task is the equal of a shipped one.

    `attribution` maps a stage to the finer types below it. `positive` names the label that precision, recall and
    the PNU losses call positive; a binary task must have one. Where `answers` is `question`, a post brings its own
    question and its label is the answer to that; the task has no labels then.
    """

    name: str = Field(min_length=1)
    version: int = 1
    question: str
    policy: str = ""
    labels: tuple[Label, ...] = ()
    positive: str | None = None
    attribution: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    modalities: tuple[MediaType | str, ...] = ("text",)
    language: str = "en"
    answers: Literal["labels", "question"] = Field(default="labels", exclude_if=lambda answers: answers == "labels")

    @model_validator(mode="after")
    def _labels_are_consistent(self) -> Self:
        names = self.label_names
        if self.answers == "question":
            if names:
                raise ValueError("a task whose answers are a question's has no labels of its own")
            return self
        if len(names) < 2:
            raise ValueError("a task needs two labels or more")
        if len(set(names)) != len(names):
            raise ValueError(f"labels must differ; got {list(names)}")
        if self.positive is not None and self.positive not in names:
            raise ValueError(f"positive label '{self.positive}' is not one of {list(names)}")
        if len(names) == 2 and self.positive is None:
            raise ValueError(f"a task with two labels needs 'positive', one of {list(names)}")
        return self

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels in their declared order."""
        return tuple(label.name for label in self.labels)

    @property
    def negative(self) -> str:
        """The other label of a binary task.

        Raises:
            ValueError: the task is not binary.
        """
        if len(self.labels) != 2:
            raise ValueError(f"task '{self.name}' has {len(self.labels)} labels; only a binary task has a negative one")
        return next(name for name in self.label_names if name != self.positive)
