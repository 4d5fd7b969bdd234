"""The form in which an agent must answer: a label of the task, its confidence, and a reason."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from folkmoot.records import Task

REASON_CHARACTERS = 400
"""How long a reason should be: told to servers that constrain decoding, not held against a reply. Chosen."""


def reply_form(task: Task, *, reason_first: bool = False) -> type[BaseModel]:
    """A pydantic model with the fields `label`, `confidence` and `reason`, in the order in which they are written.

    A label counts however its case and outer spaces are; anything but a label of the task does not.

    Args:
        reason_first: the reason is written before the label, so that it can lead to it (chain of thought).
    """
    fields: dict[str, Any] = {
        "label": label_field(task),
        "confidence": (float, Field(ge=0, le=1)),
        "reason": (str, Field(json_schema_extra={"maxLength": REASON_CHARACTERS})),
    }
    order = ("reason", "label", "confidence") if reason_first else ("label", "confidence", "reason")
    form: type[BaseModel] = create_model(
        "Reply", __config__=ConfigDict(extra="forbid", frozen=True), **{name: fields[name] for name in order}
    )
    return form


def label_field(task: Task) -> Any:
    """The field of a form that holds a label of the task, in whatever case and with whatever outer spaces."""
    spellings = {name.casefold(): name for name in task.label_names}
    if len(spellings) < len(task.labels):  # labels that differ in case only must be met exactly
        spellings = {}

    def spelled_as_in_the_task(label: Any) -> Any:
        return spellings.get(label.strip().casefold(), label) if isinstance(label, str) else label

    return (Annotated[Literal[task.label_names], BeforeValidator(spelled_as_in_the_task)], ...)
