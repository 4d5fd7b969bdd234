"""One contract over every ChatModel, the embedded one on a real llama.cpp server among them."""

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from loopback import GOOD, loopback, says
from pydantic import BaseModel, Field

from folkmoot.models import (
    ChatModel,
    Completion,
    LedgeredModel,
    ReplayedModel,
    Sampling,
    ScriptedModel,
    ask,
    load_model,
)
from folkmoot.models.chat import Message
from folkmoot.models.embedded import EmbeddedModel
from folkmoot.models.openai import OpenAIModel
from folkmoot.models.transformers import TransformersModel
from folkmoot.records import CallFailed, MissingExtra, ModelError, Outcome
from folkmoot.runs.ledger import Ledger

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Judgement(BaseModel):
    label: Literal["normal", "offensive"]
    rationale: str = Field(max_length=30)


SHORT = Sampling(max_tokens=48)
ASKED: list[Message] = [
    {"role": "system", "content": "You judge posts."},
    {"role": "user", "content": "Is 'good morning, neighbours' offensive?"},
]
KINDS = ("scripted", "openai", "ledgered", "replayed", "embedded", "transformers")


@pytest.fixture(scope="module")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama with a byte-level tokenizer and a chat template."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    folder = tmp_path_factory.mktemp("models") / "tiny"
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    marks = ["<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator([], trainers.BpeTrainer(special_tokens=marks, initial_alphabet=alphabet))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>")
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=1024, eos_token_id=1, bos_token_id=0,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def every_model(
    tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path
) -> AsyncIterator[dict[str, ChatModel]]:
    run = tmp_path_factory.mktemp("run")
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(loopback(says(GOOD)))
        ledger = stack.enter_context(Ledger(run / "ledger.sqlite"))
        recording = LedgeredModel(ScriptedModel(lambda messages, schema: GOOD), ledger)
        for number in range(4):
            await recording.complete(numbered(number), None, SHORT)
        await ask(recording, ASKED, Judgement, sampling=SHORT)
        await recording.complete(ASKED, None, SHORT)
        models: dict[str, ChatModel] = {
            "scripted": ScriptedModel(lambda messages, schema: GOOD),
            "openai": OpenAIModel("judge-1", server.url, api_key="none"),
            "ledgered": LedgeredModel(OpenAIModel("judge-1", server.url, api_key="none"), ledger),
            "replayed": ReplayedModel(run),
            "transformers": TransformersModel(tiny_llama),
        }
        with suppress(MissingExtra):  # the tests of this kind skip
            models["embedded"] = EmbeddedModel(slots=2, context_tokens=1024)
        yield models
        for model in models.values():
            await model.aclose()
            await model.aclose()  # closing twice does no harm


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest, every_model: dict[str, ChatModel]) -> ChatModel:
    if request.param not in every_model:
        pytest.skip("the weights package is not installed")
    return every_model[request.param]


def numbered(number: int) -> list[Message]:
    return [{"role": "user", "content": f"Greet neighbour {number}."}]


async def test_it_is_a_chat_model_with_a_name(model: ChatModel) -> None:
    assert isinstance(model, ChatModel)
    assert model.name
    assert "/" not in model.name  # an identity, the same on another machine


async def test_it_completes_under_its_own_name_and_leaves_the_messages_as_they_were(model: ChatModel) -> None:
    messages = copy.deepcopy(ASKED)
    completion = await model.complete(messages, None, SHORT)
    assert completion.model == model.name
    assert completion.finish_reason in ("stop", "length")
    assert completion.usage.prompt_tokens > 0
    assert Completion.from_line(completion.to_line()) == completion
    assert messages == ASKED


async def test_it_answers_many_calls_at_once(model: ChatModel) -> None:
    completions = await asyncio.gather(*(model.complete(numbered(n), None, SHORT) for n in range(4)))
    assert all(isinstance(completion, Completion) for completion in completions)


async def test_asked_for_a_value_it_gives_a_valid_one_or_an_outcome(model: ChatModel) -> None:
    answer = await ask(model, ASKED, Judgement, sampling=SHORT)
    assert answer.outcome in (Outcome.LABELLED, Outcome.UNPARSABLE)
    assert (answer.value is not None) == (answer.outcome is Outcome.LABELLED)
    if not isinstance(model, TransformersModel):  # random weights write no JSON
        assert answer.outcome is Outcome.LABELLED


async def test_the_loop_goes_on_while_it_thinks(model: ChatModel) -> None:
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.01)
            longest = max(longest, loop.time() - before)

    watching = asyncio.create_task(watch())
    try:
        await model.complete(ASKED, None, SHORT)
    finally:
        watching.cancel()
    assert longest < 1.0


async def test_the_embedded_model_obeys_the_schema_of_labels(every_model: dict[str, ChatModel]) -> None:
    if "embedded" not in every_model:
        pytest.skip("the weights package is not installed")
    assert every_model["embedded"].name == "smollm2-135m-instruct-q4_1"
    answer = await ask(every_model["embedded"], ASKED, Judgement, sampling=SHORT, reasks=0)
    assert answer.value is not None
    assert answer.value.label in ("normal", "offensive")


async def test_the_embedded_model_says_that_a_prompt_is_too_long_or_holds_media(
    every_model: dict[str, ChatModel],
) -> None:
    if "embedded" not in every_model:
        pytest.skip("the weights package is not installed")
    model = every_model["embedded"]
    with pytest.raises(CallFailed, match="exceed_context_size"):
        await model.complete([{"role": "user", "content": "hello " * 2000}], None, SHORT)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(CallFailed):
        await model.complete([{"role": "user", "content": [picture]}], None, SHORT)


async def test_the_embedded_server_lets_nobody_in_without_its_key(every_model: dict[str, ChatModel]) -> None:
    if "embedded" not in every_model:
        pytest.skip("the weights package is not installed")
    embedded = every_model["embedded"]
    assert isinstance(embedded, EmbeddedModel)
    await embedded.complete(ASKED, None, SHORT)
    stranger = OpenAIModel("m", embedded._server.listening_address, api_key="guess")
    with pytest.raises(ModelError, match="401"):
        await stranger.complete(ASKED)
    await stranger.aclose()


async def test_the_deterministic_embedded_model_repeats_itself_and_starts_again_after_closing() -> None:
    try:
        model = load_model("embedded:deterministic", context_tokens=1024)
    except MissingExtra:
        pytest.skip("the weights package is not installed")
    asked = [numbered(n) for n in range(3)]
    first = await asyncio.gather(*(model.complete(messages, None, SHORT) for messages in asked))
    await model.aclose()
    second = await asyncio.gather(*(model.complete(messages, None, SHORT) for messages in reversed(asked)))
    await model.aclose()
    assert [c.text for c in first] == [c.text for c in reversed(second)]
    assert all(c.text for c in first)


async def test_transformers_draw_the_same_with_the_same_seed_and_leave_torchs_generator(
    every_model: dict[str, ChatModel],
) -> None:
    import torch

    model = every_model["transformers"]
    state = torch.random.get_rng_state()
    warm = {seed: Sampling(temperature=1.0, max_tokens=24, seed=seed) for seed in (1, 2)}
    first, again, other = [(await model.complete(ASKED, None, warm[seed])).text for seed in (1, 1, 2)]
    assert first == again
    assert first != other
    assert torch.equal(torch.random.get_rng_state(), state)


async def test_transformers_refuse_media_and_prompts_beyond_the_context(every_model: dict[str, ChatModel]) -> None:
    model = every_model["transformers"]
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(CallFailed, match="text only"):
        await model.complete([{"role": "user", "content": [picture]}])
    with pytest.raises(CallFailed, match="its context holds 1024"):
        await model.complete([{"role": "user", "content": "x" * 3000}])


async def test_a_transformers_name_changes_with_its_weights(tiny_llama: Path, tmp_path: Path) -> None:
    import shutil

    copied = tmp_path / "tiny"
    shutil.copytree(tiny_llama, copied)
    names = [TransformersModel(tiny_llama).name, TransformersModel(copied).name]
    weights = copied / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert names[0] == names[1]
    assert TransformersModel(copied).name != names[0]
