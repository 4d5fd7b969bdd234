"""Posts: what is read is what was written, and a bad row is named by file, line and field."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from folkmoot.formats import iter_posts, load_task, read_posts, write_posts
from folkmoot.formats.lines import LINE_LIMIT_BYTES
from folkmoot.records import BadInput, BadRecord, Media, Post, StorageFailed

KINDS = ["jsonl", "jsonl.gz", "ndjson", "parquet", "csv", "csv.gz", "tsv"]


def file_of(folder: Path, *lines: str | bytes, name: str = "posts.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines))
    return path


def problem(path: Path, **options: object) -> BadRecord:
    with pytest.raises(BadRecord) as caught:
        read_posts(path, **options)  # type: ignore[arg-type]
    assert str(path) in str(caught.value)
    assert caught.value.__cause__ is None, "a cause could carry the post's text into a traceback"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | words, lambda v: st.lists(v, max_size=2), max_leaves=3
)
some_posts = st.lists(
    st.builds(
        Post,
        id=names,
        text=words,
        media=st.lists(
            st.builds(
                Media,
                path=st.sampled_from(["/pictures/a.png", "/b c.jpg", "https://example.org/d.png"]),
                type=st.sampled_from(["image", "video", "audio"]),
                sha256=st.none() | st.just("ab" * 32),
            ),
            max_size=2,
        ).map(tuple),
        label=st.none() | names,
        attribution=st.lists(names, max_size=2).map(tuple),
        split=st.none() | names,
        meta=st.dictionaries(names, values, max_size=2),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda post: post.id,
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posts=some_posts)
def test_posts_come_back_as_they_were_written(tmp_path: Path, kind: str, posts: list[Post]) -> None:
    path = tmp_path / f"posts.{kind}"
    write_posts(posts, path)
    assert read_posts(path) == posts


def test_writing_the_same_posts_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_posts([Post(id="p1", text="a calm evening")], tmp_path / name)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


def test_media_paths_are_relative_in_the_file_and_absolute_in_memory(tmp_path: Path) -> None:
    picture = tmp_path / "pictures" / "cat.png"
    path = tmp_path / "sets" / "posts.jsonl"
    write_posts([Post(id="p1", media=(Media(path=str(picture)),))], path)
    assert json.loads(path.read_text())["media"] == [{"path": "../pictures/cat.png", "type": "image"}]
    assert read_posts(path)[0].media[0].path == str(picture)


def test_a_medium_may_be_a_bare_path_whose_ending_tells_the_type(tmp_path: Path) -> None:
    path = file_of(tmp_path, '{"id":"p1","media":["a.mp4","b.PNG",{"path":"c.wav"},"https://example.org/d"]}')
    media = read_posts(path)[0].media
    assert [one.type for one in media] == ["video", "image", "audio", "image"]
    assert media[0].path == str(tmp_path / "a.mp4")
    assert media[3].path == "https://example.org/d"


def test_integer_ids_and_labels_are_text_and_null_is_absent(tmp_path: Path) -> None:
    path = file_of(tmp_path, '{"id":7,"text":null,"label":1,"media":null,"meta":null}')
    assert read_posts(path) == [Post(id="7", label="1")]


def test_unknown_fields_are_kept_where_no_judge_sees_them(tmp_path: Path) -> None:
    path = file_of(tmp_path, '{"id":"p1","text":"hello","shares":3,"meta":{"gold":true}}')
    (post,) = read_posts(path)
    assert post.meta == {"shares": 3, "gold": True}
    assert post.blind().meta == {}


def test_a_missing_picture_is_named_when_media_are_checked(tmp_path: Path) -> None:
    path = file_of(tmp_path, '{"id":"p1","media":[{"path":"gone.png"}]}')
    assert read_posts(path)[0].media[0].path.endswith("gone.png")
    error = problem(path, media="check")
    assert (error.line, error.field) == (1, "media.0.path")
    assert "gone.png" in str(error)
    (tmp_path / "gone.png").write_bytes(b"")
    assert len(read_posts(path, media="check")) == 1


def test_an_address_is_not_looked_for_on_the_disk(tmp_path: Path) -> None:
    path = file_of(tmp_path, '{"id":"p1","media":["https://example.org/a.png"]}')
    assert len(read_posts(path, media="check")) == 1


@pytest.mark.parametrize(
    ("line", "field", "says"),
    [
        ("[1]", None, "a JSON list arrived; an object is accepted"),
        ('{"id":"p2","text":"secret words"', None, "not valid JSON"),
        ('{"id":"p2","meta":{"score":NaN}}', None, "NaN is not a JSON number"),
        ('{"text":"secret words"}', "id", "no id arrived"),
        ('{"id":"","text":"secret words"}', "id", "at least 1 character"),
        ('{"id":true}', "id", "valid string"),
        ('{"id":"p1","text":"secret words"}', "id", "'p1' stands on line 1 already"),
        ('{"id":"p2","text":["secret words"]}', "text", "a list arrived"),
        ('{"id":"p2","lable":"ok"}', "lable", "did you mean 'label'?"),
        ('{"id":"p2","label":"offensiv"}', "label", "Did you mean 'offensive'? Accepted: offensive, ok."),
        ('{"id":"p2","label":"secret words that are far too long to be a label"}', "label", "a str of 48 characters"),
        ('{"id":"p2","media":[{"type":"image"}]}', "media.path", "no path arrived"),
        ('{"id":"p2","media":[{"path":"a","type":"film"}]}', "media.type", "'film' arrived"),
        ('{"id":"p2","media":[{"path":"a","typ":"film"}]}', "media.typ", "Did you mean 'type'?"),
        ('{"id":"p2","media":3}', "media", "a list is accepted"),
        ('{"id":"p2","meta":"secret words"}', "meta", "a JSON object is accepted"),
        ('{"id":"p2","attribution":"[secret words]"}', "attribution", "a JSON list is accepted"),
        ('{"id":"p2","label":"secret words"}', "label", "a str of 12 characters is not a label"),
        ('{"id":"p2","text":"\\ud83d secret words"}', None, "surrogate"),
        (b'{"id":"p2","text":"secret words \xff"}', None, "byte 33 of the line is not valid UTF-8"),
        ('{"id":"p2","meta":' + "[" * 100_000 + "]" * 100_000 + "}", None, "nested too deeply"),
    ],
)
def test_a_bad_row_is_named_by_line_and_field_without_its_text(
    tmp_path: Path, line: str | bytes, field: str | None, says: str
) -> None:
    path = file_of(tmp_path, '{"id":"p1","text":"hello","label":"ok"}', "", line)
    error = problem(path, task=load_task("offensive"))
    assert error.line == 3
    assert error.field == field
    assert says in str(error)
    assert "secret words" not in str(error)


def test_rows_before_a_bad_one_are_yielded_first(tmp_path: Path) -> None:
    posts = iter_posts(file_of(tmp_path, '{"id":"p1"}', "{"))
    assert next(posts).id == "p1"
    with pytest.raises(BadRecord):
        next(posts)


@pytest.mark.parametrize("name", ["posts.jsonl", "posts.csv"])
def test_a_ten_megabyte_line_is_refused_and_one_of_eight_is_not(tmp_path: Path, name: str) -> None:
    error = problem(file_of(tmp_path, "x" * 10_000_000, name=name))
    assert error.line == 1
    assert "longer than 8 MiB" in str(error)
    row = '{"id":"p1","text":""}'
    full = row[:-2] + "x" * (LINE_LIMIT_BYTES - len(row) - 1) + row[-2:]
    assert len(read_posts(file_of(tmp_path, full))) == 1


@pytest.mark.parametrize(("name", "content"), [("a.jsonl", b""), ("a.jsonl", b"\n \n"), ("a.csv", b"id,text\n")])
def test_a_file_without_a_row_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert problem(path).exit_code == 2


def test_a_missing_file_a_folder_and_an_unknown_ending_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        read_posts(tmp_path / "posts.jsonl")
    with pytest.raises(BadInput, match="no such file"):
        read_posts(tmp_path / "posts.parquet")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(BadInput, match="it is a folder"):
        read_posts(tmp_path / "folder.jsonl")
    with pytest.raises(BadInput, match=r"Accepted: \.jsonl"):
        iter_posts(tmp_path / "posts.xlsx")


def test_a_cut_gzip_stream_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(b'{"id":%d}\n' % number for number in range(100)))[:-12])
    with pytest.raises(BadRecord, match="gzip stream is damaged"):
        list(read_posts(path))
    path.write_bytes(b'{"id":"p1"}\n')
    with pytest.raises(BadRecord, match="gzip stream is damaged"):
        list(read_posts(path))


def test_a_separator_inside_a_text_does_not_cut_the_line(tmp_path: Path) -> None:
    path = file_of(tmp_path, '\ufeff{"id":"p1","text":"one\u2028two\x85three"}')
    assert read_posts(path)[0].text == "one\u2028two\x85three"


def test_a_column_map_names_the_columns_of_a_foreign_csv(tmp_path: Path) -> None:
    path = file_of(tmp_path, "nr,tweet,class,likes", '1,"good, warm\nsoup",ok,5', "2,,,", name="theirs.csv")
    posts = read_posts(path, columns={"id": "nr", "text": "tweet", "label": "class"})
    assert posts == [
        Post(id="1", text="good, warm\nsoup", label="ok", meta={"likes": "5"}),
        Post(id="2"),
    ]


def test_a_column_map_may_number_the_rows(tmp_path: Path) -> None:
    path = file_of(tmp_path, "text", "one", "two", name="theirs.csv")
    assert [post.id for post in read_posts(path, columns={"id": "#"})] == ["1", "2"]


def test_a_column_map_works_on_jsonl_and_frees_the_original_name(tmp_path: Path) -> None:
    path = file_of(tmp_path, '{"key":"a","body":"hello","image":"x.png","text":"an alt text"}')
    (post,) = read_posts(path, columns={"id": "key", "text": "body", "media": "image"})
    assert post.text == "hello"
    assert post.media[0].path == str(tmp_path / "x.png")
    assert post.meta == {"text": "an alt text"}


def test_a_csv_without_a_header_does_not_show_its_first_post(tmp_path: Path) -> None:
    path = file_of(tmp_path, "1,secret words that somebody wrote", "2,hello", name="theirs.csv")
    error = problem(path, columns={"text": "tweet"})
    assert "secret words" not in str(error)


def test_a_column_map_with_a_slip_is_refused(tmp_path: Path) -> None:
    path = file_of(tmp_path, "id,tweet", "1,hello", name="theirs.csv")
    with pytest.raises(BadInput, match="Did you mean 'text'"):
        iter_posts(path, columns={"txt": "tweet"})
    error = problem(path, columns={"text": "twet"})
    assert "Did you mean 'tweet'?" in str(error)
    assert error.field == "twet"


@pytest.mark.parametrize(
    ("lines", "line", "says"),
    [
        (["id,text", "1,a", "2,b,c"], 3, "3 cells arrived; the header has 2 columns"),
        (["id,text,text", "1,a,b"], 1, "names the column twice"),
        (["id,text", '1,"never closed', "2,b"], 3, "not valid CSV"),
        (["id,text", "1,a", "1,b"], 3, "'1' stands on line 2 already"),
        (["text", "a"], 2, "no id arrived"),
    ],
)
def test_a_bad_csv_is_named_by_its_line(tmp_path: Path, lines: list[str], line: int, says: str) -> None:
    error = problem(file_of(tmp_path, *lines, name="posts.csv"))
    assert error.line == line
    assert says in str(error)


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="as Parquet"):
        read_posts(file_of(tmp_path, "hello", name="posts.parquet"))


def test_pyarrow_reads_what_datasets_would_read_with_one_schema(tmp_path: Path) -> None:
    arrow_json = pytest.importorskip("pyarrow.json")
    posts = [Post(id="p1", text="hello"), Post(id="p2", text="bye", label="ok", meta={"shares": 3})]
    write_posts(posts, tmp_path / "posts.jsonl")
    for line in (tmp_path / "posts.jsonl").read_text().splitlines():
        assert list(json.loads(line)) == ["id", "text", "label", "meta"]
    table = arrow_json.read_json(tmp_path / "posts.jsonl")
    assert table.column("label").to_pylist() == [None, "ok"]


@pytest.mark.parametrize("kind", ["json:jsonl", "json:jsonl.gz", "parquet:parquet", "csv:csv"])
def test_datasets_loads_what_was_written(tmp_path: Path, kind: str) -> None:
    datasets = pytest.importorskip("datasets")
    builder, ending = kind.split(":")
    path = tmp_path / f"posts.{ending}"
    write_posts([Post(id="p1", text="hello", media=(Media(path="/a.png"),)), Post(id="p2", label="ok")], path)
    loaded = datasets.load_dataset(builder, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["id"][:] == ["p1", "p2"]
    assert loaded["label"][:] == [None, "ok"]


def test_two_posts_with_one_id_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="two posts have the id 'p1'"):
        write_posts([Post(id="p1"), Post(id="p1")], tmp_path / "posts.jsonl")


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"posts.{ending}"
    write_posts([Post(id="p1")], path)
    before = path.read_bytes()
    with pytest.raises(BadInput, match="NaN"):
        write_posts([Post(id="p2", meta={"score": float("nan")})], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_a_storage_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("folkmoot.formats.replacing.os.fsync", full)
    with pytest.raises(StorageFailed, match="the disk is full"):
        write_posts([Post(id="p1")], tmp_path / "posts.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["theirs.csv", "theirs.tsv", "theirs.parquet"])
def test_a_table_without_a_column_of_content_names_the_columns_there_are(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pytest.importorskip("pyarrow").table({"id": ["1"], "tweet": ["hello there"]}), path)
    else:
        path.write_text("id,tweet\n1,hello there\n".replace(",", "\t" if path.suffix == ".tsv" else ","))
    error = problem(path)
    assert error.field == "text"
    assert "there are id, tweet" in str(error)
    assert "--column text=tweet" in str(error)
    assert "hello" not in str(error)
    assert "--column text=tweet" in str(problem(path, columns={"id": "#"}))
    assert read_posts(path, columns={"text": "tweet"})[0].text == "hello there"
    assert read_posts(path, needs_content=False) == [Post(id="1", meta={"tweet": "hello there"})]


def test_a_table_of_labels_alone_has_nothing_that_could_be_a_text(tmp_path: Path) -> None:
    assert read_posts(file_of(tmp_path, "id,label", "1,ok", name="gold.csv")) == [Post(id="1", label="ok")]
