"""Self-training as a state machine on disk, with the embedded encoder frozen and invented posts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mild_posts import TASK, make_opinions, make_posts, without_labels

from folkmoot.panels import RecordedOpinions
from folkmoot.records import BadInput, Judge, Lesson, Membership, Opinion, Outcome, Post
from folkmoot.training.frozen import FrozenSettings
from folkmoot.training.learner import FrozenLearner, Pupil
from folkmoot.training.losses import PnuSettings
from folkmoot.training.self_training import Round, SelfTrained, SelfTraining, SelfTrainingSettings

LABELLED = make_posts(8, seed=1, prefix="l")
POOL = make_posts(80, seed=2, prefix="p")
DEV = make_posts(40, seed=3, prefix="d")
OPINIONS = make_opinions(POOL, seed=4)


@pytest.fixture(scope="module")
def learner() -> FrozenLearner:
    return FrozenLearner([*LABELLED, *POOL, *DEV], settings=FrozenSettings(steps=60))


def machine(learner: FrozenLearner, folder: Path, **changes: Any) -> SelfTraining:
    opinions = changes.pop("opinions", OPINIONS)
    panel = RecordedOpinions(TASK, opinions)
    given: dict[str, Any] = {
        "task": TASK,
        "labelled": LABELLED,
        "pool": without_labels(POOL),
        "dev": DEV,
        "learner": learner,
        "panel_for": lambda classifier: panel,
        "settings": SelfTrainingSettings.model_validate({"batch": 20, **changes.pop("settings", {})}),
        "folder": folder,
        "has_opinion": lambda post: post.id in opinions,
        **changes,
    }
    return SelfTraining(**given)


def finish(*arguments: Any, **changes: Any) -> SelfTrained:
    return asyncio.run(machine(*arguments, **changes).run())


def test_every_pool_post_is_used_once_and_every_round_is_on_record(learner: FrozenLearner, tmp_path: Path) -> None:
    trained = finish(learner, tmp_path)
    assert [r.round for r in trained.rounds] == [0, 1, 2, 3, 4]
    assert sum(r.batch for r in trained.rounds) == len(POOL)
    assert trained.rounds[-1].pool_left == 0
    for r in trained.rounds[1:]:
        assert r.agreed_positive + r.agreed_negative + r.disagreed + r.left_out == r.batch


def test_a_round_is_kept_only_where_dev_improves_and_its_lessons_only_then(
    learner: FrozenLearner, tmp_path: Path
) -> None:
    trained = finish(learner, tmp_path)
    best = trained.rounds[0].dev_macro_f1
    for r in trained.rounds[1:]:
        assert r.accepted == (r.dev_macro_f1 > best)
        best = max(best, r.dev_macro_f1)
        assert r.best_dev_macro_f1 == best
    accepted = {r.round for r in trained.rounds if r.accepted}
    assert {lesson.round for lesson in trained.lessons if not lesson.membership.is_gold} <= accepted


class Interrupted(Exception):
    """The kill."""


class FailingLearner(FrozenLearner):
    """Dies at its n-th fit, as a killed process would, leaving the folder as it is."""

    def __init__(self, other: FrozenLearner, fits: int) -> None:
        self.__dict__.update(other.__dict__)
        self.fits = fits

    def fit(self, lessons: Sequence[Lesson], *, loss: PnuSettings, seed: int, on_step: Any = None) -> Pupil:
        self.fits -= 1
        if self.fits < 0:
            raise Interrupted
        return super().fit(lessons, loss=loss, seed=seed, on_step=on_step)


def without_seconds(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    return [r.model_dump(exclude={"seconds"}) for r in rounds]


@pytest.mark.parametrize("fits", [0, 1, 2, 4])
def test_killed_at_any_round_the_same_run_ends_as_an_undisturbed_one(
    learner: FrozenLearner, tmp_path: Path, fits: int
) -> None:
    whole = finish(learner, tmp_path / "whole")
    with pytest.raises(Interrupted):
        finish(FailingLearner(learner, fits), tmp_path / "killed")
    resumed = finish(learner, tmp_path / "killed")
    assert without_seconds(resumed.rounds) == without_seconds(whole.rounds)
    assert resumed.lessons == whole.lessons


def test_the_panel_is_not_asked_again_after_a_kill(learner: FrozenLearner, tmp_path: Path) -> None:
    asked: list[str] = []
    recorded = RecordedOpinions(TASK, OPINIONS)

    class Counting:
        name, task = recorded.name, TASK
        plan = staticmethod(recorded.plan)

        async def judge(self, post: Post) -> Any:
            asked.append(post.id)
            return await recorded.judge(post)

    def panel_for(classifier: Judge) -> Judge:
        return Counting()

    with pytest.raises(Interrupted):
        finish(FailingLearner(learner, 1), tmp_path, panel_for=panel_for)
    finish(learner, tmp_path, panel_for=panel_for)
    assert len(asked) == len(set(asked)) == len(POOL)


def test_without_ties_an_equal_score_is_rolled_back_and_with_ties_it_is_kept(
    learner: FrozenLearner, tmp_path: Path
) -> None:
    strict = finish(learner, tmp_path / "a", settings={"batch": 80, "acceptance": "improves"})
    ties = finish(learner, tmp_path / "b", settings={"batch": 80, "acceptance": "ties"})
    equal = strict.rounds[1].dev_macro_f1 == strict.rounds[0].dev_macro_f1
    assert strict.rounds[1].accepted == (strict.rounds[1].dev_macro_f1 > strict.rounds[0].dev_macro_f1)
    assert ties.rounds[1].accepted == (strict.rounds[1].accepted or equal)


def test_the_classifier_alone_teaches_without_a_panel(learner: FrozenLearner, tmp_path: Path) -> None:
    trained = finish(learner, tmp_path, panel_for=None, settings={"agreement": {"source": "classifier"}})
    assert all(r.disagreed == 0 and r.left_out == 0 for r in trained.rounds)


def test_posts_without_opinions_stay_out_of_the_panels_rounds(learner: FrozenLearner, tmp_path: Path) -> None:
    half = {post.id: OPINIONS[post.id] for post in POOL[:40]}
    trained = finish(learner, tmp_path, opinions=half)
    assert sum(r.batch for r in trained.rounds) == 40


def test_a_failed_opinion_teaches_nothing_and_is_not_a_disagreement(learner: FrozenLearner, tmp_path: Path) -> None:
    failed = dict(OPINIONS)
    for post in POOL[:10]:
        failed[post.id] = (
            Opinion(agent="moderator", round=0, label="tea"),
            Opinion(agent="user", round=0, outcome=Outcome.UNPARSABLE),
        )
    trained = finish(learner, tmp_path, opinions=failed)
    assert sum(r.left_out for r in trained.rounds) == 10
    assert not {lesson.post for lesson in trained.lessons} & {post.id for post in POOL[:10]}


def test_pseudo_labels_are_audited_only_where_gold_is_known(learner: FrozenLearner, tmp_path: Path) -> None:
    blind = finish(learner, tmp_path / "blind")
    assert all(r.pseudo_label_accuracy is None for r in blind.rounds)
    known = finish(learner, tmp_path / "known", pool=POOL)
    assert all(r.pseudo_labels_known == r.agreed_positive + r.agreed_negative for r in known.rounds)
    assert all(0.5 < float(r.pseudo_label_accuracy or 0) <= 1 for r in known.rounds[1:])


def test_gold_labels_of_the_pool_change_nothing_but_the_audit(learner: FrozenLearner, tmp_path: Path) -> None:
    blind = finish(learner, tmp_path / "blind")
    known = finish(learner, tmp_path / "known", pool=POOL)
    assert blind.lessons == known.lessons


def test_the_reference_takes_each_set_in_proportion(learner: FrozenLearner, tmp_path: Path) -> None:
    settings = SelfTrainingSettings.reference().model_copy(update={"batch": 20})
    trained = finish(learner, tmp_path, settings=settings.model_dump())
    first = trained.rounds[1]
    assert first.batch <= 20
    assert first.disagreed > 0  # the most confident twenty would hardly hold one


def test_one_class_only_is_refused(learner: FrozenLearner, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="none of the 4 labelled posts is 'rain'"):
        machine(learner, tmp_path, labelled=[post for post in LABELLED if post.label == "tea"])


def test_no_opinion_about_the_pool_is_refused(learner: FrozenLearner, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no pool post can be pseudo-labelled"):
        machine(learner, tmp_path, opinions={})


def test_no_panel_is_refused_where_one_is_needed(learner: FrozenLearner, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="need a panel"):
        machine(learner, tmp_path, panel_for=None)


def test_soft_targets_are_the_papers(learner: FrozenLearner, tmp_path: Path) -> None:
    trained = finish(learner, tmp_path)
    targets = {lesson.membership: lesson.target for lesson in trained.lessons}
    assert targets[Membership.POSITIVE] == 1
    assert targets[Membership.NEGATIVE] == 0
    assert targets.get(Membership.AGREED_POSITIVE, 0.67) == 0.67
    assert targets.get(Membership.AGREED_NEGATIVE, 0.33) == 0.33
