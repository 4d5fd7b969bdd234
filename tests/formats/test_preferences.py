"""Preference pairs in and out: ours, TRL's, LLaMA-Factory's, ms-swift's, and a dataset folder."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from folkmoot.formats import read_pairs, write_pairs
from folkmoot.formats.preference_exports import FORMATS, export_pairs, resampled
from folkmoot.records import BadInput, BadRecord, PreferencePair


def pair(
    name: str, *, sc: float = 0.5, images: tuple[str, ...] = (), videos: tuple[str, ...] = (),
    audios: tuple[str, ...] = (),
) -> PreferencePair:  # fmt: skip
    content: Any = "Is it tea?"
    if images or videos or audios:
        media = ["image"] * len(images) + ["video"] * len(videos) + ["audio"] * len(audios)
        content = [*({"type": kind} for kind in media), {"type": "text", "text": "Is it tea?"}]
    return PreferencePair(
        id=name, prompt=({"role": "system", "content": "Judge."}, {"role": "user", "content": content}),
        chosen=({"role": "assistant", "content": "yes"},), rejected=({"role": "assistant", "content": "no"},),
        images=images, videos=videos, audios=audios, sc=sc, n=4, n_correct=2, kind="mixed",
    )  # fmt: skip


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_pairs_come_back_as_they_were_written(tmp_path: Path) -> None:
    pairs = [pair("a"), pair("b", sc=1.0)]
    write_pairs(pairs, tmp_path / "p.jsonl")
    assert read_pairs(tmp_path / "p.jsonl") == pairs


def test_trls_texts_and_implicit_prompts_are_read_too(tmp_path: Path) -> None:
    user = {"role": "user", "content": "Is it?"}
    lines: list[dict[str, Any]] = [
        {"prompt": "Is it?", "chosen": "yes", "rejected": "no", "score": 1},
        {
            "chosen": [user, {"role": "assistant", "content": "yes"}],
            "rejected": [user, {"role": "assistant", "content": "no"}],
        },
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    one, two = read_pairs(tmp_path / "t.jsonl")
    assert (one.id, one.prompt[0]["content"], one.chosen_text, one.rejected_text) == ("row-1", "Is it?", "yes", "no")
    assert (two.prompt, two.chosen_text) == ((user,), "yes")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"prompt":"a","chosen":"x","rejected":"x"}', "line 1, field 'rejected'.*are the same"),
        ('{"prompt":"a","chosen":"x"}', "field 'rejected'"),
        ('{"chosen":"x","rejected":"y"}', "field 'prompt'.*share no beginning"),
        ('{"prompt":"a","chosen":"x","rejected":"y","sc":2}', "field 'sc'"),
        ('{"prompt":"a","choosen":"x","rejected":"y"}', "did you mean 'chosen'"),
        (
            '{"id":"i","prompt":"a","chosen":"x","rejected":"y"}\n{"id":"i","prompt":"a","chosen":"x","rejected":"y"}',
            "line 2, field 'id'",
        ),
        ('{"prompt":"a","chosen":"x","rejected":"y","n":1,"n_correct":2}', "more than n"),
        ('{"prompt":"a","chosen":"","rejected":"y"}', "line 1, field 'chosen': the answer is empty"),
        ('{"prompt":"a","chosen":"x","rejected":[{"role":"assistant","content":" "}]}', "field 'rejected'.*is empty"),
    ],
)
def test_a_row_that_is_no_pair_is_told_by_line_and_field(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "p.jsonl").write_text(line + "\n")
    with pytest.raises(BadRecord, match=said):
        read_pairs(tmp_path / "p.jsonl")


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_all_pairs_and_a_resampled_copy(tmp_path: Path, form: Any) -> None:
    pairs = [pair(f"p{n}", sc=n / 10) for n in range(11)]
    done = export_pairs(pairs, tmp_path, form, omega=2.0)
    plain, again = (rows(tmp_path / name) for name in done.files[:2])
    assert (len(plain), len(again)) == (done.pairs, done.resampled_rows) == (11, len(again))
    assert len(again) > 11
    assert export_pairs(pairs, tmp_path / "twice", form, omega=2.0) == done


def test_each_trainers_own_columns(tmp_path: Path) -> None:
    export_pairs([pair("a")], tmp_path / "trl", "trl")
    (row,) = rows(tmp_path / "trl/folkmoot_pairs.jsonl")
    assert row["chosen"] == [{"role": "assistant", "content": "yes"}]
    assert (row["sc"], row["n"]) == (0.5, 4)
    export_pairs([pair("a")], tmp_path / "lf", "llama_factory")
    (row,) = rows(tmp_path / "lf/folkmoot_pairs.jsonl")
    assert row["conversations"] == [{"from": "system", "value": "Judge."}, {"from": "human", "value": "Is it tea?"}]
    assert row["rejected"] == {"from": "gpt", "value": "no"}
    index = json.loads((tmp_path / "lf/dataset_info.json").read_text())
    assert index["folkmoot_pairs"]["ranking"] is True
    assert "images" not in index["folkmoot_pairs"]["columns"]
    export_pairs([pair("a")], tmp_path / "swift", "ms_swift")
    (row,) = rows(tmp_path / "swift/folkmoot_pairs.jsonl")
    assert (row["messages"][-1], row["rejected_response"]) == ({"role": "assistant", "content": "yes"}, "no")


def test_pictures_are_copied_and_have_one_token_each(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"picture")
    done = export_pairs([pair("a", images=("cat.png",))], tmp_path / "lf", "llama_factory", images_from=tmp_path)
    (row,) = rows(tmp_path / "lf/folkmoot_pairs.jsonl")
    assert (done.images, row["images"]) == (1, ["images/000000.png"])
    assert (tmp_path / "lf/images/000000.png").read_bytes() == b"picture"
    assert row["conversations"][1]["value"].count("<image>") == 1
    with pytest.raises(BadInput, match=r"pair 'a', field 'images': there is no file .*dog\.png"):
        export_pairs([pair("a", images=("dog.png",))], tmp_path / "x", "trl", images_from=tmp_path)
    with pytest.raises(BadInput, match="no pair"):
        export_pairs([], tmp_path / "x", "trl")


@pytest.mark.parametrize("form", FORMATS)
def test_sounds_and_clips_are_copied_and_named_as_pictures_are(tmp_path: Path, form: Any) -> None:
    files = {"images": ("cat.png",), "videos": ("clip.mp4", "more/clip.mp4"), "audios": ("voice.wav",)}
    (tmp_path / "more").mkdir()
    for path in (path for paths in files.values() for path in paths):
        (tmp_path / path).write_text(path)
    pairs = [pair("a", **files), pair("b", audios=("voice.wav",)), pair("c")]
    done = export_pairs(pairs, tmp_path / form, form, images_from=tmp_path)
    assert (done.images, done.videos, done.audios) == (1, 2, 1)
    one, two, three = rows(tmp_path / form / "folkmoot_pairs.jsonl")
    assert one["videos"] == ["videos/000000.mp4", "videos/000001.mp4"]
    assert (two["audios"], "images" in two, "audios" in three) == (["audios/000000.wav"], False, False)
    assert (tmp_path / form / "videos/000001.mp4").read_text() == "more/clip.mp4"
    if form in ("trl", "hf"):
        back, _, plain = read_pairs(tmp_path / form / "folkmoot_pairs.jsonl")
        assert (back.images, back.videos, back.audios) == tuple(tuple(one[name]) for name in files)
        assert (back.prompt, plain.audios) == (pairs[0].prompt, ())
    else:
        turns = one.get("conversations") or one["messages"]
        assert (turns[1].get("value") or turns[1]["content"]) == "<image>\n<video>\n<video>\n<audio>\nIs it tea?"
    if form == "llama_factory":
        columns = json.loads((tmp_path / form / "dataset_info.json").read_text())["folkmoot_pairs"]["columns"]
        assert {name: columns[name] for name in files} == {name: name for name in files}
    with pytest.raises(BadInput, match=r"pair 'd', field 'audios': there is no file .*gone\.wav"):
        export_pairs([pair("d", audios=("gone.wav",))], tmp_path / "x", form, images_from=tmp_path)


def test_pairs_with_sounds_and_clips_come_back_and_one_without_keeps_its_old_lines_and_hash(tmp_path: Path) -> None:
    pairs = [pair("a", videos=("clip.mp4",), audios=("voice.wav", "other.wav")), pair("b")]
    write_pairs(pairs, tmp_path / "p.jsonl")
    assert read_pairs(tmp_path / "p.jsonl") == pairs
    assert {"videos", "audios"} & rows(tmp_path / "p.jsonl")[1].keys() == set()
    assert pairs[1].hash == "4c03fcd0367e9d217c222df297a4bcabf6b3da40cc42484cfdff7ecf7fd81eb2"
    assert pairs[0].hash != pair("a").hash


def test_a_dataset_folder_has_a_card_with_its_configurations(tmp_path: Path) -> None:
    export_pairs([pair("a", sc=0.25)], tmp_path, "hf", omega=1.0)
    card = (tmp_path / "README.md").read_text()
    assert "config_name: resampled\n  data_files: folkmoot_pairs_resampled.jsonl" in card
    assert "mean sc 0.250" in card


def test_rows_are_repeated_as_often_as_their_weight_says_on_average() -> None:
    pairs = [pair("none", sc=0.0), pair("half", sc=0.5), pair("all", sc=1.0)]
    seen: Counter[str] = Counter()
    for seed in range(400):
        seen.update(row.id for row in resampled(pairs, omega=1.0, seed=seed))
    assert seen["none"] == 400
    assert seen["all"] == 800
    assert seen["half"] / 400 == pytest.approx(1.5, abs=0.1)
    assert resampled(pairs, omega=1.0, seed=1) == resampled(pairs, omega=1.0, seed=1)
