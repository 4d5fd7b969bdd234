"""Language models of the real architectures, with random weights, small enough for a test."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

WORDS = [
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "g",
    "h",
    "i",
    "tea",
    "rain",
    "real",
    "fake",
    "Verdict",
    ":",
    "is",
    "it",
    "the",
    "post",
    ".",
    "?",
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@lru_cache
def tokenizer() -> Any:
    """A byte-level tokenizer: every text has tokens, and no download is needed."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    base = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(sorted(alphabet))}, merges=[]))
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.decoder = decoders.ByteLevel()
    base.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    made = PreTrainedTokenizerFast(tokenizer_object=base, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    made.chat_template = TEMPLATE
    return made


def llama(*, seed: int = 0, context: int = 512) -> Any:
    """SmolLM2's architecture: two layers, grouped queries, tied embeddings."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer()), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True, max_position_embeddings=context,
            bos_token_id=None, eos_token_id=tokenizer().eos_token_id, pad_token_id=tokenizer().pad_token_id,
        )
    ).eval()  # fmt: skip


def qwen2_vl(*, newer: bool = False, seed: int = 0) -> Any:
    """Qwen2-VL, or Qwen2.5-VL: two layers of each tower, rotary positions with three axes."""
    import transformers

    names = tokenizer().convert_tokens_to_ids
    vision: dict[str, Any] = {"depth": 2, "patch_size": 14, "spatial_merge_size": 2, "num_heads": 2}
    if newer:
        vision |= {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 32, "fullatt_block_indexes": [1],
                   "window_size": 56}  # fmt: skip
    else:
        vision |= {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2}
    config, kind = (
        (transformers.Qwen2_5_VLConfig, transformers.Qwen2_5_VLForConditionalGeneration)
        if newer
        else (transformers.Qwen2VLConfig, transformers.Qwen2VLForConditionalGeneration)
    )
    torch.manual_seed(seed)
    return kind(
        config(
            text_config={
                "vocab_size": len(tokenizer()), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
                "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
                "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
                "bos_token_id": None, "eos_token_id": None,
            },
            vision_config=vision, image_token_id=names("<|image_pad|>"), video_token_id=len(tokenizer()) + 1,
            vision_start_token_id=names("<|vision_start|>"), vision_end_token_id=names("<|vision_end|>"),
        )
    ).eval()  # fmt: skip


def image_processor() -> Any:
    """Qwen2-VL's own, for pictures of a few patches."""
    from transformers import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=28 * 28 * 12)


def save_llama(folder: Path, **options: Any) -> Path:
    """A folder as `save_pretrained` writes it."""
    llama(**options).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def save_qwen2_vl(folder: Path) -> Path:
    """A vision-language folder, with its image processor."""
    qwen2_vl().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    image_processor().save_pretrained(folder)
    assert "vision_config" in json.loads((folder / "config.json").read_text())
    return folder
