"""Published layouts, read from invented files of the same shape."""

import csv
import json
from pathlib import Path

import pytest

from folkmoot.formats import LAYOUTS, load_task, read_layout
from folkmoot.formats.layouts.ma_vlm import HEADER
from folkmoot.records import BadInput, BadRecord, Opinion, Outcome, Post


def write(path: Path, text: str, *, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding, newline="")
    return path


def write_json_lines(path: Path, rows: list[dict[str, object]]) -> Path:
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


def labels(posts: list[Post]) -> dict[str, str | None]:
    return {post.id: post.label for post in posts}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_says_what_it_accepts_and_names_a_shipped_task(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    assert layout.name == name
    assert layout.accepts
    if layout.task:
        assert load_task(layout.task).name == layout.task
    with pytest.raises(BadInput, match="no such file or folder; accepted is"):
        read_layout(name, tmp_path / "none")
    with pytest.raises(BadInput):
        read_layout(name, tmp_path)


def test_an_unknown_layout_or_option_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Did you mean 'davidson'"):
        read_layout("davidsen", tmp_path)
    with pytest.raises(BadInput, match=r"no option 'rules'\. Did you mean 'rule'"):
        read_layout("davidson", tmp_path, rules="majority")
    with pytest.raises(BadInput, match="It takes none"):
        read_layout("hateful_memes", tmp_path, seed=1)


# Hateful Memes


def test_hateful_memes_reads_the_splits_that_are_there(tmp_path: Path) -> None:
    write_json_lines(
        tmp_path / "train.jsonl",
        [
            {"id": 11, "img": "img/00011.png", "label": 1, "text": "a cloudy day"},
            {"id": 12, "img": "img/00012.png", "label": 0, "text": "a sunny day"},
        ],
    )
    write_json_lines(tmp_path / "test_unseen.jsonl", [{"id": "13", "img": "img/13.png", "text": "no label yet"}])
    read = read_layout("hateful_memes", tmp_path)
    assert list(read.splits) == ["train", "test_unseen"]
    assert labels(read.posts) == {"11": "hateful", "12": "not_hateful", "13": None}
    assert read.splits["train"][0].media[0].path == str(tmp_path / "img" / "00011.png")
    assert read.splits["test_unseen"][0].split == "test"
    assert list(read_layout("hateful_memes", tmp_path / "train.jsonl").splits) == ["train"]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"id": 11, "img": "a.png", "text": "again", "label": 0}, "id"),
        ({"id": 12, "text": "no picture", "label": 0}, "img"),
        ({"id": 12, "img": "a.png", "text": "a third label", "label": 2}, "label"),
        ({"id": 12, "img": "a.png", "text": "a third label", "label": True}, "label"),
    ],
)
def test_hateful_memes_names_a_bad_row(tmp_path: Path, row: dict[str, object], field: str) -> None:
    good = {"id": 11, "img": "a.png", "text": "mild", "label": 0}
    path = write_json_lines(tmp_path / "train.jsonl", [good, row])
    with pytest.raises(BadRecord) as caught:
        read_layout("hateful_memes", path)
    assert (caught.value.line, caught.value.field) == (2, field)


# MAMI

MAMI_HEADER = "file_name\tmisogynous\tshaming\tstereotype\tobjectification\tviolence\tText Transcription\n"


def mami(folder: Path) -> Path:
    write(
        folder / "TRAINING" / "training.csv",
        MAMI_HEADER
        + '1.jpg\t1\t0\t1\t0\t0\t"She said ""tea, please"""\n'
        + "2.jpg\t0\t0\t0\t0\t0\ta garden\n"
        + "2.jpg\t0\t0\t0\t0\t0\ta garden again\n"
        + "9.jpg\t0\t0\t0\t0\t0\tin both\n",
    )
    write(folder / "test" / "Test.csv", "file_name\tText Transcription\n9.jpg\tin both\n10.jpg\ta bridge\n11.jpg\t?\n")
    write(folder / "test_labels.txt", "9.jpg\t0\t0\t0\t0\t0\n10.jpg\t1\t1\t0\t0\t1\n")
    return folder


def test_mami_joins_the_official_test_and_its_labels(tmp_path: Path) -> None:
    read = read_layout("mami", mami(tmp_path))
    assert labels(read.splits["test"]) == {"9": "not_misogynous", "10": "misogynous", "11": None}
    assert read.splits["test"][1].attribution == ("shaming", "violence")
    assert read.splits["train"][0].text == 'She said "tea, please"'
    assert read.splits["train"][0].attribution == ("stereotype",)
    assert read.splits["train"][0].media[0].path == str(tmp_path / "TRAINING" / "1.jpg")


def test_mami_has_each_id_once_and_a_shared_one_only_in_the_test(tmp_path: Path) -> None:
    read = read_layout("mami", mami(tmp_path))
    assert list(labels(read.splits["train"])) == ["1", "2"]
    assert len(read.posts) == len({post.id for post in read.posts}) == 5
    assert read.notes == (
        "1 rows of train repeat an id; the first of each was kept.",
        "1 posts of train are held out too; they stay only there.",
        "1 posts of test have no label; test_labels.txt names none for them.",
    )


def test_mami_reads_commas_and_named_files(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", MAMI_HEADER.replace("\t", ",") + '1.jpg,1,0,0,0,0,"tea, please"\n')
    read = read_layout("mami", tmp_path, train=str(path))
    assert read.splits["train"][0].text == "tea, please"


def test_mami_attribution_is_the_tasks_own(tmp_path: Path) -> None:
    kinds = load_task("misogyny").attribution["kind"]
    assert all(set(post.attribution) <= set(kinds) for post in read_layout("mami", mami(tmp_path)).posts)


# Davidson

DAVIDSON = """\
,count,hate_speech,offensive_language,neither,class,tweet
0,3,0,0,3,2,a mild tweet
1,3,0,3,0,1,"a tweet, with
two lines"
2,3,0,2,1,1,a contested tweet
5,6,1,4,1,1,six people voted
6,3,3,0,0,0,one more
7,3,1,1,1,1,exactly a third
"""


@pytest.mark.parametrize(
    ("rule", "offensive"),
    [
        ("majority", ["1", "2", "5", "6", "7"]),
        ("any_neither", ["1", "6"]),
        ("ma_vlm", ["1", "5", "6"]),  # 5: hate and offensive both voted, and one of six is fewer than a third
    ],
)
def test_davidson_labels_by_the_rule_asked_for(tmp_path: Path, rule: str, offensive: list[str]) -> None:
    path = write(tmp_path / "labeled_data.csv", DAVIDSON)
    read = read_layout("davidson", path, rule=rule)
    assert [post.id for post in read.posts if post.label == "offensive"] == [f"hsol-{one}" for one in offensive]
    assert all(post.label in ("offensive", "ok") for post in read.posts)
    assert rule in read.notes[0]


def test_davidson_labels_by_majority_unless_told_otherwise(tmp_path: Path) -> None:
    write(tmp_path / "labeled_data.csv", DAVIDSON)
    assert read_layout("davidson", tmp_path).posts == read_layout("davidson", tmp_path, rule="majority").posts
    post = read_layout("davidson", tmp_path).posts[2]
    assert (post.label, post.meta["votes"]["neither"]) == ("offensive", 1)
    assert post.blind().meta == {}


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [(",2,a mild", ",3,a mild", "class"), ("0,3,0", "0,three,0", "count"), ("neither,", "nobody,", "neither")],
)
def test_davidson_names_a_bad_row(tmp_path: Path, before: str, after: str, field: str) -> None:
    path = write(tmp_path / "labeled_data.csv", DAVIDSON.replace(before, after, 1))
    with pytest.raises(BadRecord) as caught:
        read_layout("davidson", path)
    assert (caught.value.line, caught.value.field) == (2, field)
    with pytest.raises(BadInput, match="Did you mean 'majority'"):
        read_layout("davidson", path, rule="mayority")


# Sentiment140


def tweet(polarity: int, number: int, text: str) -> str:
    return f'"{polarity}","{number}","Mon Apr 06","NO_QUERY","somebody","{text}"\n'


def test_sentiment140_is_latin_1_and_four_is_positive(tmp_path: Path) -> None:
    write(
        tmp_path / "training.1600000.processed.noemoticon.csv",
        tweet(0, 1, "rain again") + tweet(4, 2, "café, at last") + tweet(4, 2, "café, at last"),
        encoding="latin-1",
    )
    write(tmp_path / "testdata.manual.2009.06.14.csv", tweet(4, 3, "good") + tweet(2, 4, "a chair"))
    read = read_layout("sentiment140", tmp_path)
    assert labels(read.splits["train"]) == {"sentiment140-1": "negative", "sentiment140-2": "positive"}
    assert labels(read.splits["test"]) == {"sentiment140-3": "positive"}
    assert read.splits["train"][1].text == "café, at last"
    assert read.notes[0] == "polarity as published: 0 is negative, 4 is positive."
    assert "1 neutral tweets of test were left out" in read.notes[-1]


def test_sentiment140_leaves_out_tweets_with_both_polarities(tmp_path: Path) -> None:
    path = write(tmp_path / "training.csv", tweet(0, 1, "a") + tweet(0, 2, "b") + tweet(4, 1, "a"))
    read = read_layout("sentiment140", path)
    assert labels(read.posts) == {"sentiment140-2": "negative"}
    assert "1 ids with both polarities were left out" in read.notes[-1]


def test_sentiment140_draws_the_same_sample_for_the_same_seed(tmp_path: Path) -> None:
    path = write(tmp_path / "training.csv", "".join(tweet(4 * (n // 50), n, f"tweet {n}") for n in range(100)))
    first, again = (read_layout("sentiment140", path, sample=20, seed=1) for _ in range(2))
    other = read_layout("sentiment140", path, sample=20, seed=2)
    assert first == again != other
    assert len(first.posts) == 20
    assert set(labels(first.posts).values()) == {"positive", "negative"}


@pytest.mark.parametrize(("row", "field"), [('"1","2","d","q","u","t"\n', "polarity"), ('"0","2","t"\n', None)])
def test_sentiment140_names_a_bad_row(tmp_path: Path, row: str, field: str | None) -> None:
    path = write(tmp_path / "training.csv", tweet(0, 1, "a") + row)
    with pytest.raises(BadRecord) as caught:
        read_layout("sentiment140", path)
    assert (caught.value.line, caught.value.field) == (2, field)


# MA-VLM


def said(word: str, reason: str = "a reason") -> list[str]:
    return [f"The input should be classified as <label>{word}</label>. Reason: {reason}", word, reason]


SILENT = ["No", "No", "No"]


def ma_vlm(root: Path, name: str = "FHM") -> Path:
    folder = root / "datasets" / name

    def rows(*numbers: int) -> list[dict[str, object]]:
        return [
            {"image_id": n, "image_path": f"datasets/{name}/images/{n:05}.png", "label": n % 2, "text": f"text {n}"}
            for n in numbers
        ]

    write_json_lines(folder / "train.jsonl", rows(1, 2, 3, 4, 4, 6))
    write_json_lines(folder / "dev.jsonl", rows(5))
    write_json_lines(folder / "test.jsonl", rows(6))
    write_json_lines(folder / "all.jsonl", rows(1, 2, 3, 4, 4, 6, 5, 6))

    def ids(*numbers: int) -> dict[str, object]:
        return {"image_id": list(numbers), "length": len(numbers)}

    splits = {
        "50": {"pu_known": ids(1), "pu_unknown": ids(2), "pnu_known": ids(3), "pnu_unknown": ids(1, 2, 4, 4, 6)},
        "100": {"pu_known": ids(1), "pu_unknown": ids(2), "pnu_known": ids(3, 2), "pnu_unknown": ids(1, 4)},
    }
    write(folder / "image_id_split_train.json", json.dumps(splits))
    write(folder / "image_id_split_dev.json", json.dumps({"0": {"pnu_known": ids(), "pnu_unknown": ids(5)}}))
    return folder


def agents_csv(path: Path, *rows: list[str], full_header: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    suffixes = ("_for_0", "_for_1") if full_header else ("_for_0",)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "gt_label", *(column + suffix for suffix in suffixes for column in HEADER)])
        writer.writerows(rows)
    return path


def test_ma_vlm_reads_splits_and_known_sets(tmp_path: Path) -> None:
    read = read_layout("ma_vlm", ma_vlm(tmp_path))
    assert read.task == "hateful_meme"
    assert {name: [post.id for post in posts] for name, posts in read.splits.items()} == {
        "train": ["1", "2", "3", "4"],
        "dev": ["5"],
        "test": ["6"],
        "labelled_50": ["3"],
        "pool_50": ["1", "2", "4"],
        "labelled_100": ["3", "2"],
        "pool_100": ["1", "4"],
    }
    assert labels(read.posts)["1"] == "hateful"
    assert labels(read.posts)["2"] == "not_hateful"
    assert [post.id for post in read.posts] == ["1", "2", "3", "4", "5", "6"]
    assert read.posts[0].media[0].path == str(tmp_path / "datasets" / "FHM" / "images" / "00001.png")
    assert read.posts[0].split == "train"
    assert "1 ids of pool_50 are not in training; they were left out." in read.notes


@pytest.mark.parametrize(
    ("name", "one", "zero", "pictures"),
    [
        ("FHM", "hateful", "not_hateful", True),
        ("MAMI", "misogynous", "not_misogynous", True),
        ("HSOL", "offensive", "ok", False),
        ("Sent140", "positive", "negative", False),
    ],
)
def test_ma_vlm_states_the_polarity_of_each_folder(
    tmp_path: Path, name: str, one: str, zero: str, pictures: bool
) -> None:
    posts = read_layout("ma_vlm", ma_vlm(tmp_path, name)).splits["train"]
    assert [post.label for post in posts[:2]] == [one, zero]
    assert all(bool(post.media) is pictures for post in posts)


def test_ma_vlm_needs_a_task_for_a_folder_of_another_name(tmp_path: Path) -> None:
    folder = ma_vlm(tmp_path, "demo_dataset")
    with pytest.raises(BadInput, match="give the option 'task'"):
        read_layout("ma_vlm", folder)
    assert read_layout("ma_vlm", folder, task="hateful_meme").task == "hateful_meme"


@pytest.mark.parametrize("full_header", [False, True])
def test_ma_vlm_opinions_are_kept_apart_by_the_label_that_the_agents_were_shown(
    tmp_path: Path, full_header: bool
) -> None:
    folder = ma_vlm(tmp_path)
    agents_csv(
        tmp_path / "scripts" / "meta_data" / "MA_VLMs_output" / "FHM" / "all.csv",
        ["1", "1", *said("Hateful", "strict"), *said("Normal", "free"), *said("Normal"), *said("Normal"),
         *said("Hateful", "strict"), *said("Normal", "free"), *said("Hateful"), *said("Hateful")],
        ["2", "0", *said("Normal"), *said("Normal"), *SILENT, *SILENT, *said("Normal"), *said("Normal"), *SILENT,
         *SILENT],
        full_header=full_header,
    )  # fmt: skip
    opinions = read_layout("ma_vlm", folder).opinions
    assert list(opinions) == ["not_hateful", "hateful"]
    assert opinions["not_hateful"]["1"] == (
        Opinion(agent="moderator", label="hateful", rationale="strict"),
        Opinion(agent="user", label="not_hateful", rationale="free"),
        Opinion(agent="moderator", round=1, label="not_hateful", rationale="a reason"),
        Opinion(agent="user", round=1, label="not_hateful", rationale="a reason"),
    )
    assert [one.label for one in opinions["hateful"]["1"]] == ["hateful", "not_hateful", "hateful", "hateful"]
    assert [one.round for one in opinions["hateful"]["2"]] == [0, 0], "a step that was not run is no opinion"


@pytest.mark.parametrize(
    ("output", "label"),
    [
        ("The input should be classified as <label>Hateful</label>. Reason: because\nof this", "hateful"),
        ("The input should be classified as <label> normal </label>", "not_hateful"),
        ("The input should not be classified as <label>Hateful</label>. Reason: x", "not_hateful"),
        ("The input should not be classified as <label>Normal</label>. Reason: x", "hateful"),
        ("The input should be classified as <label>Hateful</label> or <label>Normal</label>. Reason: x", None),
        ("The input should be classified as <label>Pleasant</label>. Reason: x", None),
        ("I would rather not say.", None),
    ],
)
def test_an_output_without_one_label_is_unparsable_and_never_negative(
    tmp_path: Path, output: str, label: str | None
) -> None:
    # The published file has "Normal", "No" as judgement and reason of an output that could not be read.
    path = agents_csv(tmp_path / "all.csv", ["1", "0", output, "Normal", "No", *said("Normal"), *SILENT, *SILENT])
    opinions = read_layout("ma_vlm", ma_vlm(tmp_path), opinions=str(path)).opinions
    assert list(opinions) == ["not_hateful"], "a file without cells for label 1 has opinions for label 0 alone"
    first = opinions["not_hateful"]["1"][0]
    assert first.label == label
    assert first.outcome is (Outcome.LABELLED if label else Outcome.UNPARSABLE)


def test_ma_vlm_names_a_bad_row_of_the_agents_file(tmp_path: Path) -> None:
    folder = ma_vlm(tmp_path)
    path = agents_csv(tmp_path / "all.csv", ["1", "0", "cut"])
    with pytest.raises(BadRecord, match="line 2: 3 cells arrived; 14 or 26 are accepted"):
        read_layout("ma_vlm", folder, opinions=path)
    write(path, "image_id,label\n")
    with pytest.raises(BadRecord, match="line 1: the header starts otherwise"):
        read_layout("ma_vlm", folder, opinions=path)
    with pytest.raises(BadInput, match="no such file"):
        read_layout("ma_vlm", folder, opinions=tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("[]", "not a JSON object"),
        ('{"50": {}}', "50.pnu_known.image_id"),
        ('{"50": {"pnu_known": {"image_id": [1], "length": 2}}}', "50.pnu_known.length"),
        ('{"50": {"pnu_known": {"image_id": [98, 99], "length": 2}}}', "none of its ids is in training"),
    ],
)
def test_ma_vlm_names_a_bad_split_file(tmp_path: Path, table: str, says: str) -> None:
    folder = ma_vlm(tmp_path)
    write(folder / "image_id_split_train.json", table)
    with pytest.raises(BadRecord, match=r"image_id_split_train\.json") as caught:
        read_layout("ma_vlm", folder)
    assert says in str(caught.value)


def test_ma_vlm_reads_all_jsonl_where_no_split_is_there(tmp_path: Path) -> None:
    folder = ma_vlm(tmp_path)
    for name in ("train", "dev", "test"):
        (folder / f"{name}.jsonl").unlink()
    (folder / "image_id_split_train.json").unlink()
    read = read_layout("ma_vlm", folder)
    assert [post.id for post in read.splits["all"]] == ["1", "2", "3", "4", "6", "5"]
    assert {post.split for post in read.posts} == {None}
