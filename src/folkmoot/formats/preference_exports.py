"""Preference pairs as other trainers read them: TRL, LLaMA-Factory, ms-swift, and a Hugging Face dataset folder.

None of them reads a weight. Beside each file stands a copy in which pairs are repeated so that a trainer that counts
each row alike weighs them as SCPO does, in expectation: 1 + omega * sc.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from folkmoot.formats.lines import write_rows
from folkmoot.formats.replacing import replacing
from folkmoot.records import BadInput, MediaType, PreferencePair, Record
from folkmoot.records.preference import MEDIA_FIELDS, medium_of

Row = dict[str, Any]
TrainerFormat = Literal["trl", "llama_factory", "ms_swift", "hf"]
FORMATS: tuple[TrainerFormat, ...] = ("trl", "llama_factory", "ms_swift", "hf")
MEDIA_TOKENS: dict[MediaType, str] = {"image": "<image>", "video": "<video>", "audio": "<audio>"}
"""How LLaMA-Factory and ms-swift mark the place of a medium."""
ROLES = {"user": "human", "assistant": "gpt", "system": "system"}


class Exported(Record):
    """What was written: the files, the pairs in the plain one and the rows in the resampled copy."""

    files: tuple[str, ...]
    pairs: int
    resampled_rows: int
    omega: float
    images: int = 0
    videos: int = 0
    audios: int = 0


def export_pairs(
    pairs: Sequence[PreferencePair],
    folder: str | Path,
    form: TrainerFormat,
    *,
    omega: float = 1.0,
    seed: int = 0,
    images_from: Path | None = None,
    name: str = "folkmoot_pairs",
) -> Exported:
    """The files of one format in a folder, with the resampled copy, and the media that the pairs name.

    Args:
        omega: how much more a post weighs in the copy on which the whole society was wrong.
        images_from: where relative paths of media start; they are copied into `images/`, `videos/` and `audios/`.

    Raises:
        BadInput: there are no pairs, or a medium is missing.
        StorageFailed: the disk is full or the folder may not be written.
    """
    if not pairs:
        raise BadInput("there is no pair to export")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pairs, copied = copy_media(pairs, folder, images_from)
    again = resampled(pairs, omega=omega, seed=seed)
    row_of = ROWS[form]
    files = [f"{name}.jsonl", f"{name}_resampled.jsonl"]
    for file, chosen in zip(files, (pairs, again), strict=True):
        write_rows((row_of(pair) for pair in chosen), folder / file)
    extra = {"llama_factory": llama_factory_index, "hf": dataset_card}.get(form)
    if extra is not None:
        file, text = extra(files, pairs, omega)
        with replacing(folder / file) as draft:
            draft.write_text(text, encoding="utf-8")
        files.append(file)
    return Exported(files=tuple(files), pairs=len(pairs), resampled_rows=len(again), omega=omega, **copied)


def resampled(pairs: Sequence[PreferencePair], *, omega: float, seed: int) -> list[PreferencePair]:
    """Each pair floor(w) times, and once more with probability w - floor(w), w = 1 + omega * sc; shuffled."""
    dice = random.Random(seed)
    rows: list[PreferencePair] = []
    for pair in pairs:
        weight = 1 + omega * pair.sc
        rows += [pair] * (int(weight) + (dice.random() < weight - int(weight)))
    dice.shuffle(rows)
    return rows


def trl_row(pair: PreferencePair) -> Row:
    """TRL's conversational row; its trainers ignore the columns beyond prompt, chosen, rejected and images."""
    row: Row = {
        "id": pair.id, "prompt": list(pair.prompt), "chosen": list(pair.chosen), "rejected": list(pair.rejected),
        "sc": pair.sc, "n": pair.n, "n_correct": pair.n_correct, "n_partial": pair.n_partial,
    }  # fmt: skip
    return row | media_columns(pair)


def llama_factory_row(pair: PreferencePair) -> Row:
    """LLaMA-Factory's ShareGPT row with `ranking`: one token a picture, clip or sound."""
    row: Row = {
        "conversations": [{"from": ROLES.get(turn["role"], turn["role"]), "value": flat(turn)} for turn in pair.prompt],
        "chosen": {"from": "gpt", "value": pair.chosen_text},
        "rejected": {"from": "gpt", "value": pair.rejected_text},
    }  # fmt: skip
    return row | media_columns(pair)


def ms_swift_row(pair: PreferencePair) -> Row:
    """ms-swift's row: the chosen answer ends `messages`, the rejected one stands beside it."""
    turns = [{"role": turn["role"], "content": flat(turn)} for turn in pair.prompt]
    row: Row = {
        "messages": [*turns, {"role": "assistant", "content": pair.chosen_text}], "rejected_response": pair.rejected_text
    }  # fmt: skip
    return row | media_columns(pair)


def media_columns(pair: PreferencePair) -> Row:
    """The columns that name the pair's files, without those of types that it has none of."""
    return {name: list(paths) for name in MEDIA_FIELDS.values() if (paths := getattr(pair, name))}


ROWS: dict[TrainerFormat, Callable[[PreferencePair], Row]] = {
    "trl": trl_row, "llama_factory": llama_factory_row, "ms_swift": ms_swift_row, "hf": trl_row,
}  # fmt: skip


def flat(turn: Row) -> str:
    """A turn as one text, with a token where a picture, a clip or a sound stands."""
    content = turn.get("content") or ""
    if isinstance(content, str):
        return content
    media = [medium_of(part) for part in content]
    return "\n".join(
        MEDIA_TOKENS[medium] if medium else str(part.get("text") or "")
        for medium, part in zip(media, content, strict=True)
    )


def llama_factory_index(files: Sequence[str], pairs: Sequence[PreferencePair], omega: float) -> tuple[str, str]:
    """`dataset_info.json`, which tells LLaMA-Factory what the columns are."""
    columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}
    columns |= {name: name for pair in pairs for name in media_columns(pair)}
    entry = {"ranking": True, "formatting": "sharegpt", "columns": columns}
    index = {file.removesuffix(".jsonl"): {"file_name": file, **entry} for file in files}
    return "dataset_info.json", json.dumps(index, indent=2) + "\n"


def dataset_card(files: Sequence[str], pairs: Sequence[PreferencePair], omega: float) -> tuple[str, str]:
    """`README.md` of a dataset folder: what `load_dataset(FOLDER)` gives, and what the numbers mean."""
    kinds = {kind: sum(pair.kind == kind for pair in pairs) for kind in ("easy", "mixed", "hard")}
    mean = sum(pair.sc for pair in pairs) / len(pairs)
    configs = "".join(
        f"- config_name: {name}\n  data_files: {file}\n{'  default: true' + chr(10) if name == 'pairs' else ''}"
        for name, file in zip(("pairs", "resampled"), files, strict=True)
    )
    return (
        "README.md",
        f"""---
task_categories:
- text-generation
tags:
- preference
- scpo
configs:
{configs}---

# Preference pairs of a society

{len(pairs)} pairs made with Folkmoot: a society of profiled users judged each post; what led to the gold label became
`chosen`, what misled became `rejected` ("Thinking as Society", ICLR 2026). {kinds["easy"]} easy, {kinds["mixed"]} mixed,
{kinds["hard"]} hard posts; mean sc {mean:.3f}.

| column | meaning |
|---|---|
| prompt, chosen, rejected | conversations, as TRL reads them; `images`, `videos` and `audios` name the files of their media |
| sc | social correction value in [0, 1]: how far the society went wrong on the post |
| n, n_correct, n_partial | users with a usable opinion, those right, those partly right |

`resampled` repeats rows so that each pair weighs 1 + {omega:g} * sc in expectation, for trainers that read no weight.
The posts belong to their authors, and their licence is theirs; the reasoning is a model's words, not people's.
""",
    )


def copy_media(
    pairs: Sequence[PreferencePair], folder: Path, start: Path | None
) -> tuple[list[PreferencePair], dict[str, int]]:
    """The pairs with paths into `folder`, where their media now lie, and how many files of each type were copied.

    Raises:
        BadInput: a file is missing.
    """
    placed: dict[str, dict[str, str]] = {name: {} for name in MEDIA_FIELDS.values()}
    for pair in pairs:
        for name, known in placed.items():
            for path in getattr(pair, name):
                if path in known:
                    continue
                source = (start or Path()) / path
                if not source.is_file():
                    raise BadInput(f"pair '{pair.id}', field '{name}': there is no file {source}")
                (folder / name).mkdir(exist_ok=True)
                known[path] = f"{name}/{len(known):06}{source.suffix}"
                shutil.copyfile(source, folder / known[path])
    moved = [
        pair.model_copy(
            update={name: tuple(known[path] for path in getattr(pair, name)) for name, known in placed.items()}
        )
        for pair in pairs
    ]
    return moved, {name: len(known) for name, known in placed.items()}
