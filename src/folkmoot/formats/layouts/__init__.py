"""The published data sets that can be read in their own layout, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from folkmoot.formats.fields import suggestion
from folkmoot.formats.layouts import (
    averitec,
    davidson,
    dialogues,
    fvc,
    hateful_memes,
    image_text,
    ma_vlm,
    mami,
    questions,
    sentiment140,
    short_videos,
    wildfakebench,
)  # fmt: skip
from folkmoot.formats.layouts.layout import Imported, Layout
from folkmoot.records import BadInput

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        hateful_memes.LAYOUT,
        mami.LAYOUT,
        davidson.LAYOUT,
        sentiment140.LAYOUT,
        ma_vlm.LAYOUT,
        wildfakebench.LAYOUT,
        short_videos.FAKESV,
        short_videos.FAKETT,
        fvc.LAYOUT,
        *image_text.ALL,
        averitec.LAYOUT,
        *questions.ALL,
        *dialogues.ALL,
    )
}

__all__ = ["LAYOUTS", "Imported", "Layout", "read_layout"]


def read_layout(name: str, path: str | Path, **options: Any) -> Imported:
    """The posts (and opinions, where recorded) of a published data set, from the files as published.

    Options are the layout's own; a path among them may be a string.

    Raises:
        BadInput: the layout or an option is not known, or its files are missing.
        BadRecord: a file is not what its layout says.
    """
    if name not in LAYOUTS:
        raise BadInput(f"no layout is called '{name[:60]}'. {suggestion(name[:60], LAYOUTS)}")
    layout = LAYOUTS[name]
    for option in options:
        if option not in layout.options:
            accepted = suggestion(option, layout.options) if layout.options else "It takes none."
            raise BadInput(f"layout '{name}' has no option '{option}'. {accepted}")
    path = Path(path)
    if not path.exists():
        raise BadInput(f"cannot read {path}: no such file or folder; accepted is {layout.accepts}")
    paths = {"root", "opinions", "train", "test", "test_labels", "visual_news"}
    given = {key: Path(value) if key in paths and value is not None else value for key, value in options.items()}
    return layout.read(path, **given)
