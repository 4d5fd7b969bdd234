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
OMNI_SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_bos|>", "<|vision_eos|>", "<|IMAGE|>", "<|VIDEO|>",
    "<|audio_bos|>", "<|audio_eos|>", "<|AUDIO|>",
]  # fmt: skip
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
OMNI_TEMPLATE = TEMPLATE.replace(
    "<|vision_start|><|image_pad|><|vision_end|>",
    "<|vision_bos|><|IMAGE|><|vision_eos|>{% elif c['type'] == 'video' %}<|vision_bos|><|VIDEO|><|vision_eos|>"
    "{% elif c['type'] == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>",
)


@lru_cache
def tokenizer(*, omni: bool = False) -> Any:
    """A byte-level tokenizer: every text has tokens, and no download is needed. Qwen2.5-Omni has media of its own."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    base = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(sorted(alphabet))}, merges=[]))
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.decoder = decoders.ByteLevel()
    base.add_special_tokens([AddedToken(token, special=True) for token in (OMNI_SPECIAL if omni else SPECIAL)])
    made = PreTrainedTokenizerFast(tokenizer_object=base, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    made.chat_template = OMNI_TEMPLATE if omni else TEMPLATE
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


def omni_config() -> dict[str, Any]:
    """The Thinker of Qwen2.5-Omni: two layers of each tower, and sounds in chunks of 0.2 s."""
    names = tokenizer(omni=True).convert_tokens_to_ids
    return {
        "audio_config": {
            "num_mel_bins": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 48, "d_model": 32,
            "max_source_positions": 20, "n_window": 10, "output_dim": 32,
        },
        "vision_config": {
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 14, "window_size": 56,
            "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 32, "fullatt_block_indexes": [1],
        },
        "text_config": {
            "vocab_size": len(tokenizer(omni=True)), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024,
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
        },
        "image_token_index": names("<|IMAGE|>"), "video_token_index": names("<|VIDEO|>"),
        "audio_token_index": names("<|AUDIO|>"), "audio_start_token_id": names("<|audio_bos|>"),
        "audio_end_token_id": names("<|audio_eos|>"), "vision_start_token_id": names("<|vision_bos|>"),
        "vision_end_token_id": names("<|vision_eos|>"),
    }  # fmt: skip


def qwen2_5_omni(*, seed: int = 0) -> Any:
    """Qwen2.5-Omni's Thinker."""
    from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

    torch.manual_seed(seed)
    return Qwen2_5OmniThinkerForConditionalGeneration(Qwen2_5OmniThinkerConfig(**omni_config())).eval()


def feature_extractor() -> Any:
    """Whisper's own, for sounds of at most three seconds."""
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=16, chunk_length=3, return_attention_mask=True)


def omni_reader() -> Any:
    """What the project reads Qwen2.5-Omni's media with; a clip's frame has 2 to 6 merged patches."""
    from folkmoot.students.media_reader import MediaReader

    names = tokenizer(omni=True).convert_tokens_to_ids
    return MediaReader(
        tokenizer(omni=True), image_processor(), image_token_id=names("<|IMAGE|>"), video_token_id=names("<|VIDEO|>"),
        audio_token_id=names("<|AUDIO|>"), feature_extractor=feature_extractor(),
        video_size={"shortest_edge": 28 * 28 * 2, "longest_edge": 28 * 28 * 6},
    )  # fmt: skip


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


def save_qwen2_5_omni(folder: Path, *, whole: bool = False) -> Path:
    """Qwen2.5-Omni's folder: the Thinker alone, or a whole checkpoint as it is published (here without a Talker)."""
    if whole:
        from transformers import Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration

        kind = Qwen2_5OmniForConditionalGeneration
        model = kind(Qwen2_5OmniConfig(thinker_config=omni_config(), enable_audio_output=False))
        model.thinker.load_state_dict(qwen2_5_omni().state_dict())
    else:
        model = qwen2_5_omni()
    model.save_pretrained(folder)
    omni_reader().save_pretrained(folder)
    return folder
