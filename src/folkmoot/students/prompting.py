"""A conversation as a language model's input: template, images, positions; and its answer, drawn greedily."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from folkmoot.records import BadInput
from folkmoot.students.branching import transformers_model

HEAD_SHARE = 0.25
"""Of a prompt that is too long, the first quarter and the last three are kept (chosen): a template opens at its head,
and the question mostly stands at its end."""

POSITION_INPUTS = ("mm_token_type_ids", "image_grid_thw", "video_grid_thw", "second_per_grid_ts")
NOT_MEDIA = ("input_ids", "attention_mask", "mm_token_type_ids")
MEDIA_TYPES = ("image", "video", "audio")


class UnreadableMedia(BadInput):
    """A prompt's image is missing or broken."""


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

    A vision-language folder whose processor cannot be built here (some want torchvision for videos alone) is read with
    its image processor and tokenizer.

    Raises:
        BadInput: the folder holds no model that can be loaded, or its tokenizer has no chat template.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    sees = "vision_config" in config
    kind = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
    try:
        model = kind.from_pretrained(str(folder), local_files_only=True, dtype=dtype)
        reader = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        if sees:
            reader = load_processor(transformers, folder, config, reader)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise BadInput(
            f"Loading a language model from {folder} failed ({type(error).__name__}). It must hold the config, weights "
            "and tokenizer (and, where it reads images, the processor) of a model that transformers knows."
        ) from error
    if getattr(reader, "chat_template", None) is None and tokenizer_of(reader).chat_template is None:
        raise BadInput(
            f"Loading a language model from {folder}: it has no chat template; take an instruction-tuned one."
        )
    return model, reader


def load_processor(transformers: Any, folder: Path, config: Mapping[str, Any], tokenizer: Any) -> Any:
    """The folder's own processor, or an `ImageReader` where that one cannot be built."""
    try:
        return transformers.AutoProcessor.from_pretrained(str(folder), local_files_only=True)
    except (ImportError, AttributeError, ValueError, OSError):
        images = transformers.AutoImageProcessor.from_pretrained(str(folder), local_files_only=True, backend="pil")
        return ImageReader(tokenizer, images, int(config["image_token_id"]))


class ImageReader:
    """Texts and images as the input of a Qwen2-VL-like model: each image's token is repeated once a merged patch."""

    def __init__(self, tokenizer: Any, image_processor: Any, image_token_id: int) -> None:
        self.tokenizer, self.image_processor, self.image_token_id = tokenizer, image_processor, image_token_id
        self.chat_template = tokenizer.chat_template

    def apply_chat_template(self, turns: Any, **options: Any) -> Any:
        """The tokenizer's own."""
        return self.tokenizer.apply_chat_template(turns, **options)

    def __call__(self, *, text: Sequence[str], images: Sequence[Any], return_tensors: str = "pt") -> dict[str, Tensor]:
        """One text [1, T] with its images.

        Raises:
            BadInput: the text has not one place for each image.
        """
        seen = self.image_processor(images=list(images), return_tensors=return_tensors)
        patches = (seen["image_grid_thw"].prod(1) // self.image_processor.merge_size**2).tolist()
        ids: list[int] = []
        for token in self.tokenizer(text[0], add_special_tokens=False)["input_ids"]:
            if token == self.image_token_id:
                if not patches:
                    raise BadInput("a prompt has more places for images than images")
                ids += [token] * patches.pop(0)
            else:
                ids.append(token)
        if patches:
            raise BadInput("a prompt has fewer places for images than images")
        held = torch.tensor([ids])
        return {"input_ids": held, "mm_token_type_ids": (held == self.image_token_id).int(), **seen}


def read_prompt(
    model: Any, reader: Any, turns: Sequence[Mapping[str, Any]], images: Sequence[str], folder: Path | None = None
) -> tuple[list[int], dict[str, Tensor], Tensor | None]:
    """A prompt's token ids, what the processor made of its images, and its positions [3, T] where they have axes.

    Raises:
        UnreadableMedia: an image is missing or broken.
        BadInput: there are images and the model reads text only.
    """
    tokenizer = tokenizer_of(reader)
    templated = reader if getattr(reader, "chat_template", None) else tokenizer
    text: str = templated.apply_chat_template(
        [plain(turn) for turn in turns], add_generation_prompt=True, tokenize=False
    )
    if not images:
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids, {}, None
    if reader is tokenizer:
        raise BadInput("a post has an image, and this language model reads text only; take a vision-language model")
    read = reader(text=[text], images=[open_image(path, folder) for path in images], return_tensors="pt")
    media = {name: value for name, value in read.items() if name not in NOT_MEDIA}
    return read["input_ids"][0].tolist(), media, prompt_positions(model, read)


def plain(turn: Mapping[str, Any]) -> dict[str, Any]:
    """A turn as templates take it: OpenAI's `image_url` and the like become parts of type image, video or audio."""
    content = turn.get("content")
    if isinstance(content, str) or content is None:
        return {"role": turn["role"], "content": content or ""}
    parts: list[dict[str, str]] = []
    for part in content:
        kind = next((name for name in MEDIA_TYPES if str(part.get("type", "")) in (name, f"{name}_url")), None)
        parts.append({"type": kind} if kind else {"type": "text", "text": str(part.get("text") or "")})
    return {"role": turn["role"], "content": parts}


def prompt_positions(model: Any, read: Mapping[str, Any]) -> Tensor | None:
    """A prompt's rotary positions [3, T], or None where a token's position is its index."""
    index = getattr(transformers_model(model).model, "get_rope_index", None)
    if index is None:
        return None
    given = {name: read[name] for name in POSITION_INPUTS if name in read}
    positions: Tensor = index(input_ids=read["input_ids"], **given)[0]
    return positions[:, 0]


def open_image(path: str, folder: Path | None) -> Any:
    """An image file as RGB.

    Raises:
        UnreadableMedia: it is missing or broken.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open((folder or Path()) / path) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise UnreadableMedia("an image is missing") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError):
        raise UnreadableMedia("an image cannot be read") from None


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
