"""Prompts are text files that people read: `prompts/PANEL/vVERSION/ROLE.LANGUAGE.md`.

Each room that speaks to models has a shelf of them. A file has a header between two `---` lines (panel, role, version, language) and sections such as `[system]` and
`[decide]`, each a jinja2 template. It is split into sections before anything is filled in, so that no value can open
one. A missing slot is an error, never an empty string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from folkmoot.records import BadInput

FALLBACK_LANGUAGE = "en"

_environment = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
)


class Prompt:
    """One role's prompt in one language: `prompt.text("decide", post=...)` fills one of its sections."""

    def __init__(self, path: Path, sections: Mapping[str, Template], *, language: str) -> None:
        self.path, self.language = path, language
        self._sections = dict(sections)

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of the sections, in the file's order."""
        return tuple(self._sections)

    def text(self, section: str, **slots: Any) -> str:
        """The section with its slots filled.

        Raises:
            BadInput: the file has no such section.
        """
        if section not in self._sections:
            raise BadInput(f"{self.path.name}: no section [{section}]; it has {list(self.sections)}")
        return self._sections[section].render(**slots)


@lru_cache(maxsize=256)
def load_prompt(
    panel: str, role: str, *, version: int, language: str, shelf: Path, folder: Path | None = None
) -> Prompt:
    """The prompt of one role, in the language, its main part (`de` for `de-AT`), or English, whichever is first found.

    Args:
        shelf: the folder of the shipped ones.
        folder: looked into before the shipped ones, for translations and prompts of the user's own.

    Raises:
        BadInput: there is no such prompt, or its header contradicts its place.
    """
    languages = dict.fromkeys((language, language.split("-")[0], FALLBACK_LANGUAGE))
    for spoken in languages:
        for place in (folder, shelf):
            if place is not None:
                path = place / panel / f"v{version}" / f"{role}.{spoken}.md"
                if path.is_file():
                    return _read(path, {"panel": panel, "role": role, "version": str(version), "language": spoken})
    wanted = f"{panel}/v{version}/{role}.LANGUAGE.md"
    raise BadInput(f"no prompt {wanted} in {' or '.join(languages)}; put one into the folder given as `prompts`")


def _read(path: Path, expected: Mapping[str, str]) -> Prompt:
    match = re.fullmatch(r"---\n(.*?)\n---\n(.*)", path.read_text(encoding="utf-8"), re.DOTALL)
    if match is None:
        raise BadInput(f"{path}: a prompt begins with a header between two '---' lines")
    lines = (line.partition(":") for line in match[1].splitlines() if line.strip())
    header = {key.strip(): value.strip() for key, _, value in lines}
    for key, value in expected.items():
        if header.get(key) != value:
            raise BadInput(f"{path}: the header says {key}: {header.get(key)!r}, its place says {value!r}")
    parts = re.split(r"^\[([a-z_]+)\]\n", match[2], flags=re.MULTILINE)
    sections = {
        name: _environment.from_string(text.strip()) for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    return Prompt(path, sections, language=expected["language"])
