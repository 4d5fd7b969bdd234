"""A recipe's TOML file, checked."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path

from pydantic import ValidationError

from folkmoot.recipes.low_resource import LowResource
from folkmoot.records import BadInput


def read_recipe(path: Path | str) -> LowResource:
    """The recipe of a TOML file.

    Raises:
        BadInput: the file is missing, is no TOML, or has a field that is unknown or not accepted.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"there is no recipe {path}; the shipped ones are in the folder 'recipes'") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no TOML file: {error}") from None
    try:
        return LowResource.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        unknown = first["type"] == "extra_forbidden"
        near = difflib.get_close_matches(field.split(".")[-1], list(LowResource.model_fields), 1) if unknown else []
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise BadInput(f"{path}, field '{field}': {first['msg']}.{hint}") from None
