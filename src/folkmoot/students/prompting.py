"""A conversation as a language model's input: template, media, positions; and its answer, drawn greedily."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from folkmoot.models.quiet import without_progress_bars
from folkmoot.records import BadInput, MediaType
from folkmoot.records.preference import medium_of
from folkmoot.students.branching import PADDED, transformers_model
from folkmoot.students.media_files import FRAMES_PER_TOKEN, check_media, open_image, open_sound, open_video
from folkmoot.students.media_reader import MediaReader, saved_video_size

HEAD_SHARE = 0.25
"""Of a prompt that is too long, the first quarter and the last three are kept (chosen): a template opens at its head,
and the question mostly stands at its end."""

GRIDS = ("image_grid_thw", "video_grid_thw")
POSITION_INPUTS = ("mm_token_type_ids", *GRIDS, "second_per_grid_ts")
NOT_MEDIA = ("input_ids", "attention_mask", "mm_token_type_ids")
OMNI = ("qwen2_5_omni", "qwen2_5_omni_thinker")
"""The model types of Qwen2.5-Omni: a whole checkpoint, and its Thinker alone."""


def tokenizer_of(reader: Any) -> Any:
    """The tokenizer, also where a processor holds it."""
    return getattr(reader, "tokenizer", reader)


def context_tokens(model: Any, limit: int | None = None) -> int:
    """How many tokens a prompt and its answer may have together: the model's context, or a smaller limit."""
    text = transformers_model(model).config.get_text_config()
    own = int(getattr(text, "max_position_embeddings", 0) or 1 << 30)
    return min(own, limit or own)


def load_model_and_reader(transformers: Any, folder: Path, *, dtype: torch.dtype) -> tuple[Any, Any]:
    """The model of a transformers folder, and its processor where it reads media, else its tokenizer.

    Of Qwen2.5-Omni the Thinker is loaded, which reads and writes; the Talker, which speaks, is left out. A folder whose
    processor cannot be built here (some want torchvision for videos alone) is read with a `MediaReader`.

    Raises:
        BadInput: the folder holds no model that can be loaded, or its tokenizer has no chat template.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    reads_media = "vision_config" in config or "thinker_config" in config
    if config.get("model_type") in OMNI:
        kind = transformers.Qwen2_5OmniThinkerForConditionalGeneration
    else:
        kind = transformers.AutoModelForImageTextToText if reads_media else transformers.AutoModelForCausalLM
    without_progress_bars()
    try:
        model = kind.from_pretrained(str(folder), local_files_only=True, dtype=dtype)
        reader = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        template = folder / "chat_template.json"  # where older processors keep it
        if reader.chat_template is None and template.is_file():
            reader.chat_template = json.loads(template.read_text("utf-8"))["chat_template"]
        if reads_media:
            reader = load_processor(transformers, folder, model.config, reader)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise BadInput(
            f"Loading a language model from {folder} failed ({type(error).__name__}). It must hold the config, weights "
            "and tokenizer (and, where it reads media, the processor) of a model that transformers knows."
        ) from error
    if getattr(reader, "chat_template", None) is None and tokenizer_of(reader).chat_template is None:
        raise BadInput(
            f"Loading a language model from {folder}: it has no chat template; take an instruction-tuned one."
        )
    return model, reader


def load_processor(transformers: Any, folder: Path, config: Any, tokenizer: Any) -> Any:
    """The folder's own processor, or a `MediaReader` where that one cannot be built.

    Raises:
        ValueError: the model is of a kind that a `MediaReader` does not know.
    """
    hears = config.model_type in OMNI
    try:
        found = transformers.AutoProcessor.from_pretrained(str(folder), local_files_only=True)
        if hasattr(found, "image_processor") and (hasattr(found, "feature_extractor") or not hears):
            return found
    except (ImportError, AttributeError, ValueError, OSError):
        pass  # the reader below needs less
    token = getattr(config, "image_token_id", None)
    if token is None:
        raise ValueError(f"a model of type {config.model_type} names no token for images")
    images = transformers.AutoImageProcessor.from_pretrained(str(folder), local_files_only=True, backend="pil")
    if not hears:
        return MediaReader(tokenizer, images, image_token_id=token)
    return MediaReader(
        tokenizer, images, image_token_id=token, video_token_id=config.video_token_id,
        audio_token_id=config.audio_token_id, video_size=saved_video_size(folder),
        feature_extractor=transformers.WhisperFeatureExtractor.from_pretrained(str(folder), local_files_only=True),
    )  # fmt: skip


def media_read_by(model: Any, reader: Any) -> tuple[MediaType, ...]:
    """The types of media that a model can be given."""
    if reader is tokenizer_of(reader):
        return ()
    return ("image", "video", "audio") if transformers_model(model).config.model_type in OMNI else ("image",)


def read_prompt(
    model: Any,
    reader: Any,
    turns: Sequence[Mapping[str, Any]],
    images: Sequence[str] = (),
    folder: Path | None = None,
    *,
    videos: Sequence[str] = (),
    audios: Sequence[str] = (),
) -> tuple[list[int], dict[str, Tensor], Tensor | None]:
    """A prompt's token ids, what the processor made of its media, and its positions [3, T] where they have axes.

    Args:
        images: the files of the turns' parts of that type, in order; so `videos` and `audios`.
        folder: where relative paths start.

    Raises:
        UnreadableMedia: a file is missing or broken, or a part of the turns has none.
        BadInput: there are media that the model does not read.
    """
    tokenizer = tokenizer_of(reader)
    turns = [plain(turn) for turn in turns]
    files: dict[MediaType, Sequence[str]] = {"image": images, "video": videos, "audio": audios}
    check_media(files, turns, media_read_by(model, reader))
    templated = reader if getattr(reader, "chat_template", None) else tokenizer
    text: str = templated.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    if not any(files.values()):
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids, {}, None
    given: dict[str, Any] = {}
    if images:
        given["images"] = [open_image(path, folder) for path in images]
    clips = [open_video(path, folder) for path in videos]
    if clips:
        given["videos"] = [clip.frames for clip in clips]
    if audios:
        seconds = reader.feature_extractor.chunk_length
        given["audio"] = [open_sound(path, folder, seconds=seconds) for path in audios]
    read = dict(reader(text=[text], return_tensors="pt", **given))
    if clips:  # a processor is told one rate for all clips, and these may differ
        read["video_second_per_grid"] = torch.tensor([FRAMES_PER_TOKEN * clip.seconds_apart for clip in clips])
    if audios:  # Qwen2.5-Omni's own processor fills up to five minutes
        frames = int(read["feature_attention_mask"].sum(1).max())
        read |= {name: read[name][..., :frames].clone() for name in PADDED}
    media = {name: torch.as_tensor(value) for name, value in read.items() if name not in NOT_MEDIA}
    return read["input_ids"][0].tolist(), media, prompt_positions(model, read)


def plain(turn: Mapping[str, Any]) -> dict[str, Any]:
    """A turn as templates take it: OpenAI's `image_url` and the like become parts of type image, video or audio."""
    content = turn.get("content")
    if isinstance(content, str) or content is None:
        return {"role": turn["role"], "content": content or ""}
    parts: list[dict[str, str]] = []
    for part in content:
        kind = medium_of(part)
        parts.append({"type": kind} if kind else {"type": "text", "text": str(part.get("text") or "")})
    return {"role": turn["role"], "content": parts}


def prompt_positions(model: Any, read: Mapping[str, Any]) -> Tensor | None:
    """A prompt's rotary positions [3, T], or None where a token's position is its index."""
    index = getattr(transformers_model(model).model, "get_rope_index", None)
    if index is None:
        return None
    if transformers_model(model).config.model_type in OMNI:
        if not any(name in read for name in GRIDS):
            return None  # a sound's tokens stand one after the other
        given = {name: read[name] for name in GRIDS if name in read}
        if "feature_attention_mask" in read:
            given["audio_seqlens"] = read["feature_attention_mask"].sum(1)
        given["second_per_grids"] = read.get("video_second_per_grid")
    else:
        given = {name: read[name] for name in POSITION_INPUTS if name in read}
    positions: Tensor = index(input_ids=read["input_ids"], **given)[0]
    return positions[:, 0]


def shortened(prompt: Sequence[int], room: int, *, movable: bool = True) -> list[int]:
    """The prompt where it fits into `room` tokens, else its first quarter and its last three quarters of that.

    Raises:
        BadInput: nothing fits, or the prompt holds media, which cannot be cut.
    """
    if len(prompt) <= room:
        return list(prompt)
    if room < 1 or not movable:
        raise BadInput(
            f"a prompt of {len(prompt)} tokens does not fit into the {room} that the context leaves"
            + ("" if movable else "; it holds media, which cannot be cut")
        )
    head = int(room * HEAD_SHARE)
    return [*prompt[:head], *prompt[len(prompt) - (room - head) :]]


def generate_until(
    model: Any, tokenizer: Any, prompt: Sequence[int], media: Mapping[str, Tensor], *, stop: str, most: int
) -> list[int]:
    """The greedy answer's tokens up to where `stop` begins, a line's end included; at most `most` tokens.

    Without a `stop` in the answer, all of it is taken, without the end of the turn, and a line's end comes on top.
    """
    from transformers import StoppingCriteria, StoppingCriteriaList

    class SaidIt(StoppingCriteria):  # type: ignore[misc]
        def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
            tail = tokenizer.decode(input_ids[0, max(len(prompt), input_ids.shape[1] - 16) :])
            return torch.tensor([stop in tail], device=input_ids.device)

    inner = transformers_model(model)
    device = inner.get_input_embeddings().weight.device
    ids = torch.tensor([list(prompt)], device=device)
    output = inner.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, do_sample=False,
        stopping_criteria=StoppingCriteriaList([SaidIt()]), pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
        **{name: value.to(device) for name, value in media.items()},
    )  # fmt: skip
    said: list[int] = output[0, len(prompt) :].tolist()
    if said and said[-1] == tokenizer.eos_token_id:
        said = said[:-1]
    text = tokenizer.decode(said)
    before, found, _ = text.partition(stop)
    if found:
        said = tokenizer(before, add_special_tokens=False)["input_ids"]
    elif text and not text.endswith("\n"):
        said = [*said, *tokenizer("\n", add_special_tokens=False)["input_ids"]]
    return said
