"""Preference pairs from and to JSONL: TRL's conversational rows, with sc and the counts behind it beside them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from folkmoot.formats.fields import check_slip, record_from
from folkmoot.formats.lines import Row, read_rows, write_rows
from folkmoot.records import BadRecord, PreferencePair

FIELDS = tuple(PreferencePair.model_fields)


def read_pairs(path: str | Path) -> list[PreferencePair]:
    """The pairs of a file: ours, or TRL's, whose answers may be texts and whose prompt may be one too.

    A row without an id gets its line's number; TRL's implicit prompt (chosen and rejected begin with it) is taken out.
    Unknown fields are left out, one that looks misspelt is refused.

    Raises:
        BadInput: the file is missing.
        BadRecord: a row is no pair, an answer is empty, or an id stands twice.
    """
    pairs: list[PreferencePair] = []
    seen: dict[str, int] = {}
    for line, row in read_rows(path):
        check_slip(row, FIELDS, path=path, line=line)
        pair = record_from(PreferencePair, conversational(row, path, line), path=path, line=line, whole="rejected")
        for field, text in (("chosen", pair.chosen_text), ("rejected", pair.rejected_text)):
            if not text.strip():
                raise BadRecord(path, line, field, "the answer is empty.", "Give its text, or leave the row out.")
        if pair.id in seen:
            raise BadRecord(path, line, "id", f"line {seen[pair.id]} has this id already.", "Every pair needs its own.")
        seen[pair.id] = line
        pairs.append(pair)
    return pairs


def write_pairs(pairs: Iterable[PreferencePair], path: str | Path) -> None:
    """Writes pairs as JSONL, in the order given; TRL's trainers read it as it is.

    Raises:
        StorageFailed: the disk is full or the folder may not be written.
    """
    write_rows((pair.model_dump(mode="json") for pair in pairs), path)


def conversational(row: Row, path: str | Path, line: int) -> dict[str, Any]:
    """The row with messages where TRL also takes texts, without fields that are not a pair's."""
    fields: dict[str, Any] = {"id": f"row-{line}"} | {name: row[name] for name in FIELDS if row.get(name) is not None}
    for name, role in (("prompt", "user"), ("chosen", "assistant"), ("rejected", "assistant")):
        if isinstance(fields.get(name), str):
            fields[name] = [{"role": role, "content": fields[name]}]
    chosen, rejected = fields.get("chosen"), fields.get("rejected")
    if "prompt" not in fields and isinstance(chosen, list) and isinstance(rejected, list):
        shared = 0
        while shared < min(len(chosen), len(rejected)) and chosen[shared] == rejected[shared]:
            shared += 1
        if not shared:
            raise BadRecord(path, line, "prompt", "the field is missing, and the two answers share no beginning.",
                            "Give the prompt.")  # fmt: skip
        fields |= {"prompt": chosen[:shared], "chosen": chosen[shared:], "rejected": rejected[shared:]}
    return fields
