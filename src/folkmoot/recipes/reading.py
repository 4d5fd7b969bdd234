"""A loop's recipe from its TOML file, checked."""

from __future__ import annotations

from pathlib import Path

from folkmoot.formats.fields import record_from
from folkmoot.recipes.low_resource import LowResource
from folkmoot.recipes.toml_file import read_toml


def read_recipe(path: Path | str) -> LowResource:
    """The recipe of a TOML file.

    Raises:
        BadInput: the file is missing.
        BadRecord: it is not TOML, or a field is unknown or not accepted.
    """
    path = Path(path)
    values = read_toml(path, remedy="the shipped ones are in the folder 'recipes'")
    return record_from(LowResource, values, path=path, line=None)
