"""How far small students get on real social data: sarcasm, intents, and whether a question needs looking.

    python benchmarks/social_students.py choose --data DIR
    python benchmarks/social_students.py run --data DIR --out social_students.jsonl
    python benchmarks/social_students.py table social_students.jsonl --data DIR

DIR holds `mustard`, `mintrec_text` and `router_distillation`. Macro-F1 and accuracy, in points, of the predictions on
rows that were held out, pooled over the folds; no student is told the speaker, the options or anything under `gold`.

- `mustard, by show`: sarcastic or not, 334 lines, alone and with the turns before. There are three shows, hence three
  folds and not five, and label and show are nearly one: 280 lines are of BBT, half of them sarcastic; of the other 54
  one is not. So BBT's students have seen one line that is not sarcastic, and the pooled figure says little but that.
- `mustard, BBT by speaker`: the 280 balanced lines of BBT, five folds grouped by who says the line (10 names). Added
  because the folds by show cannot tell students apart. 16 lines share a turn with a line of another fold.
- `mintrec`: 20 intents, trained on train (1,334 lines), scored on dev (445). Both are of the same 43 episodes; 21 dev
  lines also stand in train, and the table gives the others' figure apart.
- `router`: does the teacher's plan for a question ground it in the video first, or answer at once? 696 questions, alone
  and with the events that a model wrote down; five folds grouped by video.

Nothing is chosen on scored rows: the penalties are those that `choose` finds best by cross-validation on MIntRec's
training part, and serve all sets; epochs, rates and lengths of the tuned student were fixed before it was scored.
Intervals are the bootstrap over rows, or over groups where a set has ten or more; every student is scored on the same
resamples, so that differences are paired. The tuned student's figures are means over its seeds, resample by resample.
A row that is in the output already is not run again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SETS = ("mustard, by show", "mustard, BBT by speaker", "mintrec", "router")
TUNED = "tuned MiniLM"
CONTEXTS = {"mustard, by show": "turns before", "mustard, BBT by speaker": "turns before", "router": "events"}
FOLDS = 5
CLUSTERED_FROM = 10
"""Groups from which on the bootstrap draws groups and not rows. Chosen."""

TFIDF_INVERSE_PENALTY = 10.0
FROZEN_INVERSE_PENALTY = 1.0
"""Of `INVERSE_PENALTIES`, the best for each of the two on MIntRec's training part; see `choose`."""
INVERSE_PENALTIES = (0.1, 1.0, 10.0, 100.0)

EPOCHS, BATCH = 4, 16
LEARNING_RATE, HEAD_LEARNING_RATE, WARM_UP = 1e-4, 1e-3, 0.1
MAX_TOKENS = 64
"""Chosen for the time it takes on one core; what is longer loses its beginning, so that the line itself is kept."""

Scores = NDArray[np.float64]


@dataclass
class Trial:
    """A set ready to be judged: B rows, their folds, and what the bootstrap draws."""

    name: str
    texts: list[str]
    contexts: list[str]
    labels: tuple[str, ...]
    gold: NDArray[np.int64]
    folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
    groups: NDArray[np.int64] | None
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def scored(self) -> NDArray[np.int64]:
        """The rows that are held out in some fold."""
        return np.sort(np.concatenate([test for _, test in self.folds]))

    @property
    def cluster(self) -> NDArray[np.int64] | None:
        """The scored rows' groups where there are enough of them to be drawn."""
        if self.groups is None or self.groups.max() + 1 < CLUSTERED_FROM:
            return None
        return np.unique(self.groups[self.scored], return_inverse=True)[1]

    @property
    def is_new(self) -> NDArray[np.bool_]:
        """Whether a scored row's text differs from every text that its students learn from."""
        known = [{self.texts[row].strip().lower() for row in train} for train, _ in self.folds]
        fold = {row: at for at, (_, test) in enumerate(self.folds) for row in test.tolist()}
        return np.array([self.texts[row].strip().lower() not in known[fold[row]] for row in self.scored.tolist()])

    def joined(self, reads: str) -> list[str]:
        """Each row as one text."""
        if reads == "alone":
            return self.texts
        return [f"{context} [SEP] {text}" for context, text in zip(self.contexts, self.texts, strict=True)]


def open_trial(data: Path, name: str) -> Trial:
    """A set with its folds."""
    if name == "mintrec":
        train, dev = (read_rows(data / "mintrec_text" / f"{part}.jsonl") for part in ("train", "dev"))
        rows, names, groups = [*train, *dev], [row["label"] for row in [*train, *dev]], None
        contexts = [""] * len(rows)
    elif name == "router":
        rows = read_rows(data / "router_distillation" / "questions.jsonl")
        plans = [row["meta"]["gold"]["teacher_plan"] for row in rows]
        names = ["ground" if any(step["type"] == "Grounder" for step in plan) else "answer" for plan in plans]
        groups, contexts = [row["meta"]["video"] for row in rows], [row["meta"]["events"] for row in rows]
    else:
        rows = read_rows(data / "mustard" / "dialogues.jsonl")
        if name == "mustard, BBT by speaker":
            rows = [row for row in rows if row["meta"]["show"] == "BBT"]
        names = [row["label"] for row in rows]
        groups = [row["meta"]["show" if name == "mustard, by show" else "speaker"] for row in rows]
        contexts = [" ".join(row["meta"]["context"]) for row in rows]
    labels, gold = np.unique(names, return_inverse=True)
    group_ids = None if groups is None else np.unique(groups, return_inverse=True)[1]
    folds = [(np.arange(len(train)), np.arange(len(train), len(rows)))] if group_ids is None else split(gold, group_ids)
    texts = [row["text"] for row in rows]
    return Trial(name, texts, contexts, tuple(labels.tolist()), gold, folds, group_ids)


def split(gold: NDArray[np.int64], groups: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Folds that keep a group on one side: five, or as many as there are groups."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(min(FOLDS, int(groups.max()) + 1), shuffle=True, random_state=0)
    return list(folds.split(gold, gold, groups))


def tfidf_student(inverse_penalty: float = TFIDF_INVERSE_PENALTY) -> Any:
    """Words and pairs of words, and runs of 2 to 4 characters, under a balanced logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    return make_pipeline(make_union(words, characters), balanced_regression(inverse_penalty))


def balanced_regression(inverse_penalty: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=inverse_penalty, class_weight="balanced", max_iter=2000)


@cache
def sentence_encoder() -> Any:
    from folkmoot.models.sentence_encoder import SentenceEncoder

    return SentenceEncoder(threads=1)


def read_vectors(trial: Trial, reads: str) -> NDArray[np.float32]:
    """The frozen encoder's vectors, [B, D] or, with the context as a second segment, [B, 2 D]."""
    if "alone" not in trial.vectors:
        trial.vectors["alone"] = sentence_encoder().encode(trial.texts)
    if reads not in trial.vectors:
        trial.vectors[reads] = np.hstack([sentence_encoder().encode(trial.contexts), trial.vectors["alone"]])
    return trial.vectors[reads]


def judge_by_majority(trial: Trial, reads: str, train: NDArray[np.int64], test: NDArray[np.int64], seed: int) -> Scores:
    counts = np.bincount(trial.gold[train], minlength=len(trial.labels))
    return np.tile(counts / counts.sum(), (len(test), 1))


def judge_by_tfidf(trial: Trial, reads: str, train: NDArray[np.int64], test: NDArray[np.int64], seed: int) -> Scores:
    texts = np.array(trial.joined(reads), dtype=object)
    return spread(trial, tfidf_student().fit(texts[train], trial.gold[train]), texts[test])


def judge_by_frozen(trial: Trial, reads: str, train: NDArray[np.int64], test: NDArray[np.int64], seed: int) -> Scores:
    vectors = read_vectors(trial, reads)
    return spread(
        trial, balanced_regression(FROZEN_INVERSE_PENALTY).fit(vectors[train], trial.gold[train]), vectors[test]
    )


def judge_by_both(trial: Trial, reads: str, train: NDArray[np.int64], test: NDArray[np.int64], seed: int) -> Scores:
    """The mean of the two students' probabilities: on one scale already, so that no held-out row sets it."""
    return (judge_by_tfidf(trial, reads, train, test, seed) + judge_by_frozen(trial, reads, train, test, seed)) / 2


def spread(trial: Trial, model: Any, inputs: Any) -> Scores:
    """A model's probabilities over all labels, 0 for those that its training rows lack: [B, C]."""
    scores = np.zeros((len(inputs), len(trial.labels)))
    scores[:, model.classes_] = model.predict_proba(inputs)
    return scores


def judge_by_tuned(trial: Trial, reads: str, train: NDArray[np.int64], test: NDArray[np.int64], seed: int) -> Scores:
    """MiniLM, mean pooling and a linear head, trained together; word embeddings kept, bfloat16 where torch allows."""
    import torch
    from torch import nn

    from folkmoot.models.encoder import encoder_folder, load_encoder_network
    from folkmoot.models.tokens import batches_by_length, encode_texts, load_tokenizer, pad
    from folkmoot.students.network import TextClassifier
    from folkmoot.training.tuned import length_bucketed

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    tokenizer = load_tokenizer(encoder_folder("embedded"), max_tokens=MAX_TOKENS)
    tokenizer.enable_truncation(max_length=MAX_TOKENS, direction="left")
    ids = encode_texts(tokenizer, trial.joined(reads))
    classes = len(trial.labels)
    network = TextClassifier(load_encoder_network("embedded"))
    network.head = nn.Linear(network.head.in_features, classes)
    network.encoder.get_submodule("embeddings").requires_grad_(False)
    body = [parameter for parameter in network.encoder.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": body, "lr": LEARNING_RATE},
            {"params": network.head.parameters(), "lr": HEAD_LEARNING_RATE},
        ],
        weight_decay=0.01,
        fused=True,
    )
    steps = EPOCHS * -(-len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / (WARM_UP * steps), max(0.0, (steps - step) / (steps * (1 - WARM_UP))))
    )
    support = np.bincount(trial.gold[train], minlength=classes)
    weights = torch.tensor(len(train) / (classes * np.maximum(support, 1)), dtype=torch.float32)
    rows, gold = [ids[row] for row in train], torch.from_numpy(trial.gold[train])

    def logits_of(batch: Sequence[Sequence[int]]) -> torch.Tensor:
        tokens, mask = pad(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return network(torch.from_numpy(tokens), torch.from_numpy(mask)).float()

    network.train()
    for _ in range(EPOCHS):
        for batch in length_bucketed(rows, BATCH, generator):
            loss = nn.functional.cross_entropy(logits_of([rows[row] for row in batch]), gold[batch], weight=weights)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    network.eval()
    scores = np.zeros((len(test), classes))
    with torch.no_grad():
        for batch in batches_by_length([len(ids[row]) for row in test], BATCH):
            scores[batch] = logits_of([ids[test[row]] for row in batch]).softmax(-1).numpy()
    return scores


STUDENTS: dict[str, Callable[[Trial, str, NDArray[np.int64], NDArray[np.int64], int], Scores]] = {
    "majority": judge_by_majority,
    "TF-IDF": judge_by_tfidf,
    "frozen MiniLM": judge_by_frozen,
    "TF-IDF + frozen": judge_by_both,
    TUNED: judge_by_tuned,
}


def choose(data: Path) -> None:
    """Print each penalty's macro-F1 by cross-validation on MIntRec's training part."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    trial = open_trial(data, "mintrec")
    train = trial.folds[0][0]
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    texts, vectors, gold = [trial.texts[row] for row in train], read_vectors(trial, "alone")[train], trial.gold[train]
    print("| inverse penalty | TF-IDF | frozen MiniLM |\n|---|---|---|")
    for penalty in INVERSE_PENALTIES:
        tfidf = cross_val_score(tfidf_student(penalty), texts, gold, cv=folds, scoring="f1_macro").mean()
        frozen = cross_val_score(balanced_regression(penalty), vectors, gold, cv=folds, scoring="f1_macro").mean()
        print(f"| {penalty:g} | {100 * tfidf:.1f} | {100 * frozen:.1f} |", flush=True)


def run(data: Path, sets: Sequence[str], seeds: int, out: Path) -> None:
    """Every set, reading, student and seed that is not in `out` yet; what is slow last."""
    done = {(row["set"], row["reads"], row["student"], row["seed"]) for row in read_rows(out)}
    readings = [(trial, "alone") for trial in map(partial(open_trial, data), sets)]
    readings += [(trial, CONTEXTS[trial.name]) for trial, _ in readings if trial.name in CONTEXTS]
    wanted = [(trial, reads, student, 0) for trial, reads in readings for student in STUDENTS if student != TUNED]
    wanted += [(trial, "alone", TUNED, seed) for seed in range(seeds) for trial, reads in readings if reads == "alone"]
    wanted += [(trial, reads, TUNED, seed) for seed in range(seeds) for trial, reads in readings if reads != "alone"]
    for trial, reads, student, seed in wanted:
        if (trial.name, reads, student, seed) in done or (student == "majority" and reads != "alone"):
            continue
        started = time.monotonic()
        predicted = np.full(len(trial.gold), -1)
        for train, test in trial.folds:
            predicted[test] = STUDENTS[student](trial, reads, train, test, seed).argmax(1)
        row = {"set": trial.name, "reads": reads, "student": student, "seed": seed}
        macro_f1, accuracy = score(trial, predicted[trial.scored], np.ones((1, len(trial.scored))))
        append(out, {**row, "macro_f1": float(macro_f1[0]), "accuracy": float(accuracy[0]),
                     "seconds": round(time.monotonic() - started, 1),
                     "predicted": [trial.labels[label] for label in predicted[trial.scored]]})  # fmt: skip


def score(trial: Trial, predicted: NDArray[np.int64], counts: Scores) -> tuple[Scores, Scores]:
    """Macro-F1 and accuracy, in points, of R samples that hold the scored rows `counts` (R, B) times."""
    from folkmoot.evaluation.classification import score_labels

    scores = score_labels(counts, trial.gold[trial.scored], predicted, classes=len(trial.labels))
    return 100 * scores.macro_f1, 100 * scores.accuracy


def table(paths: list[Path], data: Path) -> None:
    """Print each set's students, with intervals, and paired differences in macro-F1.

    The sample that is scored is the first row of `counts`, its new lines are the last, the resamples stand between.
    """
    from folkmoot.evaluation.bootstrap import percentile_interval, resample_counts

    rows = [row for path in paths for row in read_rows(path)]
    for name in SETS:
        held = [row for row in rows if row["set"] == name]
        if not held:
            continue
        trial = open_trial(data, name)
        scored, position = trial.scored, {label: at for at, label in enumerate(trial.labels)}
        # A cell a row: what is drawn is how often each row occurs, and every student is scored on the same draws.
        drawn = resample_counts(np.arange(len(scored)), cluster=trial.cluster)[1]
        counts = np.vstack([np.ones((1, len(scored))), drawn, trial.is_new[None]])
        print(f"\n**{name}**: {describe(trial)}\n")
        print(
            "| reads | student | macro-F1 (95%) | sd over seeds | accuracy (95%) | on new lines | less TF-IDF | less itself alone |"
        )
        print("|---|---|---|---|---|---|---|---|")
        kept: dict[tuple[str, str], Scores] = {}
        for reads in ("alone", CONTEXTS.get(name)):
            for student in STUDENTS:
                seeds = [row for row in held if (row["reads"], row["student"]) == (reads, student)]
                if not seeds:
                    continue
                of_seeds = [score(trial, np.array([position[x] for x in row["predicted"]]), counts) for row in seeds]
                macro_f1, accuracy = (np.mean([pair[at] for pair in of_seeds], axis=0) for at in (0, 1))
                kept[reads, student] = macro_f1
                firsts = [pair[0][0] for pair in of_seeds]
                sd = (
                    f"{np.std(firsts, ddof=1):.1f} ({len(firsts)})"
                    if len(firsts) > 1
                    else "one seed" * (student == TUNED)
                )
                cells = [reads, student, "", sd, "", "", "", ""]
                for at, values in ((2, macro_f1), (4, accuracy)):
                    low, high = percentile_interval(values[1:-1])
                    cells[at] = f"{values[0]:.1f} ({low:.1f} to {high:.1f})"
                cells[5] = f"{np.mean([pair[0][-1] for pair in of_seeds]):.1f}"
                for at, other in ((6, (reads, "TF-IDF")), (7, ("alone", student))):
                    if other in kept and other != (reads, student):
                        difference = macro_f1 - kept[other]
                        low, high = percentile_interval(difference[1:-1])
                        cells[at] = f"{difference[0]:+.1f} ({low:+.1f} to {high:+.1f})"
                print("| " + " | ".join(cells) + " |")


def describe(trial: Trial) -> str:
    """What is scored, how it was split, and what the interval draws."""
    scored = trial.scored
    said = f"{len(scored)} rows scored ({int(trial.is_new.sum())} new), {len(trial.labels)} labels; "
    if trial.groups is None:
        return said + f"{len(trial.folds[0][0])} other rows to learn from; intervals over rows."
    groups = int(trial.groups.max()) + 1
    folds = "; ".join(
        f"{len(test)} rows after "
        + ", ".join(f"{int((trial.gold[train] == at).sum())} {label}" for at, label in enumerate(trial.labels))
        for train, test in trial.folds
    )
    drawn = "rows" if trial.cluster is None else "groups"
    return said + f"{groups} groups, {len(trial.folds)} folds ({folds}); intervals over {drawn}."


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, row: dict[str, Any]) -> None:
    with path.open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    print({key: value for key, value in row.items() if key != "predicted"}, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["choose", "run", "table"])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("social_students.jsonl"))
    given = parser.parse_args()
    if given.what == "choose":
        choose(given.data)
    elif given.what == "run":
        run(given.data, given.sets, given.seeds, given.out)
    else:
        table(given.files, given.data)


if __name__ == "__main__":
    main()
