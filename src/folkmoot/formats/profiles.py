"""Profiles from our JSONL, OASIS's Reddit JSON and OASIS's Twitter CSV; the shipped bank."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from folkmoot.formats.fields import check_slip, record_from
from folkmoot.formats.lines import read_rows, write_rows
from folkmoot.formats.tables import read_csv_rows
from folkmoot.records import BadInput, BadRecord, Profile

BANKS = Path(__file__).parent / "banks"
WORLD = "world"
REDDIT = {
    "username": "id", "realname": "name", "age": "age", "gender": "gender", "mbti": "temperament", "country": "country",
    "profession": "profession", "interested_topics": "interests", "persona": "persona",
}  # fmt: skip
"""OASIS's Reddit fields; `bio` says in short what `persona` says at length."""


class ProfileBank(NamedTuple):
    """The profiles of a file, and how many of them name no interest: only chance brings these to a post."""

    profiles: tuple[Profile, ...]
    without_interests: int

    @property
    def topics(self) -> tuple[str, ...]:
        """Every interest that somebody has, sorted."""
        return tuple(sorted({topic for profile in self.profiles for topic in profile.interests}))


def read_profiles(path: str | Path) -> ProfileBank:
    """The profiles of a file, or of the shipped bank `world`.

    A `.json` list with `username` is OASIS's Reddit file, a `.csv` its Twitter file, whose users have a description and
    no interests; `.jsonl` holds a `Profile` a line.

    Raises:
        BadInput: the file is missing, of another kind, or empty.
        BadRecord: a row is no profile, or an id stands twice; names the file, the line or row, and the field.
    """
    path = BANKS / "world.jsonl" if str(path) == WORLD else Path(path)
    if not path.is_file():
        raise BadInput(
            f"cannot read profiles from {path}: no such file. Name a file, or '{WORLD}' for the shipped bank."
        )
    kind = path.suffix.lower()
    if kind == ".json":
        rows = reddit_rows(path)
    elif kind == ".csv":
        rows = twitter_rows(path)
    elif kind in (".jsonl", ".ndjson"):
        rows = list(read_rows(path))
    else:
        raise BadInput(f"cannot tell what profiles {path} holds by its ending. Accepted: .jsonl, .json (OASIS Reddit), "
                       ".csv (OASIS Twitter).")  # fmt: skip
    unit = "row" if kind == ".json" else "line"
    profiles: list[Profile] = []
    seen: dict[str, int] = {}
    for line, row in rows:
        check_slip(row, Profile.model_fields, path=path, line=line)
        profile = record_from(Profile, row, path=path, line=line)
        if (first := seen.setdefault(profile.id, line)) != line:
            raise BadRecord(
                path, line, "id", f"{unit} {first} has this id already.", "Every user needs an id of their own."
            )
        profiles.append(profile)
    if not profiles:
        raise BadRecord(path, None, None, "the file holds no profile.", "At least one is needed.")
    return ProfileBank(tuple(profiles), sum(not profile.interests for profile in profiles))


def write_profiles(profiles: Iterable[Profile], path: str | Path) -> None:
    """Writes profiles as JSONL, in the order given.

    Raises:
        StorageFailed: the disk is full or the folder may not be written.
    """
    write_rows((profile.model_dump(mode="json") for profile in profiles), path)


def reddit_rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The rows of OASIS's Reddit file under our names; a row's number counts from 1."""
    try:
        held = json.loads(path.read_text("utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise BadRecord(path, getattr(error, "lineno", None), None, "not valid JSON.", "A list of objects.") from None
    if not isinstance(held, list) or not all(isinstance(row, dict) for row in held):
        raise BadRecord(path, None, None, "not a list of objects.", "OASIS's Reddit file is one.")
    rows = []
    for number, row in enumerate(held, start=1):
        if "username" not in row:
            raise BadRecord(path, number, "username", "the field is missing.", "OASIS's Reddit profiles have one.")
        rows.append((number, {ours: row[name] for name, ours in REDDIT.items() if row.get(name) is not None}))
    return rows


def twitter_rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The rows of OASIS's Twitter file: a user's character, or their description, is the persona.

    Its group files have some usernames twice, each time with another `user_id`; those users' ids are `username-user_id`.
    """
    held = list(read_csv_rows(path))
    bearers = Counter(row.get("username") for _, row in held)
    rows = []
    for line, row in held:
        if not row.get("username"):
            raise BadRecord(path, line, "username", "the column is missing or empty.", "OASIS's Twitter files have it.")
        persona = row.get("user_char") or row.get("description") or ""
        is_shared = bearers[row["username"]] > 1 and row.get("user_id")
        name = f"{row['username']}-{row['user_id']}" if is_shared else row["username"]
        rows.append((line, {"id": name, "name": row.get("name", ""), "persona": persona}))
    return rows
