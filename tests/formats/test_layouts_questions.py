"""The published sets of questions and of dialogues, read from invented files of the same shape."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from folkmoot.formats import load_task, read_layout, read_posts, write_posts
from folkmoot.records import BadInput, BadRecord, Post

OPTIONS = ["A. He is late.", "B. She waves.", "C. It rains."]


def dumped(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def clip(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return str(path)


def asked(post: Post) -> tuple[str, tuple[str, ...], str | None]:
    assert post.question is not None
    assert post.text == ""
    return post.question.kind, post.question.options, post.label


def problem(**fields: Any) -> dict[str, Any]:
    return {
        "video": "a1.mp4", "problem": "Why does she wave?", "problem_type": "multiple choice", "options": OPTIONS,
        "solution": "<context>A street.</context><think>She sees him.</think><answer>B</answer>", "data_type": "video",
    } | fields  # fmt: skip


def social(**fields: Any) -> dict[str, Any]:
    answers = {f"a{number}": word for number, word in enumerate(("one", "two", "three", "four"))}
    return {"q": "How many?", **answers, "answer_idx": 2, "qid": "v_q1", "ts": "0.00-59.2", "vid_name": "v"} | fields


def world(**fields: Any) -> dict[str, Any]:
    task = {"question": "What rings?", "candidates": ["A. A bell.", "B. A phone."], "answer": "B", "task_type": "Audio"}
    return {"v": {"task0": task | fields, "domain": "Music", "video_caption": "A phone rings."}}


def daily(**fields: Any) -> dict[str, Any]:
    return {"Question": "What came first?", "Choice": OPTIONS, "Answer": "C", "video_id": "v", "Type": "Order"} | fields


# IntentBench and IntentTrain


def test_intentbench_has_three_kinds_of_questions_under_the_tables_columns(tmp_path: Path) -> None:
    rows = [
        problem(Type="Which", qid="q1"),
        problem(Type="why", path="elsewhere/a1.mp4"),
        problem(problem_type="emer_ov_mc", solution="<answer> C, A </answer>"),
        problem(problem_type="judge", options=[], solution="<answer>Yes</answer>", video=None, path="b/lie_2.mp4"),
        problem(problem_type="judge", options=["A. Yes", "B. No"], solution="<answer>B</answer>"),
    ]
    dumped(tmp_path / "qa.json", rows)
    there = clip(tmp_path / "videos" / "a1.mp4")
    read = read_layout("intentbench", tmp_path)
    bare = ("He is late.", "She waves.", "It rains.")
    assert [asked(post) for post in read.splits["test"]] == [
        ("choice", bare, "B"), ("choice", bare, "B"), ("choices", bare, "A,C"), ("yes_no", (), "yes"), ("yes_no", (), "no"),
    ]  # fmt: skip
    assert [p.meta["type"] for p in read.posts] == ["Who/Which", "Why", "Emotion", "Deception", "Deception"]
    assert read.posts[0].meta["qid"] == "q1"
    assert read.posts[3].meta["video_id"] == "lie_2"
    assert [(m.path, m.type) for m in read.posts[0].media] == [(there, "video")]
    assert read.posts[3].media == ()
    assert read.notes == ("1 of 5 posts have no clip below the root; their media is empty.",)


def test_intentbench_hides_the_reasons_and_no_id_tells_the_answer(tmp_path: Path) -> None:
    dumped(tmp_path / "qa.json", [problem(video="trial_lie_1.mp4")])
    [post] = read_layout("intentbench", tmp_path).posts
    assert post.meta["gold"]["rationale"] == "<context>A street.</context><think>She sees him.</think>"
    assert "lie" not in post.blind().to_line()
    assert "She sees him" not in post.blind().to_line()


def test_question_posts_survive_a_file_of_posts(tmp_path: Path) -> None:
    dumped(tmp_path / "qa.json", [problem(), problem(problem_type="emer_ov_mc", solution="<answer>A,B</answer>")])
    posts = read_layout("intentbench", tmp_path).posts
    write_posts(posts, tmp_path / "posts.jsonl")
    assert read_posts(tmp_path / "posts.jsonl", task=load_task("social_intent")) == posts


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (problem(problem_type="numerical"), "problem_type"),
        (problem(problem_type=None), "problem_type"),
        (problem(problem=" "), "problem"),
        (problem(video=None), "path"),
        (problem(data_type="smell"), "data_type"),
        (problem(options=["A. He is late."]), "options"),
        (problem(options=["A. One.", "C. Two."]), "options"),
        (problem(options="A. One. B. Two."), "options"),
        (problem(solution="<answer>D</answer>"), "solution"),
        (problem(solution="<think>no tag</think>"), "solution"),
        (problem(solution=None), "solution"),
        (problem(solution="", answer="Z"), "answer"),
        (problem(problem_type="judge", solution="<answer>maybe</answer>"), "solution"),
    ],
)
def test_intentbench_names_a_bad_rows_number_and_field(tmp_path: Path, row: dict[str, Any], field: str) -> None:
    dumped(tmp_path / "qa.json", [problem(), row])
    with pytest.raises(BadRecord, match=r"qa\.json, line 2, ") as caught:
        read_layout("intentbench", tmp_path)
    assert (caught.value.line, caught.value.field) == (2, field)


def test_intent_train_reads_whichever_files_are_there(tmp_path: Path) -> None:
    free = {"problem_type": "regression", "options": [], "path": "r/7.png", "video": None, "data_type": "image"}
    numbers = [
        problem(**free, solution="<answer>4.5</answer>"),
        problem(**free | {"problem_type": "OCR"}, solution="", answer="OPEN"),
        problem(**free | {"problem_type": "free-form"}, solution="<answer>A red door.</answer>"),
        problem(**free | {"problem_type": "numerical"}, solution="<answer>3</answer>"),
    ]
    dumped(tmp_path / "Video-R1_rewrite.json", numbers)
    dumped(tmp_path / "emer_rewrite.json", [problem(problem_type="emer_ov_mc", clean_list=["calm"])])
    picture = clip(tmp_path / "elsewhere" / "r" / "7.png")
    read = read_layout("intent_train", tmp_path, root=str(tmp_path / "elsewhere"))
    assert list(read.splits) == ["train"]
    posts = {post.id: post for post in read.posts}
    assert list(posts) == ["emer-00000", *(f"Video-R1-0000{n}" for n in range(4))]
    assert [asked(posts[f"Video-R1-0000{n}"]) for n in range(4)] == [
        ("free", (), "4.5"), ("free", (), "OPEN"), ("free", (), "A red door."), ("free", (), "3"),
    ]  # fmt: skip
    assert [(m.path, m.type) for m in posts["Video-R1-00000"].media] == [(picture, "image")]
    assert posts["emer-00000"].meta["source"] == "emer"
    assert posts["emer-00000"].meta["gold"]["clean_list"] == ["calm"]
    assert "1 of 5 posts have no clip" in read.notes[0]
    dumped(tmp_path / "emer_rewrite.json", [problem(problem_type="riddle")])
    with pytest.raises(BadRecord, match=r"emer_rewrite\.json, line 1, field 'problem_type'"):
        read_layout("intent_train", tmp_path)


# Daily-Omni, WorldSense and Social-IQ 2.0


def test_daily_omni_finds_each_clip_in_its_own_folder(tmp_path: Path) -> None:
    dumped(tmp_path / "qa.json", [daily(video_duration="30s"), daily(video_id="w", Answer="A")])
    there = clip(tmp_path / "media" / "v" / "v_video.mp4")
    read = read_layout("daily_omni", tmp_path / "qa.json", root=str(tmp_path / "media"))
    assert [(p.id, *asked(p)[::2], p.meta["type"]) for p in read.splits["test"]] == [
        ("daily-omni-0000", "choice", "C", "Order"), ("daily-omni-0001", "choice", "A", "Order"),
    ]  # fmt: skip
    assert [[m.path for m in post.media] for post in read.posts] == [[there], []]
    assert read.posts[0].meta["video_duration"] == "30s"
    assert read.notes == ("1 of 2 posts have no clip below the root; their media is empty.",)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (daily(Answer="D"), "Answer"),
        (daily(Answer=None), "Answer"),
        (daily(Choice=None), "Choice"),
        (daily(Choice=["A. one"]), "Choice"),
        (daily(Question=""), "Question"),
        (daily(video_id=None), "video_id"),
    ],
)
def test_daily_omni_names_a_bad_rows_number_and_field(tmp_path: Path, row: dict[str, Any], field: str) -> None:
    dumped(tmp_path / "qa.json", [daily(), row])
    with pytest.raises(BadRecord) as caught:
        read_layout("daily_omni", tmp_path)
    assert (caught.value.line, caught.value.field) == (2, field)


def test_worldsense_has_a_post_a_task_and_hides_the_caption(tmp_path: Path) -> None:
    videos = world()
    videos["v"]["task1"] = {**videos["v"]["task0"], "answer": "A", "task_domain": "Recognition"}
    dumped(tmp_path / "worldsense_qa.json", videos)
    clip(tmp_path / "videos" / "v.mp4")
    read = read_layout("worldsense", tmp_path)
    assert [(p.id, *asked(p)) for p in read.splits["test"]] == [
        ("worldsense-v-task0", "choice", ("A bell.", "A phone."), "B"),
        ("worldsense-v-task1", "choice", ("A bell.", "A phone."), "A"),
    ]
    assert read.posts[1].meta["task_domain"] == "Recognition"
    assert read.posts[0].meta["domain"] == "Music"
    assert read.posts[0].meta["gold"] == {"video_caption": "A phone rings."}
    assert read.posts[0].media[0].type == "video"
    assert read.notes == ()


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"domain": "Music"}, "task0"),
        ({"task0": "What rings?"}, "task0"),
        (world(answer="E")["v"], "task0.answer"),
        (world(question=None)["v"], "task0.question"),
        (world(candidates=[])["v"], "task0.candidates"),
        (world(candidates=["B. A bell.", "A. A phone."])["v"], "task0.candidates"),
    ],
)
def test_worldsense_names_a_bad_videos_number_and_field(tmp_path: Path, record: dict[str, Any], field: str) -> None:
    dumped(tmp_path / "worldsense_qa.json", {**world(), "w": record})
    with pytest.raises(BadRecord) as caught:
        read_layout("worldsense", tmp_path)
    assert (caught.value.line, caught.value.field) == (2, field)


@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"v": 1}'])
def test_worldsense_and_mustard_refuse_a_file_that_is_no_object_of_records(tmp_path: Path, text: str) -> None:
    for layout, name in (("worldsense", "worldsense_qa.json"), ("mustard", "sarcasm_data.json")):
        (tmp_path / name).write_text(text)
        with pytest.raises(BadRecord, match=name):
            read_layout(layout, tmp_path)


def test_social_iq2_turns_the_answers_index_into_a_letter_and_splits_by_file(tmp_path: Path) -> None:
    lines(tmp_path / "qa_train.json", [social(), social(qid="v_q2", answer_idx=0)])
    lines(tmp_path / "qa_val.json", [social(qid="w_q1", vid_name="w", answer_idx=3)])
    clip(tmp_path / "video" / "w.mp4")
    read = read_layout("social_iq2", tmp_path)
    assert {split: [(p.id, asked(p)[2]) for p in posts] for split, posts in read.splits.items()} == {
        "train": [("v_q1", "C"), ("v_q2", "A")], "dev": [("w_q1", "D")],
    }  # fmt: skip
    assert asked(read.posts[0])[1] == ("one", "two", "three", "four")
    assert read.posts[0].meta == {"video_id": "v", "time_span": "0.00-59.2"}
    assert [bool(post.media) for post in read.posts] == [False, False, True]
    assert "2 of 3 posts have no clip" in read.notes[0]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (social(answer_idx=4), "answer_idx"),
        (social(answer_idx=True), "answer_idx"),
        (social(answer_idx=None), "answer_idx"),
        (social(a3=None), "a3"),
        (social(q=""), "q"),
        (social(qid=None), "qid"),
    ],
)
def test_social_iq2_names_a_bad_line_and_field(tmp_path: Path, row: dict[str, Any], field: str) -> None:
    lines(tmp_path / "qa_val.json", [social(), row])
    with pytest.raises(BadRecord) as caught:
        read_layout("social_iq2", tmp_path)
    assert (caught.value.line, caught.value.field) == (2, field)


# MELD

HEADER = ["Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season", "Episode", "StartTime", "EndTime"]  # fmt: skip


def meld_file(path: Path, *rows: dict[str, str], encoding: str = "utf-8") -> None:
    good = dict(zip(HEADER, ["1", "Good morning!", "Ann", "joy", "positive", "0", "3", "8", "21", "00:16:16,059", "00:16:21,731"], strict=True))  # fmt: skip
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, HEADER)
        writer.writeheader()
        writer.writerows([good | row for row in rows])


def test_meld_labels_lines_with_their_emotion_and_splits_by_file(tmp_path: Path) -> None:
    meld_file(tmp_path / "train_sent_emo.csv", {}, {"Utterance_ID": "4", "Emotion": "Neutral", "Sentiment": "neutral"})
    meld_file(tmp_path / "dev_sent_emo.csv", {})
    meld_file(tmp_path / "test_sent_emo.csv", {"Emotion": "fear"})
    there = clip(tmp_path / "dev_splits_complete" / "dia0_utt3.mp4")
    read = read_layout("meld", tmp_path)
    assert {split: [(p.id, p.label) for p in posts] for split, posts in read.splits.items()} == {
        "train": [("meld-train-0-3", "joy"), ("meld-train-0-4", "neutral")],
        "dev": [("meld-dev-0-3", "joy")], "test": [("meld-test-0-3", "fear")],
    }  # fmt: skip
    [post] = read.splits["dev"]
    assert (post.text, post.question) == ("Good morning!", None)
    assert post.meta == {
        "speaker": "Ann", "dialogue": 0, "utterance": 3, "season": 8, "episode": 21, "start": "00:16:16,059",
        "end": "00:16:21,731", "gold": {"sentiment": "positive"},
    }  # fmt: skip
    assert [medium.path for medium in post.media] == [there]
    assert [bool(p.media) for split in ("train", "test") for p in read.splits[split]] == [False] * 3
    assert "3 of 4 posts have no clip" in read.notes[0]


@pytest.mark.parametrize(("written", "encoding"), [("It\x92s late", "utf-8"), ("It’s late", "cp1252")])
def test_meld_turns_windows_characters_into_what_they_were(tmp_path: Path, written: str, encoding: str) -> None:
    meld_file(tmp_path / "test_sent_emo.csv", {"Utterance": written}, encoding=encoding)
    [post] = read_layout("meld", tmp_path).posts
    assert post.text == "It’s late"


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"Emotion": "hunger"}, "Emotion"),
        ({"Utterance": ""}, "Utterance"),
        ({"Speaker": ""}, "Speaker"),
        ({"Dialogue_ID": "first"}, "Dialogue_ID"),
        ({"Season": ""}, "Season"),
    ],
)
def test_meld_names_a_bad_line_and_field(tmp_path: Path, row: dict[str, str], field: str) -> None:
    meld_file(tmp_path / "dev_sent_emo.csv", {}, row)
    with pytest.raises(BadRecord, match=r"dev_sent_emo\.csv, line 3, ") as caught:
        read_layout("meld", tmp_path)
    assert caught.value.field == field


# MUStARD and MIntRec


def remark(**fields: Any) -> dict[str, Any]:
    return {
        "utterance": "What lovely weather.", "speaker": "BEN", "context": ["It pours."], "context_speakers": ["ANN"],
        "show": "THE ALLOTMENT", "sarcasm": True,
    } | fields  # fmt: skip


def test_mustard_keeps_the_turns_before_the_line(tmp_path: Path) -> None:
    dumped(tmp_path / "sarcasm_data.json", {"1_7": remark(), "2_8": remark(sarcasm=False)})
    there = clip(tmp_path / "clips" / "1_7.mp4")
    read = read_layout("mustard", tmp_path, root=tmp_path / "clips")
    assert [(p.id, p.label, p.text) for p in read.splits["all"]] == [
        ("mustard-1_7", "sarcastic", "What lovely weather."), ("mustard-2_8", "not_sarcastic", "What lovely weather."),
    ]  # fmt: skip
    assert read.posts[0].meta == {
        "speaker": "BEN", "context": ["It pours."], "context_speakers": ["ANN"], "show": "THE ALLOTMENT",
    }  # fmt: skip
    assert [[m.path for m in post.media] for post in read.posts] == [[there], []]


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (remark(sarcasm="yes"), "sarcasm"),
        (remark(sarcasm=None), "sarcasm"),
        (remark(utterance=""), "utterance"),
        (remark(context="It pours."), "context"),
        (remark(context_speakers=[1]), "context_speakers"),
    ],
)
def test_mustard_names_a_bad_records_number_and_field(tmp_path: Path, record: dict[str, Any], field: str) -> None:
    dumped(tmp_path / "sarcasm_data.json", {"1": remark(), "2": record})
    with pytest.raises(BadRecord) as caught:
        read_layout("mustard", tmp_path)
    assert (caught.value.line, caught.value.field) == (2, field)


def tsv(path: Path, *rows: str) -> None:
    path.write_text("season\tepisode\tclip\ttext\tlabel\n" + "".join(row + "\n" for row in rows), encoding="utf-8")


def test_mintrec_reads_quotation_marks_as_they_stand(tmp_path: Path) -> None:
    tsv(tmp_path / "train.tsv", 'S01\tE02\t3\t"open the door, please.\tAsk for help', "S01\tE02\t4\thello!\tgreet")
    tsv(tmp_path / "dev.tsv", "S01\tE02\t5\twell done.\tPraise")
    there = clip(tmp_path / "S01" / "E02" / "5.mp4")
    read = read_layout("mintrec", tmp_path)
    assert {split: [(p.id, p.text, p.label) for p in posts] for split, posts in read.splits.items()} == {
        "train": [("S01_E02_3", '"open the door, please.', "Ask for help"), ("S01_E02_4", "hello!", "Greet")],
        "dev": [("S01_E02_5", "well done.", "Praise")],
    }  # fmt: skip
    assert read.splits["dev"][0].media[0].path == there
    assert read.splits["dev"][0].meta == {"season": "S01", "episode": "E02", "clip": "5"}


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("S01\tE02\t3\thello!\tWave", "label"),
        ("S01\tE02\t3\t\tGreet", "text"),
        ("\tE02\t3\thello!\tGreet", "season"),
        ("S01\tE02\t3\thello!", None),
    ],
)
def test_mintrec_names_a_bad_line_and_field(tmp_path: Path, row: str, field: str | None) -> None:
    tsv(tmp_path / "test.tsv", "S01\tE02\t4\thello!\tGreet", row)
    with pytest.raises(BadRecord) as caught:
        read_layout("mintrec", tmp_path)
    assert (caught.value.line, caught.value.field) == (3, field)


def test_mintrec_refuses_a_file_without_a_row(tmp_path: Path) -> None:
    tsv(tmp_path / "test.tsv")
    with pytest.raises(BadRecord, match=r"test\.tsv: the file has no row"):
        read_layout("mintrec", tmp_path)


# What they share


@pytest.mark.parametrize(
    ("name", "positive", "count"), [("emotion", None, 7), ("sarcasm", "sarcastic", 2), ("intent", None, 20)]
)
def test_the_tasks_of_dialogue_define_every_label_in_a_sentence(name: str, positive: str | None, count: int) -> None:
    task = load_task(name)
    assert (task.positive, len(task.labels)) == (positive, count)
    assert all(label.definition.endswith(".") for label in task.labels)
    assert len(task.policy) > 300


@pytest.mark.parametrize(
    "name", ["intentbench", "intent_train", "daily_omni", "worldsense", "social_iq2", "meld", "mustard", "mintrec"]
)
def test_a_folder_without_the_sets_files_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="none of"):
        read_layout(name, tmp_path)
