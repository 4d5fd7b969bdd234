"""AVeriTeC: claims with their verdict, date, and people's questions and answers.

Paper: Schlichtkrull et al., "AVeriTeC" (NeurIPS 2023). Justification, fact-check and answers state the verdict: they
stand in `meta.gold`, which no judge sees.
"""

from __future__ import annotations

from pathlib import Path

from folkmoot.formats.layouts.layout import Imported, Layout
from folkmoot.formats.layouts.records import by_split, found, json_records, mapped, need, split_of
from folkmoot.records import Post
from folkmoot.records.dates import iso_date

LABELS = {
    "supported": "supported", "refuted": "refuted", "not enough evidence": "not_enough_evidence",
    "conflicting evidence/cherrypicking": "conflicting",
}  # fmt: skip
SHOWN = ("speaker", "reporting_source", "location_ISO_code", "claim_types")
GOLD = ("justification", "questions", "fact_checking_article", "fact_checking_strategies")


def read(path: Path) -> Imported:
    """The claims of the files; `meta.as_of` is the claim's day, for retrieval that must not look ahead."""
    posts = []
    for file in found(path, ["train.json", "dev.json", "test.json"], "AVeriTeC"):
        for number, row in json_records(file):
            label = row.get("label")
            posts.append(
                Post(
                    id=f"averitec-{split_of(file)}-{number - 1:04}", text=need(row, "claim", file, number), split=split_of(file),
                    label=mapped(label, LABELS, file, number, "label") if label is not None else None,
                    meta={"as_of": iso_date(row.get("claim_date")), **{key: row.get(key) for key in SHOWN},
                          "gold": {key: row[key] for key in GOLD if key in row}},
                )
            )  # fmt: skip
    return Imported(task="claim_verification", splits=by_split(posts))


LAYOUT = Layout(
    name="averitec", title="AVeriTeC", task="claim_verification", read=read,
    accepts="the folder with train.json, dev.json or test.json, or one of them",
)  # fmt: skip
