"""The panels by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from folkmoot.formats.fields import did_you_mean
from folkmoot.models.chat import ChatModel
from folkmoot.panels.chain_of_thought import ChainOfThought
from folkmoot.panels.delphi import Delphi
from folkmoot.panels.direct import Direct
from folkmoot.panels.few_shot import FewShot
from folkmoot.panels.mmd_agent import MmdAgent
from folkmoot.panels.negotiation import Negotiation
from folkmoot.panels.reflection import Reflection
from folkmoot.panels.society import Society
from folkmoot.panels.video_of_thought import VideoOfThought
from folkmoot.records import BadInput, Judge, Task

PANELS: dict[str, Callable[..., Judge]] = {
    "direct": Direct,
    "chain_of_thought": ChainOfThought,
    "few_shot": FewShot,
    "negotiation": Negotiation,
    "society": Society,
    "delphi": Delphi,
    "video_of_thought": VideoOfThought,
    "mmd_agent": MmdAgent,
    "reflection": Reflection,
}


ANSWERING = ("reflection",)
"""Panels for tasks whose answers are a question's."""


def build_panel(name: str, task: Task, model: ChatModel, **options: Any) -> Judge:
    """The panel of that name, such as `negotiation` or `negotiation:v1`, with its options.

    Raises:
        BadInput: there is no such panel, version or option, or a required option is missing.
    """
    plain, _, version = name.partition(":")
    if plain not in PANELS:
        raise BadInput(f"no panel '{plain}'{did_you_mean(plain, list(PANELS))}; there are {', '.join(PANELS)}")
    build = PANELS[plain]
    offered = f"v{getattr(build, 'version', 1)}"
    if version not in ("", offered):
        raise BadInput(f"panel '{plain}' is offered as '{plain}:{offered}', not as '{name}'")
    if task.answers == "question" and plain not in ANSWERING:
        raise BadInput(
            f"panel '{plain}' decides for a task's labels, and task '{task.name}' has questions; take {', '.join(ANSWERING)}"
        )
    parameters = inspect.signature(build).parameters
    accepted = [key for key, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
    for key in options:
        if key not in accepted:
            raise BadInput(
                f"panel '{plain}' has no option '{key}'{did_you_mean(key, accepted)}; it has {', '.join(accepted)}"
            )
    for key in accepted:
        if parameters[key].default is inspect.Parameter.empty and key not in options:
            raise BadInput(f"panel '{plain}' needs the option '{key}'")
    return build(task, model, **options)
