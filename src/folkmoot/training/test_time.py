"""Test-time adaptation that is kept honest: a LoRA for one question, its update, its reset, and the controls beside it.

Paper: MODF-SIR (arXiv 2606.12018): attempts y_1, y_2, ... are scored from 1 to 10 by the model itself with its adapter
off; below the score that suffices the adapter takes one step on (s_t - b) * NLL(y_t), b a moving baseline; the
best-scored attempt counts. At most T - 1 steps.
Departs: dropout is off while an attempt is sampled; the reviser sees the options by default; what counts is the
reviser's choice alone. The released scripts take the best attempt against the gold answer: that is pass@T, and it is
reported apart, as `oracle`. Beside the adapted answers stand, from the same prefill, one greedy answer (no adaptation)
and the best of T samples (no update).
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from folkmoot.models.quiet import peft_asking
from folkmoot.records import BadInput, FolkmootError, MissingExtra, Question, Record
from folkmoot.students.branching import Branching, read_answers, shares_prefix, transformers_model
from folkmoot.students.language import padding_id
from folkmoot.students.prompting import context_tokens, read_prompt, shortened
from folkmoot.training.language_base import LanguageBase
from folkmoot.training.lora import in_tower
from folkmoot.training.self_training import seed_of

LEAD = "\nAnswer:"
"""What stands between the thought and the answer."""
SCORES = tuple(range(1, 11))
ADAPTER = "instance"


class AdaptationSettings(Record):
    """How one question's adapter learns. The defaults are the released code's."""

    attempts: int = Field(default=3, ge=1)
    suffices: float = Field(default=7, ge=1, le=10)
    baseline: float = 5.0
    baseline_decay: float = Field(default=0.7, ge=0, le=1)
    learning_rate: float = Field(default=1e-5, gt=0)
    rank: int = Field(default=64, gt=0)
    alpha: int = Field(default=128, gt=0)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    """While the likelihood of an attempt is taken for its step, never while one is sampled."""
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    temperature: float = Field(default=0.85, gt=0)
    thought_tokens: int = Field(default=96, ge=0)
    """The most tokens of thought before the answer; 0 answers at once."""
    answer_tokens: int = Field(default=24, gt=0)
    """The most tokens of an answer in free words."""
    max_seconds: float | None = Field(default=None, gt=0)
    """No further attempt of an arm is begun for a question after so many seconds."""
    score: Literal["greedy", "expected"] = "greedy"
    """The likeliest of the ten scores, as in the paper, or their mean by likelihood, which tells attempts of a small
    model apart."""
    options_to_reviser: bool = True


class Attempt(Record):
    """One attempt: what was thought and answered, the reviser's score, the mean NLL of its tokens in nats, and the step
    that followed, if any: its loss, the baseline before it, the adapter's norm after it, and the NLL of the same tokens
    after it."""

    number: int
    thought: str
    answer: str | None
    score: float | None
    nll: float | None = None
    loss: float | None = None
    baseline: float | None = None
    adapter_norm: float | None = None
    nll_after: float | None = None


class Adapted(Record):
    """One question under every arm. `attempts` begin alike in `best_of` and `adapted`: the first is the same."""

    id: str
    greedy: Attempt
    best_of: tuple[Attempt, ...]
    adapted: tuple[Attempt, ...]
    prompt_tokens: int
    cut: bool = False
    seconds: dict[str, float] = Field(default_factory=dict)
    """Wall-clock seconds of each arm; no part of what repeats."""


def best_attempt(attempts: Sequence[Attempt]) -> Attempt | None:
    """The first of the best-scored attempts that have an answer; one without a score counts below all that have one."""
    answered = [attempt for attempt in attempts if attempt.answer is not None]
    return max(answered, key=lambda attempt: attempt.score if attempt.score is not None else 0.0, default=None)


def adaptation_loss(nll: Tensor, score: float, baseline: float) -> Tensor:
    """(s - b) * mean NLL: a step down it makes an attempt above the baseline likelier, one below it less likely."""
    return (score - baseline) * nll


def next_baseline(baseline: float, score: float, decay: float) -> float:
    """b <- decay * b + (1 - decay) * s.

    >>> next_baseline(5.0, 7.0, 0.7)
    5.6
    """
    return decay * baseline + (1 - decay) * score


class WeightsChanged(FolkmootError):
    """The weights after an instance are not those before it, bit for bit."""


class _Prefill(NamedTuple):
    cache: Any
    logits: Tensor  # [V], of the next token
    next_position: int


@dataclass
class _Reviewed:
    """What the reviser has said and read of one question; the adapter is off for it, so both stay true."""

    scores: dict[str, float] = field(default_factory=dict)
    beginning: list[int] = field(default_factory=list)
    """The tokens that the reviser's prompts begin with, whatever the answer."""
    shared: _Prefill | None = None


class Asked(NamedTuple):
    """A question as token ids, with what a processor made of its pictures; `review` gives the reviser's prompt for an
    answer in words."""

    id: str
    question: Question
    prompt: list[int]
    media: Mapping[str, Tensor]
    positions: Tensor | None
    review: Callable[[str], list[int]]
    reviewed: _Reviewed
    cut: bool = False


class TestTimeAdapter:
    """A language model with one adapter that belongs to the question in hand and to no other."""

    __test__ = False  # not a test, whatever its name begins with

    def __init__(
        self, base: LanguageBase, settings: AdaptationSettings = AdaptationSettings(), *, seed: int = 0
    ) -> None:
        """
        Raises:
            MissingExtra: peft is not installed.
            BadInput: the model has none of the target layers, or its attention cannot share a prefix.
        """
        try:
            from peft import LoraConfig, get_peft_model
        except ImportError:
            raise MissingExtra("Adapting at test time", "distill") from None
        if not shares_prefix(base.model):
            raise BadInput("test-time adaptation needs a model with full attention in every layer")
        torch.manual_seed(seed)
        self.base, self.settings, self.seed = base, settings, seed
        config = LoraConfig(
            r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, bias="none",
            target_modules=_targets(base.model, settings.targets),
        )  # fmt: skip
        with peft_asking():
            self.model: Any = get_peft_model(base.model, config, adapter_name=ADAPTER)
        self.trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self._fresh = {name: p.detach().clone() for name, p in self.trained.items()}
        self._frozen = {name: p for name, p in self.model.named_parameters() if not p.requires_grad}
        self.base_digest = self.digest()
        self.model.eval()
        tokenizer = base.tokenizer
        self.padding = padding_id(tokenizer)
        self.ends = {
            i for i in (tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")) if i is not None
        }

    # ---------------------------------------------------------------------------------------------- weights

    def digest(self) -> str:
        """The SHA-256 of the frozen weights, names and bytes."""
        total = hashlib.sha256()
        for name, parameter in sorted(self._frozen.items()):
            total.update(name.encode())
            total.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return total.hexdigest()

    def is_fresh(self) -> bool:
        """Whether the adapter is bit for bit as it was made."""
        return all(torch.equal(p.detach(), self._fresh[name]) for name, p in self.trained.items())

    def reset(self) -> None:
        """Bring the adapter back to what it was made as."""
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(self._fresh[name])
                parameter.grad = None
        self.model.eval()

    def check_base(self) -> None:
        """Nothing, where the frozen weights are those that were loaded.

        Raises:
            WeightsChanged: they are not.
        """
        if self.digest() != self.base_digest:
            raise WeightsChanged("the base weights changed during adaptation; no result of this run can be used")

    @contextmanager
    def instance(self) -> Iterator[None]:
        """One question's stretch: whatever happens in it, the adapter is fresh after it.

        Raises:
            WeightsChanged: it could not be brought back.
        """
        if not self.is_fresh():
            raise WeightsChanged("the adapter is not fresh; an instance began within another")
        try:
            yield
        finally:
            self.reset()
            if not self.is_fresh():
                raise WeightsChanged("the adapter could not be brought back to what it was")

    def adapter_norm(self) -> float:
        """The Frobenius norm of what the adapter adds to the weights, over all its layers."""
        total = 0.0
        scale = self.settings.alpha / self.settings.rank
        for name, a in self.trained.items():
            if ".lora_A." in name:
                b = self.trained[name.replace(".lora_A.", ".lora_B.")].detach().float()
                own = a.detach().float()
                # |BA|^2 = tr(B'B AA'), which needs no product of the layer's own size.
                total += float(((b.T @ b) * (own @ own.T)).sum())
        return float(scale * total**0.5)

    # -------------------------------------------------------------------------------------------- questions

    def ask(
        self,
        id: str,
        question: Question,
        reasoning: str,
        review: Callable[[str], str],
        *,
        images: Sequence[str] = (),
    ) -> Asked:
        """A question ready to be answered. A prompt that is too long loses its middle.

        Args:
            reasoning: the reasoner's prompt.
            review: the reviser's prompt for an answer in words.

        Raises:
            BadInput: the prompt has pictures and the model reads none, or does not fit with them.
        """
        model, reader = transformers_model(self.model), self.base.reader
        ids, media, positions = read_prompt(model, reader, turns(reasoning, len(images)), images)
        spare = self.settings.thought_tokens + self.settings.answer_tokens + 16
        room = context_tokens(model) - spare
        kept = shortened(ids, room, movable=not media)

        def review_ids(answer: str) -> list[int]:
            text, _, _ = read_prompt(model, reader, turns(review(answer), 0), ())
            return shortened(text, context_tokens(model) - 8)

        reviewed = _Reviewed()
        if question.answers:
            one, other = (review_ids(answer) for answer in question.answers[:2])
            alike = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
            reviewed.beginning = one[:alike]
        return Asked(id, question, kept, media, positions, review_ids, reviewed, cut=len(kept) < len(ids))

    def adapt(self, asked: Asked) -> Adapted:
        """Every arm on one question. The same settings, seed and thread count give the same attempts.

        Raises:
            WeightsChanged: the adapter could not be brought back.
        """
        with self.instance():
            started = time.monotonic()
            generator = torch.Generator().manual_seed(seed_of(self.seed, asked.id))
            prefill = self._prefill(asked)
            thoughts = self._think(prefill, rows=1 + self.settings.attempts, generator=generator)
            answers = self._answer(asked, prefill, thoughts, generator, greedy_first=True)
            greedy = Attempt(number=1, thought=self._text(thoughts[0]), answer=answers[0][0], score=None)
            greedy_seconds = time.monotonic() - started
            sampled: list[Attempt] = []
            for number in range(self.settings.attempts):
                if sampled and (self._is_enough(sampled[-1]) or self._is_late(started)):
                    break
                answer, _ = answers[number + 1]
                sampled.append(
                    Attempt(
                        number=number + 1, thought=self._text(thoughts[number + 1]), answer=answer,
                        score=self._review(asked, answer),
                    )
                )  # fmt: skip
            best_seconds = time.monotonic() - started
            started = time.monotonic()
            adapted = self._adapted(asked, prefill, sampled[0], thoughts[1] + answers[1][1], generator)
            return Adapted(
                id=asked.id, greedy=greedy, best_of=tuple(sampled), adapted=adapted, prompt_tokens=len(asked.prompt),
                cut=asked.cut,
                seconds={
                    "none": round(greedy_seconds, 3), "best_of": round(best_seconds, 3),
                    "adapted": round(time.monotonic() - started + best_seconds / max(1, len(sampled)), 3),
                },
            )  # fmt: skip

    def _adapted(
        self, asked: Asked, prefill: _Prefill, first: Attempt, tokens: list[int], generator: torch.Generator
    ) -> tuple[Attempt, ...]:
        settings, done, baseline = self.settings, [first], self.settings.baseline
        optimiser = torch.optim.AdamW(self.trained.values(), lr=settings.learning_rate)
        started = time.monotonic()
        while len(done) < settings.attempts and not self._is_enough(done[-1]) and not self._is_late(started):
            last = done[-1]
            if last.score is not None and tokens:
                with torch.random.fork_rng():  # dropout is this step's own, whatever was asked before
                    torch.manual_seed(seed_of(self.seed, asked.id, len(done)))
                    self.model.train()
                    nll = self._nll(asked, tokens)
                    loss = adaptation_loss(nll, last.score, baseline)
                    optimiser.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimiser.step()
                    self.model.eval()
                prefill = self._prefill(asked)
                after = -self._log_prob(prefill, tokens) / len(tokens)
                done[-1] = last.model_copy(
                    update={
                        "nll": _digits(float(nll.detach())), "loss": _digits(float(loss.detach())), "baseline": baseline,
                        "adapter_norm": _digits(self.adapter_norm()), "nll_after": _digits(after),
                    }
                )  # fmt: skip
                baseline = next_baseline(baseline, last.score, settings.baseline_decay)
            thought = self._think(prefill, rows=1, generator=generator, greedy_first=False)
            ((answer, said),) = self._answer(asked, prefill, thought, generator, greedy_first=False)
            tokens = thought[0] + said
            done.append(
                Attempt(
                    number=len(done) + 1, thought=self._text(thought[0]), answer=answer,
                    score=self._review(asked, answer),
                )
            )  # fmt: skip
        return tuple(done)

    def _is_enough(self, attempt: Attempt) -> bool:
        return attempt.answer is not None and attempt.score is not None and attempt.score >= self.settings.suffices

    def _is_late(self, started: float) -> bool:
        return self.settings.max_seconds is not None and time.monotonic() - started > self.settings.max_seconds

    # ----------------------------------------------------------------------------------------------- passes

    def _nll(self, asked: Asked, tokens: Sequence[int]) -> Tensor:
        """The mean negative log-likelihood of an attempt's tokens, in nats."""
        item = Branching(asked.prompt, [list(tokens)], asked.media, asked.positions)
        (likelihood,), _ = read_answers(self.model, [item], padding=self.padding, kinds=[1])
        return -likelihood.mean()[0]

    @torch.inference_mode()
    def _prefill(self, asked: Asked) -> _Prefill:
        """The prompt read once, for every attempt with these weights."""
        device = self._device()
        given: dict[str, Any] = {name: value.to(device) for name, value in asked.media.items()}
        last = len(asked.prompt) - 1
        if asked.positions is not None:
            given["position_ids"] = asked.positions[:, None].to(device)
            last = int(asked.positions.max())
        return self._read(asked.prompt, last + 1, given)

    def _read(self, tokens: Sequence[int], next_position: int, given: Mapping[str, Any]) -> _Prefill:
        ids = torch.tensor([list(tokens)], device=self._device())
        out = transformers_model(self.model)(input_ids=ids, use_cache=True, logits_to_keep=1, **given)
        return _Prefill(out.past_key_values, out.logits[0, -1].float(), next_position)

    @torch.inference_mode()
    def _extend(self, prefill: _Prefill, tokens: Sequence[int]) -> _Prefill:
        """The prefill with tokens of text behind it; the one given stays as it is."""
        if not tokens:
            return prefill
        after = prefill.next_position + len(tokens)
        position = torch.arange(prefill.next_position, after, device=self._device())[None]
        given = {"past_key_values": copy.deepcopy(prefill.cache), "position_ids": self._axes(position)}
        return self._read(tokens, after, given)

    @torch.inference_mode()
    def _log_prob(self, prefill: _Prefill, tokens: Sequence[int]) -> float:
        """The log-likelihood of tokens that follow, in nats."""
        total = prefill.logits.log_softmax(-1)[tokens[0]]
        if len(tokens) > 1:
            position = torch.arange(len(tokens) - 1, device=self._device())[None] + prefill.next_position
            ids = torch.tensor([list(tokens[:-1])], device=self._device())
            out = transformers_model(self.model)(
                input_ids=ids, past_key_values=copy.deepcopy(prefill.cache), position_ids=self._axes(position),
                use_cache=True,
            )  # fmt: skip
            wanted = torch.tensor(tokens[1:], device=self._device())
            total = total + out.logits[0].float().log_softmax(-1).gather(1, wanted[:, None]).sum()
        return float(total)

    def _device(self) -> torch.device:
        device: torch.device = transformers_model(self.model).get_input_embeddings().weight.device
        return device

    def _axes(self, position: Tensor) -> Tensor:
        """Positions [B, T] as the model wants them: with three axes where its rotary positions have them."""
        has_axes = hasattr(transformers_model(self.model).model, "get_rope_index")
        return position.expand(3, *position.shape) if has_axes else position

    @torch.inference_mode()
    def _think(
        self, prefill: _Prefill, *, rows: int, generator: torch.Generator, greedy_first: bool = True
    ) -> list[list[int]]:
        """Thoughts that share the prompt's prefill, one a row; the first is greedy if so asked. A thought ends with
        its line, so that the lead stands on the next."""
        thoughts: list[list[int]] = [[] for _ in range(rows)]
        if self.settings.thought_tokens == 0:
            return thoughts
        inner = transformers_model(self.model)
        cache = copy.deepcopy(prefill.cache)
        if rows > 1:
            cache.batch_repeat_interleave(rows)
        logits = prefill.logits.expand(rows, -1)
        open_rows = set(range(rows))
        for step in range(self.settings.thought_tokens):
            chosen = self._draw(logits, generator, greedy_first=greedy_first)
            for row in list(open_rows):
                token = int(chosen[row])
                if token in self.ends or "\n" in self.base.tokenizer.decode([token]):
                    open_rows.discard(row)
                else:
                    thoughts[row].append(token)
            if not open_rows or step + 1 == self.settings.thought_tokens:
                break
            position = self._axes(torch.full((rows, 1), prefill.next_position + step, device=chosen.device))
            out = inner(input_ids=chosen[:, None], past_key_values=cache, position_ids=position, use_cache=True)
            logits = out.logits[:, -1].float()
        return thoughts

    def _draw(self, logits: Tensor, generator: torch.Generator, *, greedy_first: bool) -> Tensor:
        """One token a row: sampled at the temperature, the first row greedy if so asked."""
        probabilities = (logits.cpu() / self.settings.temperature).softmax(-1)
        chosen = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
        if greedy_first:
            chosen[0] = logits[0].argmax().cpu()
        return chosen.to(logits.device)

    @torch.inference_mode()
    def _answer(
        self,
        asked: Asked,
        prefill: _Prefill,
        thoughts: Sequence[list[int]],
        generator: torch.Generator,
        *,
        greedy_first: bool,
    ) -> list[tuple[str | None, list[int]]]:
        """Each thought's answer in its one form, and the tokens that follow the thought. Letters and yes or no are
        drawn by their likelihood, so that every attempt has an answer; of several letters each that is likelier than
        a guess is taken."""
        question, lead = asked.question, self._ids(LEAD)
        ready = [self._extend(prefill, [*thought, *lead]) for thought in thoughts]
        if question.kind == "free":
            return [self._free(question, one, lead) for one in ready]
        offered = [self._ids(f" {name}") for name in question.answers]
        scores = torch.tensor([[self._log_prob(one, tokens) for tokens in offered] for one in ready])  # [rows, answers]
        if question.kind == "choices":
            found: list[tuple[str | None, list[int]]] = []
            for row in scores.softmax(1):
                taken = [
                    name for name, share in zip(question.answers, row.tolist(), strict=True) if share >= 1 / len(row)
                ]
                said = ",".join(taken)
                found.append((question.canonical(said), [*lead, *self._ids(f" {said}")]))
            return found
        chosen = self._draw(scores, generator, greedy_first=greedy_first)
        return [(question.answers[int(n)], [*lead, *offered[int(n)]]) for n in chosen]

    def _free(self, question: Question, ready: _Prefill, lead: list[int]) -> tuple[str | None, list[int]]:
        """A free answer, greedy after its thought."""
        said: list[int] = []
        while len(said) < self.settings.answer_tokens:
            token = int(ready.logits.argmax())
            if token in self.ends or "\n" in self.base.tokenizer.decode([token]):
                break
            said.append(token)
            ready = self._extend(ready, [token])
        return question.canonical(self._text(said)), [*lead, *said]

    @torch.inference_mode()
    def _review(self, asked: Asked, answer: str | None) -> float | None:
        """The model's own score of an answer, the adapter off, by the likelihood of the ten scores."""
        if answer is None:
            return None
        held = asked.reviewed
        if answer in held.scores:
            return held.scores[answer]
        end, ids = self.base.tokenizer.eos_token_id, asked.review(answer)
        with self.model.disable_adapter():
            alike = len(held.beginning)
            if alike and ids[:alike] == held.beginning:  # not so where a prompt was cut
                held.shared = held.shared or self._read(held.beginning, alike, {})
                ready = self._extend(held.shared, ids[alike:])
            else:
                ready = self._read(ids, len(ids), {})
            scores = torch.tensor([self._log_prob(ready, [*self._ids(str(score)), end]) for score in SCORES])
        if self.settings.score == "greedy":
            score = float(SCORES[int(scores.argmax())])
        else:
            score = _digits(float((scores.softmax(0) * torch.tensor(SCORES)).sum()))
        held.scores[answer] = score
        return score

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.base.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _text(self, tokens: Sequence[int]) -> str:
        text: str = self.base.tokenizer.decode(list(tokens)).strip()
        return text


def turns(text: str, images: int) -> list[dict[str, Any]]:
    """One user turn with places for pictures before its words."""
    if not images:
        return [{"role": "user", "content": text}]
    return [{"role": "user", "content": [*({"type": "image"} for _ in range(images)), {"type": "text", "text": text}]}]


def _targets(model: Any, wanted: Sequence[str]) -> list[str]:
    """The full names of the language model's own layers of these names; those of a vision tower are left alone.

    Raises:
        BadInput: there are none.
    """
    found = [
        name
        for name, layer in model.named_modules()
        if name.rsplit(".", 1)[-1] in wanted and isinstance(layer, torch.nn.Linear) and not in_tower(name)
    ]
    if not found:
        raise BadInput(f"the model has no layers called {', '.join(wanted)}; name its attention's layers as 'targets'")
    return found


def _digits(value: float) -> float:
    """Six significant digits."""
    return float(f"{value:.6g}")
