"""The panels' shelf of prompts."""

from __future__ import annotations

from pathlib import Path

from folkmoot.models import prompt
from folkmoot.models.prompt import Prompt
from folkmoot.models.structured import CORRECTION

SHIPPED = Path(__file__).parent / "prompts"

__all__ = ["SHIPPED", "Prompt", "correction_of", "load_prompt"]


def correction_of(prompt: Prompt) -> str:
    """What is said with a bad reply: the prompt's own, in its language, or the English one."""
    return prompt.text("correction") if "correction" in prompt.sections else CORRECTION


def load_prompt(panel: str, role: str, *, version: int, language: str, folder: Path | None = None) -> Prompt:
    """As `models.prompt.load_prompt`, from the panels' own shelf."""
    return prompt.load_prompt(panel, role, version=version, language=language, shelf=SHIPPED, folder=folder)
