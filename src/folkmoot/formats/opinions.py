"""Opinions from JSONL and tables and to JSONL: one row an agent's judgement of one post in one round."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from folkmoot.formats.fields import check_label, check_slip, record_from, shown
from folkmoot.formats.lines import Row, read_rows, write_rows
from folkmoot.formats.opinion_tables import is_table, read_table_rows
from folkmoot.records import BadRecord, Opinion, Outcome, Task

FIELDS = ("id", *Opinion.model_fields)


def read_opinions(
    path: str | Path, *, task: Task | None = None, known: Container[str] | None = None
) -> dict[str, tuple[Opinion, ...]]:
    """The opinions of each post id, by round and then in the file's order; ids in the order of their first opinion.

    The file is JSONL or, by its name, Parquet, CSV or TSV. A row is `{"id", "agent", "round", "label", "confidence",
    "rationale"}`, with `outcome` where there is no label and `calls` where a ledger knows them. Other fields are left
    out; one that looks like a misspelt field is refused.

    Args:
        task: where given, every label must be one of the task's.
        known: where given, the ids that opinions may be about.

    Raises:
        BadInput: the file is missing.
        BadRecord: a row cannot be used: it repeats post, agent and round, has a label that the task has not, has
            neither label nor outcome, or is about an unknown post. Also a file without a row.
    """
    opinions: dict[str, list[Opinion]] = {}
    seen: dict[tuple[str, str, int], int] = {}
    for line, row in read_table_rows(path) if is_table(path) else read_rows(path):
        check_slip(row, FIELDS, path=path, line=line)
        post, opinion = _opinion(row, path, line)
        check_label(opinion.label, task, path=path, line=line)
        if known is not None and post not in known:
            raise BadRecord(
                path,
                line,
                "id",
                f"the opinion is about {shown(post)}, which is not among the posts.",
                "Give the posts that the opinions are about, or leave these rows out.",
            )
        if (first := seen.setdefault((post, opinion.agent, opinion.round), line)) != line:
            raise BadRecord(
                path,
                line,
                "agent",
                f"line {first} has this agent's opinion of {shown(post)} in round {opinion.round} already.",
                "One opinion an agent, a post and a round.",
            )
        opinions.setdefault(post, []).append(opinion)
    return {post: tuple(sorted(said, key=lambda one: one.round)) for post, said in opinions.items()}


def write_opinions(opinions: Mapping[str, Sequence[Opinion]], path: str | Path) -> None:
    """Writes the opinions of each post id as JSONL; `outcome` and `calls` are columns only where an opinion needs them.

    Raises:
        StorageFailed: the disk is full or the folder may not be written.
    """
    every = [one for said in opinions.values() for one in said]
    left_out = {
        field
        for field, needed in (
            ("outcome", any(one.outcome is not Outcome.LABELLED for one in every)),
            ("calls", any(one.calls for one in every)),
        )
        if not needed
    }
    order = ("agent", "round", "label", "confidence", "rationale", "outcome", "calls")

    def row(post: str, opinion: Opinion) -> Row:
        values = opinion.model_dump(mode="json")
        return {"id": post, **{field: values[field] for field in order if field not in left_out}}

    write_rows((row(post, one) for post, said in opinions.items() for one in said), path)


def _opinion(row: Row, path: str | Path, line: int) -> tuple[str, Opinion]:
    post = row.get("id")
    if isinstance(post, int) and not isinstance(post, bool):
        post = str(post)
    if not isinstance(post, str) or not post:
        raise BadRecord(path, line, "id", "the id of a post is needed.", "Every opinion names its post.")
    fields = {name: row[name] for name in Opinion.model_fields if row.get(name) is not None}
    if isinstance(fields.get("label"), int) and not isinstance(fields["label"], bool):
        fields["label"] = str(fields["label"])
    if "label" not in fields and "outcome" not in fields:
        raise BadRecord(
            path,
            line,
            "label",
            "neither a label nor an outcome arrived.",
            f"Without a label, 'outcome' says why: {', '.join(o for o in Outcome if o is not Outcome.LABELLED)}.",
        )
    return post, record_from(Opinion, fields, path=path, line=line, whole="label")
