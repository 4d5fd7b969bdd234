"""Questions answered with and without test-time adaptation: verdicts of each arm, the history, and what it was worth."""

from __future__ import annotations

import resource
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from folkmoot.evaluation.answers import AnswerComparison, AnswerScores, compare_answers, reward, score_answers
from folkmoot.formats import load_task, read_posts, write_verdicts
from folkmoot.models.prompt import load_prompt
from folkmoot.models.untrusted import DATA_NOTICE, data_block
from folkmoot.models.weights import EMBEDDED, base_folder
from folkmoot.panels import dossier
from folkmoot.panels.reflection import answer_in_words
from folkmoot.panels.reflection_replies import answer_words, question_words
from folkmoot.perception import perceive_post
from folkmoot.recipes.announcing import Announce, say_nothing
from folkmoot.recipes.settings import settings_of
from folkmoot.records import BadInput, MissingExtra, Observation, Opinion, Outcome, Post, Record, Task, Verdict
from folkmoot.runs import RunFolder

if TYPE_CHECKING:
    from folkmoot.training.test_time import Adapted, Attempt

NEEDED = ("torch", "transformers", "peft", "accelerate")
INTENTBENCH: dict[str, Any] = {"attempts": 5, "suffices": 8, "learning_rate": 3e-4}
"""The released run_eval.sh in place of its argument parser's defaults, which are those of `AdaptationSettings`."""
ARMS = ("none", "best_of", "adapted")
HISTORY_FILE = "history.jsonl"
SHOWN_CHARACTERS = 2000
"""About how much of what is perceived a prompt holds (chosen: a small model reads it in a second)."""


class Adaptation(Record):
    """Everything that decides the outcome of a run; kept in `run.toml`. `settings` holds the fields of
    `AdaptationSettings`."""

    kind: str = "adapt"
    task: str = "social_intent"
    posts: str
    base: str = EMBEDDED
    settings: dict[str, Any] = Field(default_factory=dict)
    rows: int | None = Field(default=None, gt=0)
    """How many questions, the first; all by default."""
    seed: int = 0
    threads: int | None = None


class AdaptationResult(Record):
    """What a run left: scores of each arm where the gold answers are known, the arms against no adaptation, and the
    oracle, which looks at the gold answers and is no method."""

    folder: str
    questions: int
    scores: dict[str, AnswerScores] = Field(default_factory=dict)
    comparisons: tuple[AnswerComparison, ...] = ()
    oracle: dict[str, float] = Field(default_factory=dict)
    """pass@T: the share of questions of which any attempt was right, for `best_of` and `adapted`."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """The mean for a question of each arm."""
    peak_gib: float
    drift: dict[str, float] = Field(default_factory=dict)
    base_weights: str
    """The SHA-256 of the base weights, the same before and after."""


def run_adaptation(
    recipe: Adaptation,
    out: Path,
    *,
    resolve: Callable[[str], Path] = Path,
    announce: Announce = say_nothing,
) -> AdaptationResult:
    """The run finished in `out`, from wherever it stood: a question that is in the history is not answered again.

    Raises:
        BadInput: the files or the settings cannot be used.
        MissingExtra: the `distill` extra is not installed.
        WeightsChanged: an adapter or the base weights could not be brought back.
    """
    task = load_task(recipe.task)
    path = resolve(recipe.posts)
    posts = read_posts(path, task=task)[: recipe.rows]
    if task.answers != "question" or any(post.question is None for post in posts):
        raise BadInput(f"{path}: test-time adaptation answers questions; task '{task.name}' must be one of questions")
    if any(find_spec(name) is None for name in NEEDED):
        raise MissingExtra("Adapting at test time", "distill")
    import torch

    from folkmoot.training.language_base import load_base
    from folkmoot.training.test_time import AdaptationSettings, Adapted, TestTimeAdapter

    torch.set_num_threads(recipe.threads or torch.get_num_threads())
    settings = settings_of(AdaptationSettings, recipe.settings, "settings")
    configuration = {"recipe": {**recipe.model_dump(mode="json", exclude_none=True), "task": task.hash}}
    base_at = base_folder(recipe.base)
    with RunFolder.open(out, configuration, inputs={"posts": path}) as run:
        history = run.file(HISTORY_FILE)
        held = read_history(history, Adapted)
        adapter: TestTimeAdapter | None = None
        for number, post in enumerate(posts, 1):
            if post.id in held:
                continue
            if adapter is None:
                announce("loading", note=recipe.base)
                adapter = TestTimeAdapter(load_base(base_at), settings, seed=recipe.seed)
            done = answer_with(adapter, post, task)
            held[post.id] = done
            with history.open("a") as stream:
                stream.write(done.to_line() + "\n")
            announce("adapting", number, len(posts))
        if adapter is not None:
            adapter.check_base()
        results = [held[post.id] for post in posts]
        verdicts = {
            arm: [verdict_of(post, one, arm, task) for post, one in zip(posts, results, strict=True)] for arm in ARMS
        }
        for arm, answers in verdicts.items():
            write_verdicts(answers, run.file(f"verdicts_{arm}.jsonl"))
        summary = summarise(posts, results, verdicts, out, digest=adapter.base_digest if adapter else "")
        run.write_metrics(summary.model_dump(mode="json"))
        return summary


def read_history(path: Path, kind: type[Adapted]) -> dict[str, Adapted]:
    """What is in the history, by question; a line that was cut by a kill is left out and written again."""
    if not path.exists():
        return {}
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    return {one.id: one for line in whole.splitlines() if line for one in [kind.from_line(line)]}


def answer_with(adapter: Any, post: Post, task: Task) -> Adapted:
    """One question under every arm."""
    assert post.question is not None
    prompt = load_prompt(
        "test_time",
        "team",
        version=1,
        language=task.language,
        shelf=Path(__file__).parent.parent / "training" / "prompts",
    )
    material, images = material_of(post)
    asked = data_block("question", dossier.uncited(question_words(post.question)))
    bare = data_block(
        "question", dossier.uncited(question_words(post.question, options=adapter.settings.options_to_reviser))
    )

    def review(answer: str) -> str:
        words = answer_in_words(post.question, answer) if post.question is not None else answer
        return prompt.text("review", material=material, question=bare, answer=data_block("answer", words))

    reasoning = prompt.text("reason", material=material, question=asked, wanted=answer_words(post.question))
    found: Adapted = adapter.adapt(
        adapter.ask(post.id, post.question, reasoning, review, images=images if sees(adapter) else ())
    )
    return found


def sees(adapter: Any) -> bool:
    """Whether the model reads pictures."""
    return adapter.base.reader is not adapter.base.tokenizer


def material_of(post: Post) -> tuple[str, list[str]]:
    """What is known of the post, as words for a prompt; and its pictures."""
    parts = (
        [data_block("post", dossier.clipped(dossier.uncited(post.text), SHOWN_CHARACTERS))] if post.text.strip() else []
    )
    observations: Sequence[Observation] = perceive_post(post) if post.media else ()
    shown, _ = dossier.select(observations, characters=SHOWN_CHARACTERS)
    if shown:
        parts.append(dossier.observation_lines(shown))
    if parts:
        parts.insert(0, DATA_NOTICE)
    return "\n".join(parts), [medium.path for medium in post.media if medium.type == "image"]


def verdict_of(post: Post, done: Adapted, arm: str, task: Task) -> Verdict:
    """An arm's answer as a verdict, every attempt kept as an opinion."""
    from folkmoot.training.test_time import best_attempt

    attempts: Sequence[Attempt] = (done.greedy,) if arm == "none" else getattr(done, arm)
    best = attempts[0] if arm == "none" else best_attempt(attempts)
    opinions: list[Opinion] = []
    for attempt in attempts:
        outcome = Outcome.LABELLED if attempt.answer is not None else Outcome.UNPARSABLE
        opinions.append(
            Opinion(
                agent="reasoner",
                round=attempt.number - 1,
                outcome=outcome,
                label=attempt.answer,
                rationale=attempt.thought,
            )
        )
        if attempt.score is not None:
            opinions.append(
                Opinion(
                    agent="reviser",
                    round=attempt.number - 1,
                    outcome=Outcome.ABSTAINED,
                    rationale=f"score {attempt.score:g} of 10",
                )
            )
    answer = best.answer if best is not None else None
    return Verdict(
        id=post.id, outcome=Outcome.LABELLED if answer is not None else Outcome.UNPARSABLE, label=answer, task=task.name,
        judge=f"test_time-{arm}:v1", opinions=tuple(opinions), quorum=int(answer is not None),
        problem=None if answer is not None else "no attempt gave an answer",
        notes=("the prompt was too long and lost its middle",) if done.cut else (),
    )  # fmt: skip


def summarise(
    posts: Sequence[Post],
    results: Sequence[Adapted],
    verdicts: Mapping[str, Sequence[Verdict]],
    out: Path,
    *,
    digest: str = "",
) -> AdaptationResult:
    """The arms side by side, where every gold answer is known."""
    steps = [attempt for one in results for attempt in one.adapted if attempt.loss is not None]
    drift = {}
    if steps:
        drift = {
            "steps": float(len(steps)),
            "adapter_norm": sum(a.adapter_norm or 0.0 for a in steps) / len(steps),
            "nll_before": sum(a.nll or 0.0 for a in steps) / len(steps),
            "nll_after": sum(a.nll_after or 0.0 for a in steps) / len(steps),
        }
    result = AdaptationResult(
        folder=str(out), questions=len(posts), peak_gib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        seconds={arm: round(sum(one.seconds[arm] for one in results) / len(results), 2) for arm in ARMS}, drift=drift,
        base_weights=digest,
    )  # fmt: skip
    if any(post.label is None for post in posts):
        return result
    oracle = {
        arm: sum(max(reward(p.question, a.answer, p.label) for a in getattr(one, arm))
                 for p, one in zip(posts, results, strict=True) if p.question is not None and p.label is not None) / len(posts)
        for arm in ("best_of", "adapted")
    }  # fmt: skip
    return result.model_copy(
        update={
            "scores": {arm: score_answers(answers, posts) for arm, answers in verdicts.items()},
            "comparisons": (
                *compare_answers(verdicts, posts),
                *compare_answers({arm: verdicts[arm] for arm in ("best_of", "adapted")}, posts),
            ),
            "oracle": oracle,
        }
    )  # fmt: skip
