"""A Hugging Face causal language model in this process."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from folkmoot.models.chat import Completion, Message, Sampling, Schema, Usage
from folkmoot.models.quiet import without_progress_bars
from folkmoot.records import BadInput, CallFailed, MissingExtra

JSON_REQUEST = "Reply with nothing but one JSON object that satisfies this JSON schema:\n{schema}"
IDENTITY_BYTES = 1 << 20
"""How much of either end of a weights file goes into the model's name."""


class TransformersModel:
    """A ChatModel from a local folder (or a GGUF file), through its chat template.

    The schema is asked for in the prompt, not enforced: `structured.ask` validates and re-asks. One reply is drawn at
    a time, in a thread of its own. Reads text only. With a temperature of 0 the reply is the most likely one; else
    it is drawn with the sampling's seed, apart from torch's global generator.

    Args:
        path: a folder that `save_pretrained` wrote, or a .gguf file.
        name: the identity in call keys; the folder's name and a hash of its weights if not given.
        device: as torch names it.
        json_request: how the schema is asked for, in the prompts' language; `{schema}` is filled in. Empty: not
                at all, for a model that was taught the form.
    """

    def __init__(
        self, path: Path | str, *, name: str | None = None, device: str = "cpu", json_request: str = JSON_REQUEST
    ) -> None:
        self._path = Path(path)
        is_gguf = self._path.suffix == ".gguf"
        if not (self._path.is_file() if is_gguf else (self._path / "config.json").is_file()):
            raise BadInput(
                f"Loading a model from {self._path}: it is neither a folder with a 'config.json' nor a .gguf file. "
                "Hub names are not looked up: download the model and name its folder."
            )
        self._name = name or identity(self._path)
        self._device = device
        self._json_request = json_request
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="folkmoot-transformers")
        self._loaded: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        return self._name

    async def complete(
        self, messages: Sequence[Message], schema: Schema | None = None, sampling: Sampling = Sampling()
    ) -> Completion:
        """The model's reply.

        Raises:
            CallFailed: the prompt leaves no room in the context, holds media, or does not fit the chat template.
            MissingExtra: torch or transformers is not installed.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._reply, list(messages), schema, sampling
        )

    async def aclose(self) -> None:
        """Nothing; the weights are let go once the reply under way is drawn."""
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)
        self._loaded = None

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            try:
                import torch
                from transformers import AutoModelForCausalLM, AutoTokenizer
            except ImportError:
                raise MissingExtra("A transformers model", "local") from None
            without_progress_bars()
            gguf = {"gguf_file": self._path.name} if self._path.suffix == ".gguf" else {}
            folder = str(self._path.parent if gguf else self._path)
            try:
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, **gguf)
                model = AutoModelForCausalLM.from_pretrained(
                    folder, local_files_only=True, dtype=torch.float32 if self._device == "cpu" else "auto", **gguf
                )
            except (OSError, ValueError, KeyError) as error:
                raise BadInput(f"Loading a model from {self._path} failed: {type(error).__name__}. It must hold the "
                               "config, weights and tokenizer of a causal language model.") from error  # fmt: skip
            if tokenizer.chat_template is None:
                raise BadInput(f"Loading a model from {self._path}: its tokenizer has no chat template; take the "
                               "instruction-tuned model, or add one.")  # fmt: skip
            self._loaded = model.to(self._device).eval(), tokenizer
        return self._loaded

    def _reply(self, messages: list[Message], schema: Schema | None, sampling: Sampling) -> Completion:
        model, tokenizer = self._load()
        import torch

        conversation = [plain_message(message, self._name) for message in messages]
        if schema is not None and self._json_request:
            request = self._json_request.format(schema=json.dumps(schema, ensure_ascii=False))
            if conversation and conversation[-1]["role"] == "user":
                conversation[-1] = {"role": "user", "content": f"{conversation[-1]['content']}\n\n{request}"}
            else:
                conversation.append({"role": "user", "content": request})
        try:
            prompt = tokenizer.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
        except Exception as error:  # a template is a program of the model's author: it raises what it likes
            raise CallFailed(f"Asking '{self._name}': its chat template refuses these roles ({type(error).__name__})."
                             ) from None  # fmt: skip
        tokens = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).to(self._device)  # [1, T]
        count = int(tokens["input_ids"].shape[1])
        context = int(getattr(model.config, "max_position_embeddings", 0) or 1 << 30)
        if count >= context:
            raise CallFailed(f"Asking '{self._name}': the prompt has {count} tokens, its context holds {context}.")
        drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        devices = [self._device] if self._device.startswith("cuda") else []
        with torch.inference_mode(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(sampling.seed)
            output = model.generate(
                input_ids=tokens["input_ids"],
                attention_mask=tokens["attention_mask"],
                repetition_penalty=1.0 + sampling.frequency_penalty,  # the nearest that generate() has
                max_new_tokens=min(sampling.max_tokens, context - count),
                pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
                **(drawn if sampling.temperature > 0 else {"do_sample": False}),
            )
        new = output[0, count:].tolist()
        ends = model.generation_config.eos_token_id
        ended = bool(new) and new[-1] in (ends if isinstance(ends, list) else [ends])
        return Completion(
            text=tokenizer.decode(new, skip_special_tokens=True),
            model=self._name,
            finish_reason="stop" if ended else "length",
            usage=Usage(prompt_tokens=count, completion_tokens=len(new)),
        )


def plain_message(message: Message, name: str) -> dict[str, str]:
    """The message with its text parts joined into a string.

    Raises:
        CallFailed: it holds a picture, a clip or a sound.
    """
    content = message.get("content") or ""
    if isinstance(content, list):
        if any(part.get("type") != "text" for part in content):
            raise CallFailed(f"Asking '{name}' in this process: it reads text only, and the message holds media. Serve "
                             "the model (vLLM, llama.cpp) and use 'openai:NAME@URL'.")  # fmt: skip
        content = "\n".join(str(part.get("text") or "") for part in content)
    return {"role": str(message["role"]), "content": str(content)}


def identity(path: Path) -> str:
    """The folder's name and eight digits that change with the weights, the config or the tokenizer.

    Large files enter with their size and both ends; two fine-tunes of one base differ there in practice.
    """
    files = [path] if path.is_file() else sorted(
        file for file in path.iterdir() if file.suffix in (".safetensors", ".bin", ".json", ".jinja", ".model")
    )  # fmt: skip
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(IDENTITY_BYTES))
            if size > IDENTITY_BYTES:
                stream.seek(max(IDENTITY_BYTES, size - IDENTITY_BYTES))
                digest.update(stream.read())
    return f"{path.stem if path.is_file() else path.resolve().name}-{digest.hexdigest()[:8]}".lower()
