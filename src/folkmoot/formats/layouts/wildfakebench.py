"""WildFakeBench / FakeAgent: JSONL with `video_id`, `title`, `annotation` and `fake_type` in Chinese.

Paper: arXiv 2603.25423. A debunking video is real; the ten types are the attribution.
"""

from __future__ import annotations

from pathlib import Path

from folkmoot.formats.layouts.layout import Imported, Layout, apart
from folkmoot.formats.layouts.records import by_split, clip, found, json_records, mapped, need, split_of
from folkmoot.records import Post

TYPES = {
    "文本篡改": "TT", "视频篡改": "VT", "音频篡改": "AT", "不合逻辑": "FL", "夸张叙述": "EN", "冒犯语言": "OC",
    "知识错误": "KE", "事件编造": "EF", "事件拼接": "ES", "ai生成": "AIGC", "真实": "", "辟谣": "", "真": "",
}  # fmt: skip
"""The published words; "" is real: true, debunking, true."""


def read(path: Path) -> Imported:
    """The videos of the file (or of the folder's JSONL files); clips are looked for beside it as `VIDEO_ID.mp4`."""
    posts = []
    for file in found(path, ["*.jsonl"], "WildFakeBench"):
        for line, row in json_records(file):
            kind = mapped(need(row, "fake_type", file, line), TYPES, file, line, "fake_type")
            name = need(row, "video_id", file, line)
            posts.append(
                Post(
                    id=name, text=need(row, "title", file, line), media=clip(file.parent, name), split=split_of(file),
                    label="misinformation" if kind else "real", attribution=(kind,) if kind else (),
                    meta={"fake_type": row["fake_type"], "annotation": row.get("annotation")},
                )
            )  # fmt: skip
    splits, notes = apart(by_split(posts))
    return Imported(task="micro_video", splits=splits, notes=tuple(notes))


LAYOUT = Layout(
    name="wildfakebench", title="WildFakeBench (FakeAgent)", task="micro_video", read=read,
    accepts="the JSONL file, or the folder that holds it, with VIDEO_ID.mp4 beside it or in videos/",
)  # fmt: skip
