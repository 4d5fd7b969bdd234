"""Screening: optimal transport against an exact solver and finite differences, and what becomes of each post."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog

from folkmoot.formats import read_posts, write_posts
from folkmoot.records import BadInput, Post
from folkmoot.supervision.screening import Benchmark, ScreeningSettings, plain, screen
from folkmoot.supervision.transport import NotConverged, calibrated_gradients, cosine_cost, transport


def exact(cost: NDArray[np.float64], mass: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The unregularised transport cost from `mass` to the uniform distribution, and the rows' potentials."""
    N, M = cost.shape
    rows, columns = np.kron(np.eye(N), np.ones(M)), np.kron(np.ones(N), np.eye(M))
    done = linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.r_[mass, np.full(M, 1 / M)], method="highs")
    return float(done.fun), np.asarray(done.eqlin.marginals[:N])


@pytest.fixture
def cost() -> NDArray[np.float64]:
    dice = np.random.default_rng(0)
    return cosine_cost(dice.normal(size=(7, 4)), dice.normal(size=(5, 4)))


def test_the_cost_comes_near_the_exact_one_as_regularisation_vanishes(cost: NDArray[np.float64]) -> None:
    wanted, _ = exact(cost, np.full(7, 1 / 7))
    errors = [abs(transport(cost, regularisation=eps).cost - wanted) for eps in (0.3, 0.1, 0.03)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.05


def test_potentials_satisfy_both_marginals(cost: NDArray[np.float64]) -> None:
    done = transport(cost, regularisation=0.1)
    plan = np.exp((done.train[:, None] + done.validation[None, :] - cost) / 0.1) / cost.size
    assert plan.sum(1) == pytest.approx(np.full(7, 1 / 7), abs=1e-6)
    assert plan.sum(0) == pytest.approx(np.full(5, 1 / 5), abs=1e-6)


def test_a_calibrated_gradient_is_the_slope_of_the_exact_cost(cost: NDArray[np.float64]) -> None:
    """Moving a little mass to post i, taken evenly from the others, changes the cost by N/(N-1) of what f says."""
    mass, step = np.full(7, 1 / 7), 1e-4
    gradients = calibrated_gradients(transport(cost, regularisation=0.01).train)
    before, _ = exact(cost, mass)
    for post in range(7):
        moved = mass - step / 6
        moved[post] = mass[post] + step
        slope = (exact(cost, moved)[0] - before) / step
        assert gradients[post] == pytest.approx(slope, abs=0.06)


def test_gradients_do_not_know_a_constant_and_sum_to_nought() -> None:
    values = np.array([1.0, 2.0, 6.0])
    assert calibrated_gradients(values) == pytest.approx([1 - 4, 2 - 3.5, 6 - 1.5])
    assert calibrated_gradients(values + 100) == pytest.approx(calibrated_gradients(values))
    assert calibrated_gradients(values).sum() == pytest.approx(0)
    assert calibrated_gradients(np.array([3.0])).tolist() == [0.0]


def test_what_cannot_be_transported_is_told(cost: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in (np.zeros((0, 3)), np.full((2, 2), np.nan)):
        with pytest.raises(BadInput, match="posts on both sides"):
            transport(bad)
    monkeypatch.setattr("folkmoot.supervision.transport.MOST_STEPS", 1)
    with pytest.raises(NotConverged, match="Give a larger one"):
        transport(cost, regularisation=0.001)


def world(**changes: Any) -> tuple[list[Post], NDArray[np.float64], NDArray[np.float64], ScreeningSettings]:
    """Eight posts on a circle, the validation set at angle nought; odd ones are 'rain'."""
    angles = np.array([0.1, 0.2, 0.6, 0.7, 1.2, 1.3, 2.5, 2.6])
    posts = [Post(id=f"p{n}", text=f"words {n}", label="rain" if n % 2 else "tea") for n in range(8)]
    vectors = np.c_[np.cos(angles), np.sin(angles)]
    validation = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, -0.1]])
    given: dict[str, Any] = {"keep": 4, "duplicate_above": 0.9999, "leak_above": 0.9999, "nearest": 2, **changes}
    return posts, vectors, validation, ScreeningSettings(**given)


def kept(fates: Any) -> list[str]:
    return [fate.id for fate in fates if fate.reason == "kept"]


def test_the_posts_nearest_to_validation_are_kept_as_many_of_each_label() -> None:
    fates = screen(*world())
    assert kept(fates) == ["p0", "p1", "p2", "p3"]
    assert [fate.id for fate in fates] == [f"p{n}" for n in range(8)]
    scores = [fate.score for fate in fates]
    assert scores == sorted(scores, reverse=True)


def test_a_full_label_does_not_fill_up_with_another() -> None:
    posts, vectors, validation, settings = world()
    posts = [post.model_copy(update={"label": "tea" if n < 6 else "rain"}) for n, post in enumerate(posts)]
    assert kept(screen(posts, vectors, validation, settings)) == ["p0", "p1", "p6", "p7"]
    loose = settings.model_copy(update={"balance": False})
    assert kept(screen(posts, vectors, validation, loose)) == ["p0", "p1", "p2", "p3"]


def test_a_post_told_twice_is_kept_once_by_its_words_or_by_its_vector() -> None:
    posts, vectors, validation, settings = world(balance=False)
    posts[1] = posts[1].model_copy(update={"text": "@someone  WORDS 0! https://x.example"})
    vectors[3] = vectors[2]
    fates = {fate.id: fate for fate in screen(posts, vectors, validation, settings)}
    assert (fates["p1"].reason, fates["p1"].twin, fates["p1"].twin_likeness) == ("repeats", "p0", 1.0)
    assert (fates["p3"].reason, fates["p3"].twin) == ("repeats", "p2")


def test_what_stands_in_a_benchmark_is_out_before_anything_is_scored() -> None:
    posts, vectors, validation, settings = world(balance=False)
    theirs = Benchmark(name="test", ids=("t1", "t2"), texts=("Words 0", "something else"))
    benchmark = {"test": (theirs, np.array([[0.0, -1.0], vectors[2]]))}
    fates = {fate.id: fate for fate in screen(posts, vectors, validation, settings, benchmarks=benchmark)}
    assert (fates["p0"].reason, fates["p0"].twin, fates["p0"].score) == ("leaks", "test: t1", None)
    assert (fates["p2"].reason, fates["p2"].twin) == ("leaks", "test: t2")


def test_a_post_without_words_is_out_and_told() -> None:
    posts, vectors, validation, settings = world()
    posts[0], vectors[0] = posts[0].model_copy(update={"text": "  "}), 0
    assert next(fate for fate in screen(posts, vectors, validation, settings) if fate.id == "p0").reason == "no text"
    with pytest.raises(BadInput, match="none of 1 posts can be learned from"):
        screen(posts[:1], vectors[:1], validation, settings)
    with pytest.raises(BadInput, match="8 posts came with 1 vectors"):
        screen(posts, vectors[:1], validation, settings)


def test_words_are_compared_without_what_varies_between_copies() -> None:
    assert plain("RT @you: Tea,  is HOT! https://x.example") == plain("rt tea is hot")


def test_screening_files_writes_the_kept_and_why(tell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tea = ["a warm cup of tea", "green tea in a pot", "tea with milk and sugar", "the kettle sings for tea"]
    rain = ["clouds over the hill", "rain on the window", "a wet coat in the rain", "my umbrella broke in the rain"]
    far = ["the train to town is late", "a match ended with two goals"]
    pool = [Post(id=f"p{n}", text=text, label="tea" if text in tea or text in far[:1] else "rain")
            for n, text in enumerate([*tea, *rain, *far])]  # fmt: skip
    write_posts(pool, Path("pool.jsonl"))
    write_posts(
        [Post(id="v1", text="a pot of tea", label="tea"), Post(id="v2", text="Rain on the window!", label="rain")],
        Path("v.jsonl"),
    )
    code, out, err = tell(
        "screen", "--posts", "pool.jsonl", "--validation", "v.jsonl", "--keep", "4", "--out", "kept.jsonl", "--json"
    )
    assert code == 0, err
    chosen = read_posts("kept.jsonl")
    assert len(chosen) == 4
    assert not {post.text for post in chosen} & set(far)
    assert "rain on the window" not in {post.text for post in chosen}, "it stands in the validation set"
    assert '"leaks":1' in out
    assert len(Path("kept.jsonl.why.jsonl").read_text().splitlines()) == 10
    write_posts([Post(id="x", text="words")], Path("bare.jsonl"))
    code, _, err = tell("screen", "--posts", "bare.jsonl", "--validation", "v.jsonl", "--out", "k.jsonl")
    assert code == 2
    assert "bare.jsonl, field 'label': post 'x' has none" in err
