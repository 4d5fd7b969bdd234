"""FakeSV and FakeTT: `data.json` with a row a video, `videos/`, and lists of ids for each split.

Papers: Qi et al., "FakeSV" (AAAI 2023); Bu et al., "FakingRecipe" (ACM MM 2024). FakeSV's debunking videos are real.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from folkmoot.formats.layouts.layout import Imported, Layout, apart
from folkmoot.formats.layouts.records import by_split, clip, found, json_records, mapped, need
from folkmoot.records import Post

LABELS = {
    "假": "misinformation", "真": "real", "辟谣": "real", "fake": "misinformation", "real": "real", "debunk": "real",
    "0": "real", "1": "misinformation",
}  # fmt: skip
SPLITS = {"vid_time3_train.txt": "train", "vid_time3_val.txt": "dev", "vid_time3_test.txt": "test"}
"""The temporal split's lists of ids."""


def read(path: Path, *, title: str) -> Imported:
    """The videos with their title, on-screen text where the file has it, and the temporal split where its lists lie
    below the folder."""
    [file, *_] = found(path, ["data.json", "data_complete.json", "*.jsonl"], title)
    split_of = {
        name.strip(): split
        for listed, split in SPLITS.items()
        for place in sorted(file.parent.rglob(listed))
        for name in place.read_text(encoding="utf-8").split()
    }
    posts = []
    for line, row in json_records(file):
        name = need(row, "video_id", file, line)
        annotation = need(row, "annotation", file, line)
        words = row.get("title") or row.get("description") or ""
        posts.append(
            Post(
                id=name, text=str(words), media=clip(file.parent, name), split=split_of.get(name, "all"),
                label=mapped(annotation, LABELS, file, line, "annotation"),
                meta={"annotation": annotation, "event": row.get("event") or row.get("keywords"), "ocr": row.get("ocr")},
            )
        )  # fmt: skip
    splits, notes = apart(by_split(posts))
    return Imported(task="micro_video", splits=splits, notes=tuple(notes))


ACCEPTS = "the folder with data.json (a row a video), videos/ and the lists of ids"
FAKESV = Layout(name="fakesv", title="FakeSV", task="micro_video", accepts=ACCEPTS, read=partial(read, title="FakeSV"))
FAKETT = Layout(name="fakett", title="FakeTT", task="micro_video", accepts=ACCEPTS, read=partial(read, title="FakeTT"))
