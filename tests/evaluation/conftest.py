"""An invented evaluation, mild in every word: is a post about gardens friendly or grumpy?"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from folkmoot.records import Label, Opinion, Outcome, Post, Sentence, Task, Verdict

TASK = Task(
    name="grumpy_gardens",
    question="Is this post about gardens grumpy?",
    labels=(
        Label(name="grumpy", definition="Complains about weather, snails or neighbours."),
        Label(name="friendly", definition="Anything else."),
    ),
    positive="grumpy",
)


@dataclass(frozen=True)
class Example:
    task: Task
    gold: list[Post]
    verdicts: list[Verdict]
    rounds: list[dict[str, object]]


def build_example(n: int = 300, *, seed: int = 0, skill: float = 0.87) -> Example:
    """n posts, a judge that is right on about `skill` of them, and its panel's opinions."""
    random_ = random.Random(seed)
    gold, verdicts = [], []
    for number in range(n):
        truth = "grumpy" if random_.random() < 0.4 else "friendly"
        text = {
            "grumpy": f"Rain again, and the snails ate tomato plant number {number}. Typical.",
            "friendly": f"Look at tomato plant number {number}, it has grown a hand's width since Sunday!",
        }[truth]
        gold.append(Post(id=f"p{number}", text=text, label=truth))
        fate = random_.random()
        if fate < 0.03:
            outcome = random_.choice([Outcome.ABSTAINED, Outcome.REFUSED, Outcome.UNPARSABLE, Outcome.CALL_FAILED])
            verdicts.append(Verdict(id=f"p{number}", outcome=outcome, task=TASK.name, judge="negotiation:v1"))
            continue
        probability = round(0.5 + 0.5 * random_.random() ** 0.5, 3)
        wrong = random_.random() > (probability if skill == 0.87 else skill)
        other = "friendly" if truth == "grumpy" else "grumpy"
        label = other if wrong else truth
        opinions = [
            Opinion(
                agent="moderator", label=label, confidence=probability, rationale="It names a nuisance, or it doesn't."
            ),
            Opinion(
                agent="user",
                label=label if random_.random() < 0.85 else ("friendly" if label == "grumpy" else "grumpy"),
                confidence=0.7,
                rationale="The tone is light; people in the allotment talk like this.",
            ),
        ]
        if opinions[0].label != opinions[1].label:
            opinions.append(Opinion(agent="moderator", round=1, label=label, confidence=0.6, rationale="I do."))
            second = label if random_.random() < 0.6 else opinions[1].label
            opinions.append(Opinion(agent="user", round=1, label=second, confidence=0.6, rationale="Fair enough."))
        verdicts.append(
            Verdict(
                id=f"p{number}",
                outcome=Outcome.LABELLED,
                label=label,
                probability=probability,
                task=TASK.name,
                judge="negotiation:v1",
                opinions=tuple(opinions),
                explanation=(Sentence(sentence="Both named the tomatoes.", anchors=("opinion:0",)),),
            )
        )
    best, rounds = 0.0, []
    for number in range(9):
        score = round(0.80 + 0.07 * (1 - 0.6**number) + random_.uniform(-0.012, 0.012), 4)
        accepted = score >= best
        best = max(best, score)
        positive, negative = random_.randint(150, 220), random_.randint(170, 230)
        rounds.append(
            {
                "round": number,
                "accepted": accepted,
                "dev_macro_f1": score,
                "best_dev_macro_f1": best,
                "batch": 0 if number == 0 else 500,
                "agreed_positive": 0 if number == 0 else positive,
                "agreed_negative": 0 if number == 0 else negative,
                "disagreed": 0 if number == 0 else 500 - positive - negative,
                "pseudo_label_accuracy": None if number == 0 else round(random_.uniform(0.84, 0.93), 3),
                "training_posts": 100 + 500 * number,
                "seconds": round(random_.uniform(6, 12), 2),
            }
        )
    return Example(TASK, gold, verdicts, rounds)


@pytest.fixture(scope="session")
def example() -> Example:
    return build_example()
