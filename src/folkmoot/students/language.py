"""A language model as a student: it weighs the labels in one prefill, or reasons first and then weighs them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from folkmoot.models.instruction import INSTRUCTION, Instruction
from folkmoot.models.quiet import peft_asking
from folkmoot.models.weights import EMBEDDED, base_folder
from folkmoot.records import BadInput, CallPlan, MissingExtra, Opinion, Outcome, Post, Record, Task, Verdict
from folkmoot.students.card import read_card, write_card

CARD_FILE = "language_card.json"
ADAPTER_FOLDER, MODEL_FOLDER = "adapter", "model"
PROBABILITY_DIGITS = 4
"""What a probability is worth writing down; machines differ beyond it."""

Mode = Literal["likelihood", "reasoning"]


class LanguageCard(Record):
    """The JSON beside a language-model student. `lineage` leads back to its pairs and settings by hash.

    `base` is `embedded`, or the folder of the base model, absolute or relative to the student's. P(label) is the softmax of
    `scale` * log-likelihood + `shift[label]` over the labels; both are fitted on dev, 1 and 0 without it.
    """

    name: str
    version: int = 1
    task: Task
    base: str
    instruction: str = INSTRUCTION
    mode: Mode = "likelihood"
    max_new_tokens: int = Field(default=256, gt=0)
    max_tokens: int | None = Field(default=None, gt=1)
    scale: float = Field(default=1.0, gt=0)
    shift: dict[str, float] = Field(default_factory=dict)
    abstain_below: float = Field(default=0.0, ge=0, le=1)
    dev: dict[str, Any] = Field(default_factory=dict)
    lineage: dict[str, Any] = Field(default_factory=dict)
    intended_use: str = "Triage and research. A verdict that matters to a person belongs in front of a person."
    limits: str = "In the language and period of its training posts. Its reasoning is a model's words, not evidence."

    def save(self, folder: Path) -> None:
        """Write the card into a student's folder."""
        write_card(self, folder / CARD_FILE)

    @classmethod
    def load(cls, folder: Path) -> LanguageCard:
        """The card of a student's folder.

        Raises:
            BadInput: the folder is no language-model student's, or its card is damaged.
        """
        return read_card(cls, folder / CARD_FILE, made_by="distill")


class LanguageStudent:
    """Judges posts one at a time, so that a verdict never depends on its neighbours in a batch.

    Args:
        reader: the model's tokenizer, or its processor where it reads media too.
    """

    def __init__(self, card: LanguageCard, model: Any, reader: Any) -> None:
        from folkmoot.students.prompting import tokenizer_of

        self.card, self._model, self._reader = card, model, reader
        self._tokenizer = tokenizer_of(reader)
        self._instruction = Instruction(card.task, card.instruction)
        self._labels = LabelTokens.of(self._instruction, self._tokenizer)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="folkmoot-student")

    @classmethod
    def load(cls, folder: Path | str) -> LanguageStudent:
        """The student of a folder.

        Raises:
            BadInput: the folder is no student's, or its base model is gone.
            MissingExtra: torch, transformers or peft is not installed.
        """
        folder = Path(folder)
        card = LanguageCard.load(folder)
        return cls(card, *load_weights(folder, card))

    @property
    def name(self) -> str:
        return f"{self.card.name}:v{self.card.version}"

    @property
    def task(self) -> Task:
        return self.card.task

    @property
    def runtime(self) -> str:
        """What computes the verdicts, for the report."""
        return f"transformers, {self.card.mode}"

    def plan(self, post: Post) -> CallPlan:
        return CallPlan()

    async def judge(self, post: Post) -> Verdict:
        """The verdict on a post; a post with media that are missing or broken has the outcome `media_missing`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.verdict, post)

    def verdicts(self, posts: Sequence[Post]) -> list[Verdict]:
        """The verdict on each post, in order."""
        return [self.verdict(post) for post in posts]

    def verdict(self, post: Post) -> Verdict:
        """The verdict on one post."""
        from folkmoot.students.media_files import UnreadableMedia

        try:
            return self.conclude(post, *self.weigh(post))
        except UnreadableMedia as error:
            return self._without_label(post, Outcome.MEDIA_MISSING, str(error))

    def conclude(self, post: Post, scores: NDArray[np.float64], said: str) -> Verdict:
        """The verdict that `weigh`'s scores and reasoning give by the card's calibration."""
        names = self.task.label_names
        probabilities = softmax(self.card.scale * scores + np.array([self.card.shift.get(name, 0.0) for name in names]))
        top = int(probabilities.argmax())
        rounded = {name: round(float(p), PROBABILITY_DIGITS) for name, p in zip(names, probabilities, strict=True)}
        probability = rounded[names[top]]
        if probabilities[top] < self.card.abstain_below:
            return self._without_label(post, Outcome.ABSTAINED, said, probabilities=rounded)
        opinion = Opinion(agent=self.card.name, round=0, label=names[top], confidence=probability, rationale=said)
        return Verdict(
            id=post.id, outcome=Outcome.LABELLED, label=names[top], probability=probability,
            probabilities=rounded, task=self.task.name, judge=self.name, opinions=(opinion,) if said else (), quorum=1,
        )  # fmt: skip

    def weigh(self, post: Post) -> tuple[NDArray[np.float64], str]:
        """log pi(verdict line | prompt, reasoning) of each label, [C] in nats, and the reasoning, empty without one.

        Raises:
            UnreadableMedia: a medium of the post is missing or broken.
            BadInput: the post has media that the model does not read.
        """
        import torch

        from folkmoot.students.branching import Branching, read_answers
        from folkmoot.students.prompting import context_tokens, generate_until, read_prompt, shortened

        tokenizer, labels = self._tokenizer, self._labels
        turns, files = self._instruction.turns(post), self._instruction.files(post)
        prompt, media, positions = read_prompt(
            self._model, self._reader, turns, files["images"], videos=files["videos"], audios=files["audios"]
        )
        reasons = self.card.mode == "reasoning"
        answer = len(labels.opening_ids) + max(map(len, labels.endings))
        answer += self.card.max_new_tokens + 1 if reasons else 0  # with the end of its last line
        room = context_tokens(self._model, self.card.max_tokens) - answer
        prompt = shortened(prompt, room, movable=not media)
        said: list[int] = []
        with torch.no_grad():  # FSDP cannot share out what inference mode has touched
            if reasons:
                said = generate_until(
                    self._model, tokenizer, prompt, media, stop=labels.opening, most=self.card.max_new_tokens
                )
            answers = [[*said, *labels.opening_ids, *ending] for ending in labels.endings]
            item = Branching(prompt, answers, media, positions)
            read, _ = read_answers(self._model, [item], padding=padding_id(tokenizer), kinds=range(1, len(answers) + 1))
        scores = np.array([float(likelihood.log_prob[0]) for likelihood in read])
        return scores, tokenizer.decode(said, skip_special_tokens=True).strip()

    def _without_label(
        self, post: Post, outcome: Outcome, reason: str, probabilities: Mapping[str, float] | None = None
    ) -> Verdict:
        opinion = Opinion(agent=self.card.name, round=0, outcome=outcome, rationale=reason)
        return Verdict(
            id=post.id, outcome=outcome, task=self.task.name, judge=self.name, opinions=(opinion,),
            probabilities=dict(probabilities or {}), quorum=0,
        )  # fmt: skip


class LabelTokens(Record):
    """The verdict line as tokens: `opening` is what all labels' lines share, `endings` the rest of each with the end
    of the turn, so that a label that begins with another one is told apart from it."""

    opening: str
    opening_ids: tuple[int, ...]
    endings: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, instruction: Instruction, tokenizer: Any) -> LabelTokens:
        """The tokens of a task's labels."""
        end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
        lines = [
            [*tokenizer(instruction.verdict(label), add_special_tokens=False)["input_ids"], *end]
            for label in instruction.task.label_names
        ]
        shared = 0
        while shared < min(map(len, lines)) and len({line[shared] for line in lines}) == 1:
            shared += 1
        return cls(
            opening=tokenizer.decode(lines[0][:shared]),
            opening_ids=tuple(lines[0][:shared]),
            endings=tuple(tuple(line[shared:]) for line in lines),
        )


def load_weights(folder: Path, card: LanguageCard) -> tuple[Any, Any]:
    """The student's model, with its adapter where it has one, and its tokenizer or processor.

    Raises:
        BadInput: the base model is gone or of another kind.
        MissingExtra: torch, transformers or peft is not installed.
    """
    try:
        import torch
        import transformers

        from folkmoot.students.prompting import load_model_and_reader
    except ImportError:
        raise MissingExtra("A language-model student", "distill") from None
    inside = folder / MODEL_FOLDER
    base = inside if inside.is_dir() else base_folder(card.base) if card.base == EMBEDDED else folder / card.base
    if not (base / "config.json").is_file():
        raise BadInput(
            f"Loading the student in {folder}: its base model is not at {base}. Put it there, or export the student "
            "merged, which needs no base."
        )
    model, reader = load_model_and_reader(transformers, base, dtype=torch.float32)
    if (folder / ADAPTER_FOLDER).is_dir():
        try:
            from peft import PeftModel
        except ImportError:
            raise MissingExtra("A student with an adapter", "distill") from None
        with peft_asking():
            model = PeftModel.from_pretrained(model, str(folder / ADAPTER_FOLDER))
    return model.eval(), reader


def padding_id(tokenizer: Any) -> int:
    """The token that fills rows up; nothing attends to it."""
    return int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0)


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(scores), scaled to sum to 1."""
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())
