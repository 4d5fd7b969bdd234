"""Hateful Memes (Kiela et al. 2020): `train.jsonl`, `dev*.jsonl`, `test*.jsonl` beside a folder `img/`."""

from __future__ import annotations

from pathlib import Path

from folkmoot.formats.fields import shown
from folkmoot.formats.layouts.layout import Imported, Layout, gold
from folkmoot.formats.lines import read_rows
from folkmoot.records import BadInput, BadRecord, Media, Post

SPLITS = ("train", "dev", "dev_seen", "dev_unseen", "test", "test_seen", "test_unseen")


def read(path: Path) -> Imported:
    """The splits that the folder (or the single file) holds; label 1 is `hateful`.

    `dev_seen` and `dev_unseen` share most of their memes as published, so splits are not made disjoint here.
    """
    files = [path] if path.is_file() else [path / f"{name}.jsonl" for name in SPLITS]
    files = [file for file in files if file.is_file()]
    if not files:
        raise BadInput(
            f"cannot find Hateful Memes in {path}: none of {', '.join(f'{n}.jsonl' for n in SPLITS)} is there"
        )
    return Imported(task="hateful_meme", splits={file.stem: _split(file) for file in files})


def _split(file: Path) -> list[Post]:
    posts: dict[str, Post] = {}
    for line, row in read_rows(file):
        for field in ("id", "img", "text"):
            if not isinstance(row.get(field), str | int):
                raise BadRecord(file, line, field, "the field is missing.", "A row has id, img, text and maybe label.")
        post = Post(
            id=str(row["id"]),
            text=str(row["text"]),
            media=(Media(path=str((file.parent / str(row["img"])).absolute())),),
            label=gold(row.get("label"), ("not_hateful", "hateful"), path=file, line=line, field="label"),
            split=file.stem.split("_")[0],
        )
        if post.id in posts:
            raise BadRecord(file, line, "id", f"the id {shown(post.id)} stands in the file already.")
        posts[post.id] = post
    return list(posts.values())


LAYOUT = Layout(
    name="hateful_memes",
    title="Hateful Memes",
    task="hateful_meme",
    accepts="the folder with train.jsonl, dev*.jsonl, test*.jsonl and img/, or one of these files",
    read=read,
)
