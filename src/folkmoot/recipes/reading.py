"""A loop's recipe from its TOML file, checked."""

from __future__ import annotations

from pathlib import Path

from folkmoot.formats.fields import record_from, shown, suggestion
from folkmoot.recipes.low_resource import LowResource
from folkmoot.recipes.preference_distillation import Distillation
from folkmoot.recipes.social import SocialLoop
from folkmoot.recipes.society_loop import SocietyLoop
from folkmoot.recipes.toml_file import read_toml
from folkmoot.records import BadRecord

Recipe = LowResource | SocietyLoop | Distillation | SocialLoop
RECIPES: dict[str, type[LowResource] | type[SocietyLoop] | type[Distillation] | type[SocialLoop]] = {
    "selftrain": LowResource, "society_loop": SocietyLoop, "distill": Distillation,
    "social": SocialLoop,
}  # fmt: skip
"""A loop's recipes by their `kind`; without one it is self-training's."""


def read_recipe(path: Path | str) -> Recipe:
    """The recipe of a TOML file.

    Raises:
        BadInput: the file is missing.
        BadRecord: it is not TOML, of no such kind, or a field is unknown or not accepted.
    """
    path = Path(path)
    values = read_toml(path, remedy="the shipped ones are in the folder 'recipes'")
    kind = values.get("kind", "selftrain")
    if kind not in RECIPES:
        raise BadRecord(path, None, "kind", f"{shown(kind)} is no kind of loop.", suggestion(str(kind), RECIPES))
    return record_from(RECIPES[kind], values, path=path, line=None)
