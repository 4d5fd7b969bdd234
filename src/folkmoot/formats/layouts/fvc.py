"""The Fake Video Corpus: `FVC.csv` (a first video a cascade) and `FVC_dup.csv` (its near-duplicates).

Paper: Papadopoulou et al., "A corpus of debunked and verified user-generated videos" (2019). Split by cascade: the
copies of one video are one event.
"""

from __future__ import annotations

from pathlib import Path

from folkmoot.formats.layouts.layout import Imported, Layout
from folkmoot.formats.layouts.records import found, mapped, need
from folkmoot.formats.tables import read_csv_rows
from folkmoot.records import Post

LABELS = {"fake": "misinformation", "real": "real", "debunked": "real"}
LEFT_OUT = ("uncertain", "parody", "private")


def read(path: Path) -> Imported:
    """The videos' addresses with label and cascade, in the splits `first` and `near_duplicates`.

    A copy that debunks is real; uncertain ones and parodies are left out and counted. An id is the cascade and the
    row's number, as a cascade's own id tells the label (f and r) and must not be shown to a judge.
    """
    splits: dict[str, list[Post]] = {}
    notes: list[str] = []
    for file in found(path, ["FVC.csv", "FVC_dup.csv"], "the Fake Video Corpus"):
        split = "near_duplicates" if "dup" in file.stem else "first"
        out = 0
        for line, row in read_csv_rows(file, strict=False):
            said = need(row, "label", file, line).strip().casefold()
            if said in LEFT_OUT:
                out += 1
                continue
            splits.setdefault(split, []).append(
                Post(
                    id=f"fvc-{split[0]}{line - 1:05}", text="", label=mapped(said, LABELS, file, line, "label"), split=split,
                    meta={"cascade": need(row, "cascade_id", file, line), "video_url": row.get("video_url"), "said": said},
                )
            )  # fmt: skip
        if out:
            notes.append(f"{out} rows of {file.name} are uncertain or parodies and were left out.")
    notes.append("The corpus holds addresses, not clips; titles stand in FVC_text_queries.csv by event.")
    return Imported(task="micro_video", splits=splits, notes=tuple(notes))


LAYOUT = Layout(
    name="fvc", title="Fake Video Corpus", task="micro_video", read=read,
    accepts="the folder with FVC.csv and FVC_dup.csv, or one of them",
)  # fmt: skip
