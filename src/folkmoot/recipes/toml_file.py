"""A recipe's TOML file -> its table."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from folkmoot.records import BadInput, BadRecord


def read_toml(path: Path, *, remedy: str) -> dict[str, Any]:
    """The table of a TOML file.

    Args:
        remedy: what to do where there is no such file.

    Raises:
        BadInput: the file is missing.
        BadRecord: it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"there is no recipe {path}; {remedy}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRecord(path, None, None, f"not valid TOML ({error}).", "Mend the file.") from None
