"""Hate speech and offensive language (Davidson et al. 2017): `labeled_data.csv` with the annotators' votes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from folkmoot.formats.fields import columns_of, shown, suggestion
from folkmoot.formats.layouts.layout import Imported, Layout
from folkmoot.formats.tables import read_csv_rows
from folkmoot.records import BadInput, BadRecord, Post

Rule = Literal["majority", "any_neither", "ma_vlm"]
VOTES = ("count", "hate_speech", "offensive_language", "neither")


def read(path: Path, *, rule: Rule = "majority") -> Imported:
    """All tweets as one split, `offensive` or `ok`; the votes stay in `meta`.

    Args:
        rule: how votes become a label. "majority": the file's own class, hate speech or offensive language being
            `offensive`. "any_neither": `ok` as soon as one annotator voted neither. "ma_vlm": the rule that fits the
            published splits of MA-VLM: `offensive` where nobody voted neither, or where hate and offensive were both
            voted and fewer than a third voted neither.

    About 28% of the `ok` tweets in MA-VLM's split are `offensive` by majority, so never mix two rules' labels.
    """
    if rule not in get_args(Rule):
        raise BadInput(f"cannot label by the rule '{rule}'. {suggestion(str(rule), get_args(Rule))}")
    file = path / "labeled_data.csv" if path.is_dir() else path
    posts: dict[str, Post] = {}
    for number, (line, row) in enumerate(read_csv_rows(file)):
        votes = {name: _number(row, name, file, line) for name in (*VOTES, "class")}
        if "tweet" not in row:
            raise BadRecord(file, line, "tweet", f"no such column; the file has {', '.join(columns_of(row))}.")
        post = Post(
            id=f"hsol-{row.get('') or number}",
            text=row["tweet"],
            label="offensive" if _is_offensive(votes, rule, file, line) else "ok",
            meta={"votes": votes},
        )
        if post.id in posts:
            raise BadRecord(file, line, None, f"the id {shown(post.id)} stands in the file already.")
        posts[post.id] = post
    return Imported(task="offensive", splits={"all": list(posts.values())}, notes=(f"labels by the rule '{rule}'.",))


def _is_offensive(votes: dict[str, int], rule: Rule, file: Path, line: int) -> bool:
    if votes["class"] not in (0, 1, 2):
        raise BadRecord(
            file, line, "class", f"0 (hate), 1 (offensive) or 2 (neither) is accepted; {votes['class']} arrived."
        )
    if rule == "majority":
        return votes["class"] != 2
    if rule == "any_neither":
        return votes["neither"] == 0
    both = votes["hate_speech"] > 0 and votes["offensive_language"] > 0
    return votes["neither"] == 0 or (both and 3 * votes["neither"] < votes["count"])


def _number(row: dict[str, str], name: str, file: Path, line: int) -> int:
    if name not in row:
        raise BadRecord(file, line, name, f"no such column; the file has {', '.join(columns_of(row))}.")
    try:
        return int(row[name])
    except ValueError:
        raise BadRecord(file, line, name, "a whole number is accepted; something else arrived.") from None


LAYOUT = Layout(
    name="davidson",
    title="Hate speech and offensive language (HSOL)",
    task="offensive",
    accepts="labeled_data.csv, or its folder",
    read=read,
    options=("rule",),
)
