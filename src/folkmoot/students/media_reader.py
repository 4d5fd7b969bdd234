"""Texts, images, clips and sounds as the input of Qwen2-VL, Qwen2.5-VL or Qwen2.5-Omni, without their own processors.

Those want torchvision for videos, even where none is read. This reader makes the same input of parts that need none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from folkmoot.records import BadInput, MediaType

VIDEO_SIZE = {"shortest_edge": 128 * 28 * 28, "longest_edge": 768 * 28 * 28}
"""The least and most pixels of a clip's frame: the defaults of Qwen2.5-Omni's processor."""
VIDEO_FILE = "video_preprocessor_config.json"
PREPROCESSOR_FILE = "preprocessor_config.json"


class MediaReader:
    """Reads what it has a token for; each medium's token is repeated once for each vector that the model makes of it.

    Args:
        image_processor: Qwen2-VL's; the frames of clips go through it too.
        feature_extractor: Whisper's, where the model hears.
        video_size: the least and most pixels of a clip's frame.
    """

    def __init__(
        self,
        tokenizer: Any,
        image_processor: Any,
        *,
        image_token_id: int,
        feature_extractor: Any = None,
        video_token_id: int | None = None,
        audio_token_id: int | None = None,
        video_size: Mapping[str, int] = VIDEO_SIZE,
    ) -> None:
        self.tokenizer, self.image_processor, self.feature_extractor = tokenizer, image_processor, feature_extractor
        self.image_token_id, self.video_token_id, self.audio_token_id = image_token_id, video_token_id, audio_token_id
        self.video_size = dict(video_size)
        self.chat_template = tokenizer.chat_template

    def apply_chat_template(self, turns: Any, **options: Any) -> Any:
        """The tokenizer's own."""
        return self.tokenizer.apply_chat_template(turns, **options)

    def __call__(
        self,
        *,
        text: Sequence[str],
        images: Sequence[Any] = (),
        videos: Sequence[NDArray[np.uint8]] = (),
        audio: Sequence[NDArray[np.float32]] = (),
        return_tensors: str = "pt",
    ) -> dict[str, Any]:
        """One text [1, T] with its media.

        Args:
            videos: the frames of each clip, [F, height, width, 3].
            audio: mono samples at 16 kHz.

        Raises:
            BadInput: the text has not one place for each medium.
        """
        import torch

        sources: tuple[tuple[MediaType, int | None, Sequence[Any], Any], ...] = (
            ("image", self.image_token_id, images, self._see),
            ("video", self.video_token_id, videos, self._watch),
            ("audio", self.audio_token_id, audio, self._hear),
        )
        media: dict[str, Any] = {}
        places: dict[int | None, tuple[MediaType, Iterator[int]]] = {}
        for kind, token, given, read in sources:
            counts: list[int] = []
            if len(given):
                inputs, counts = read(given)
                media |= inputs
            places[token] = (kind, iter(counts))
        ids: list[int] = []
        for one in self.tokenizer(text[0], add_special_tokens=False)["input_ids"]:
            if one not in places:
                ids.append(one)
                continue
            kind, left = places[one]
            count = next(left, None)
            if count is None:
                raise BadInput(f"a prompt has more places for media of type '{kind}' than such media")
            ids += [one] * count
        for kind, left in places.values():
            if next(left, None) is not None:
                raise BadInput(f"a prompt has fewer places for media of type '{kind}' than such media")
        held = torch.tensor([ids])
        kinds = (held == self.image_token_id).int()
        if self.video_token_id is not None:
            kinds += 2 * (held == self.video_token_id).int()
        return {"input_ids": held, "mm_token_type_ids": kinds, **media}

    def _see(self, images: Sequence[Any]) -> tuple[dict[str, Any], list[int]]:
        """The patches of images, and how many tokens each takes."""
        seen = self.image_processor(images=list(images), return_tensors="pt")
        return dict(seen), self._merged(seen["image_grid_thw"])

    def _watch(self, videos: Sequence[NDArray[np.uint8]]) -> tuple[dict[str, Any], list[int]]:
        """The patches of clips, and how many tokens each takes."""
        import torch

        patches, grids = zip(*(self.video_patches(frames) for frames in videos), strict=True)
        grid = torch.tensor(grids)
        return {"pixel_values_videos": torch.cat(patches), "video_grid_thw": grid}, self._merged(grid)

    def _merged(self, grid: Any) -> list[int]:
        """How many merged patches each medium has, from the grids (time, height, width) [N, 3]."""
        counts: list[int] = (grid.prod(1) // self.image_processor.merge_size**2).tolist()
        return counts

    def video_patches(self, frames: NDArray[np.uint8]) -> tuple[Any, tuple[int, int, int]]:
        """A clip's patches, [N, channels * frames of a patch * height * width], and its grid (time, height, width).

        A patch spans two neighbouring frames, as in Qwen2-VL's video processor; the last frame is repeated where one
        is wanting. The image processor repeats a picture within each patch, so a clip's patch takes its first half
        from the first frame's and its second from the next one's.
        """
        import torch
        from PIL import Image

        span, side = self.image_processor.temporal_patch_size, self.image_processor.patch_size
        shown = [Image.fromarray(frame) for frame in frames]
        shown += [shown[-1]] * (-len(shown) % span)
        seen = self.image_processor(images=shown, size=self.video_size, return_tensors="pt")
        _, height, width = seen["image_grid_thw"][0].tolist()
        time = len(shown) // span
        # [time, frame of the pair, height * width, channels, copy, side, side]
        pairs = seen["pixel_values"].view(time, span, height * width, -1, span, side, side)
        patches = torch.stack([pairs[:, n, :, :, n] for n in range(span)], dim=3)
        return patches.flatten(0, 1).flatten(1), (time, height, width)

    def _hear(self, audio: Sequence[NDArray[np.float32]]) -> tuple[dict[str, Any], list[int]]:
        """The log-mel spectra of sounds, and how many tokens each takes.

        Spectra are normalised and cut as if the sound were followed by silence up to the longest that the extractor
        takes; a few windows of it give the same numbers.
        """
        extractor = self.feature_extractor
        longest = max(len(samples) for samples in audio) + 2 * extractor.n_fft
        heard = extractor(
            list(audio), sampling_rate=extractor.sampling_rate, padding="max_length", truncation=True,
            max_length=min(extractor.n_samples, -(-longest // extractor.hop_length) * extractor.hop_length),
            return_attention_mask=True, return_tensors="pt",
        )  # fmt: skip
        mask = heard["attention_mask"]
        counts = [audio_tokens(frames) for frames in mask.sum(1).tolist()]
        return {"input_features": heard["input_features"], "feature_attention_mask": mask}, counts

    def save_pretrained(self, folder: Path | str) -> None:
        """Writes the tokenizer and what the other parts are made of, as the models' own folders hold them: images' and
        sounds' settings in one file."""
        folder = Path(folder)
        self.tokenizer.save_pretrained(str(folder))
        settings = dict(self.image_processor.to_dict())
        if self.feature_extractor is not None:
            settings = {**self.feature_extractor.to_dict(), **settings}
        (folder / PREPROCESSOR_FILE).write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
        if self.video_token_id is not None:
            (folder / VIDEO_FILE).write_text(json.dumps({"size": self.video_size}, indent=2) + "\n", "utf-8")


def audio_tokens(frames: int) -> int:
    """How many vectors Qwen2.5-Omni's audio tower makes of a sound: a convolution of stride 2, then pairs averaged.

    >>> audio_tokens(100)  # a second: 10 ms a frame
    25
    """
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


def saved_video_size(folder: Path) -> Mapping[str, int]:
    """The pixels of a clip's frame that a model's folder asks for, else Qwen2.5-Omni's."""
    file = folder / VIDEO_FILE
    held = json.loads(file.read_text("utf-8")).get("size") if file.is_file() else None
    return held if held and {"shortest_edge", "longest_edge"} <= set(held) else VIDEO_SIZE
