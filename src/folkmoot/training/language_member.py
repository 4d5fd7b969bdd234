"""A language model in the committee: tuned on the accepted lessons by the words of its labels, it reads the pool.

It has read far more than the student's encoder and errs on other posts, so the two together know more than either. Too
slow to serve, it only teaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import linear

from folkmoot.models.tokens import TokenIds, batches_by_length, pad
from folkmoot.models.weights import EMBEDDED, base_folder
from folkmoot.records import BadInput, Lesson, Membership, Post, Task
from folkmoot.students.branching import transformers_model
from folkmoot.training.examples import Examples
from folkmoot.training.language_base import LanguageBase, load_base
from folkmoot.training.lora import LoraTraining, adapted, schedule
from folkmoot.training.losses import PnuSettings, pnu
from folkmoot.training.tuned import length_bucketed

READING_BATCH = 32
"""Posts read at once once it is tuned. Chosen."""


class LanguageMemberSettings(LoraTraining):
    """How the language model learns, and how much its word weighs beside the pupils'. Chosen on dev; see docs/log.md."""

    base: str = EMBEDDED
    share: float = Field(default=1.0, gt=0)
    batch_size: int = Field(default=16, gt=0)
    """Lessons a step."""
    learning_rate: float = Field(default=4e-4, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    lora_rank: int = Field(default=16, gt=0)
    max_tokens: int = Field(default=128, gt=0)
    """Of a post's text; the question comes on top."""


def language_logits(
    pool: Sequence[Post],
    lessons: Sequence[Lesson],
    texts: Mapping[str, str],
    task: Task,
    settings: LanguageMemberSettings,
    loss: PnuSettings,
    *,
    seed: int,
    on_step: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """How much likelier the positive label's word is on each pool post, [N] in nats, once the model has learned.

    Its weights are bfloat16 and its adapters float32. The same lessons, seed and thread count give the same logits.

    Args:
        texts: the text of every post, by id.

    Raises:
        BadInput: the task has not two labels, one is the other's beginning, or there is no such model.
        MissingExtra: transformers or peft is not installed.
        FloatingPointError: the loss is not finite; lower the learning rate.
    """
    base = load_base(base_folder(settings.base), dtype=torch.bfloat16)
    _, words = label_tokens(base, task)
    torch.manual_seed(seed)
    model = adapted(base.model, settings)
    inner = transformers_model(model)
    head = nn.Parameter(inner.get_output_embeddings().weight[words].detach().float().clone())
    if loss.gamma == 0:  # the loss would not read the unlabelled
        lessons = [lesson for lesson in lessons if lesson.membership is not Membership.DISAGREED]
    ids = asked(base, [texts[lesson.post] for lesson in lessons], task, settings.max_tokens)
    examples = Examples.of(lessons, {lesson.post: row for row, lesson in enumerate(lessons)})
    trained = [weight for weight in model.parameters() if weight.requires_grad] + [head]
    optimiser = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = -(-len(ids) // settings.batch_size) * settings.epochs
    dice = np.random.default_rng(seed)
    model.train()
    done = 0
    for _ in range(settings.epochs):
        for batch in length_bucketed(ids, settings.batch_size, dice):
            done += 1
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * schedule(done, steps, settings.warm_up)
            logits = label_logits(inner, head, [ids[row] for row in batch])
            risk = pnu(
                logits, examples.membership[batch], examples.targets[batch], settings=loss,
                weights=examples.weights[batch],
            )  # fmt: skip
            if not torch.isfinite(risk):
                raise FloatingPointError(f"the loss became {risk.item()} at step {done}; lower the learning rate")
            optimiser.zero_grad()
            risk.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(trained, settings.clip_norm)
            optimiser.step()
            if on_step:
                on_step(done, steps)
    model.eval()
    read = asked(base, [texts[post.id] for post in pool], task, settings.max_tokens)
    found = np.zeros(len(read), dtype=np.float32)
    with torch.inference_mode():
        for rows in batches_by_length([len(row) for row in read], READING_BATCH):
            found[rows] = label_logits(inner, head, [read[row] for row in rows]).numpy()
    return found


def label_tokens(base: LanguageBase, task: Task) -> tuple[list[int], list[int]]:
    """The tokens with which both labels begin, and those of the negative and the positive one that follow.

    Raises:
        BadInput: the task has not two labels, or one label is the other's beginning.
    """
    others = [name for name in task.label_names if name != task.positive]
    if task.positive is None or len(others) != 1:
        raise BadInput(f"a language model in the committee decides between two labels; task '{task.name}' has others")
    both = base.tokenizer([f" {name}" for name in (others[0], task.positive)], add_special_tokens=False)["input_ids"]
    for at, (negative, positive) in enumerate(zip(*both, strict=False)):
        if negative != positive:
            return both[0][:at], [negative, positive]
    raise BadInput(
        f"of the labels '{others[0]}' and '{task.positive}' one is the other's beginning, so no word decides between "
        "them; rename one, or leave out 'distillation.language'"
    )


def asked(base: LanguageBase, texts: Sequence[str], task: Task, max_tokens: int) -> TokenIds:
    """Each post and the question as tokens, up to where a label's own word follows; a text is cut, the question not."""
    before, *rows = base.tokenizer(["Post: ", *texts], add_special_tokens=False)["input_ids"]
    after = base.tokenizer(f"\n{task.question} Answer:", add_special_tokens=False)["input_ids"]
    after += label_tokens(base, task)[0]
    return [[*before, *row[:max_tokens], *after] for row in rows]


def label_logits(inner: Any, head: Tensor, rows: TokenIds) -> Tensor:
    """The positive label's logit less the negative one's after each row, [B] float32."""
    tokens, mask = pad(rows)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = inner.model(
            input_ids=torch.from_numpy(tokens), attention_mask=torch.from_numpy(mask)
        ).last_hidden_state
    last = hidden[torch.arange(len(rows)), torch.from_numpy(mask).sum(1) - 1].float()
    both = linear(last, head)
    return both[:, 1] - both[:, 0]
