"""A language-model student for others to run: merged with its adapter, or as GGUF for llama.cpp and the embedded server."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from folkmoot.models.embedded import embedded_weights
from folkmoot.records import BadInput, MissingExtra, Record
from folkmoot.runs.atomic import atomic_folder
from folkmoot.students.language import MODEL_FOLDER, LanguageCard, load_weights

GGUF_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
GGUF_LAYER_NAMES = {
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}
"""llama.cpp's names for the tensors of the Llama architecture (SmolLM2, Llama)."""


class LanguageExport(Record):
    """What was written."""

    format: str
    path: str
    tensors: int
    bytes: int


def export_language(
    student: Path,
    target: Path | None,
    form: Literal["merged", "gguf"],
    *,
    dtype: Literal["float16", "float32"] = "float16",
) -> LanguageExport:
    """The student, its adapter folded into the weights.

    `merged` is a student's folder that needs no base (transformers' safetensors within); `gguf` a single file, whose
    tokenizer comes from the embedded model's own file, so the student must have been taught from that.

    Args:
        target: the folder or the file; beside the student by default.
        dtype: of the weights in a GGUF file.

    Raises:
        BadInput: the folder is no language model's, or its architecture has no GGUF form here.
        MissingExtra: what it takes is not installed.
    """
    card = LanguageCard.load(student)
    model, reader = load_weights(student, card)
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    if form == "merged":
        place = target or student.with_name(f"{student.name}-merged")
        with atomic_folder(place) as draft:
            model.save_pretrained(draft / MODEL_FOLDER)
            reader.save_pretrained(draft / MODEL_FOLDER)
            card.model_copy(update={"base": MODEL_FOLDER}).save(draft)
        size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
        return LanguageExport(format=form, path=str(place), tensors=len(model.state_dict()), bytes=size)
    place = target or student.with_suffix(".gguf")
    if place.suffix != ".gguf":
        raise BadInput(f"cannot write {place}: a GGUF file ends in .gguf")
    count = write_gguf(model, place, template=embedded_weights(), dtype=dtype)
    return LanguageExport(format=form, path=str(place), tensors=count, bytes=place.stat().st_size)


def write_gguf(model: Any, path: Path, *, template: Path, dtype: str = "float16") -> int:
    """How many tensors were written: the model's weights, under the hyperparameters and the tokenizer of `template`.

    llama.cpp rotates neighbouring pairs of a head's dimensions where transformers rotates its two halves, so the rows of
    the query and key projections change places.

    Raises:
        BadInput: the model is not of the Llama architecture, or has another shape than the template.
        MissingExtra: gguf is not installed.
    """
    try:
        import gguf
    except ImportError:
        raise MissingExtra("Writing GGUF files", "distill") from None
    config = model.config
    if config.model_type != "llama":
        raise BadInput(f"a GGUF file is written for the Llama architecture alone; this model is '{config.model_type}'. "
                       "Export it merged, and convert it with llama.cpp's own script.")  # fmt: skip
    reader = gguf.GGUFReader(str(template))
    shape = {tensor.name: tuple(int(n) for n in reversed(tensor.shape)) for tensor in reader.tensors}
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.partial")
    writer = gguf.GGUFWriter(str(draft), "llama")
    for field in reader.fields.values():
        copy_field(gguf, writer, field)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if dtype == "float16" else gguf.LlamaFileType.ALL_F32)
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    written = 0
    for name, value in model.state_dict().items():
        theirs = gguf_name(name)
        if theirs is None or (theirs == "output.weight" and theirs not in shape):  # tied to the embeddings
            continue
        weights: NDArray[np.float32] = value.detach().to(torch.float32).cpu().numpy()
        if theirs.endswith("attn_q.weight"):
            weights = interleaved(weights, heads)
        elif theirs.endswith("attn_k.weight"):
            weights = interleaved(weights, kv_heads)
        if shape.get(theirs) != weights.shape:
            raise BadInput(f"the tensor {theirs} has the shape {weights.shape}, the embedded model's has "
                           f"{shape.get(theirs)}; only students taught from it can be written as GGUF")  # fmt: skip
        # Norms stay in float32: llama.cpp reads them so, whatever the rest is.
        writer.add_tensor(theirs, weights if weights.ndim == 1 or dtype == "float32" else weights.astype(np.float16))
        written += 1
    if written != len(shape):
        raise BadInput(f"the model gave {written} of the {len(shape)} tensors that a file like {template.name} holds")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    draft.replace(path)
    return written


def gguf_name(name: str) -> str | None:
    """llama.cpp's name of a tensor, or None for what it does not store."""
    if name in GGUF_NAMES:
        return GGUF_NAMES[name]
    if name.startswith("model.layers."):
        number, _, rest = name.removeprefix("model.layers.").partition(".")
        theirs = GGUF_LAYER_NAMES.get(rest)
        return f"blk.{number}.{theirs}" if theirs else None
    return None


def interleaved(weights: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """A projection's rows with each head's two halves shuffled into neighbouring pairs, [rows, D]."""
    rows, width = weights.shape
    return weights.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width)


def copy_field(gguf: Any, writer: Any, field: Any) -> None:
    """Takes one entry of a file's header over, but for those that the writer makes itself."""
    if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type",
                                                        "general.quantization_version"):  # fmt: skip
        return
    kind = field.types[0]
    inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
    writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)
