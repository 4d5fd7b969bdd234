import errno
import os
from pathlib import Path

import pytest

from folkmoot.records import StorageFailed
from folkmoot.runs import atomic_file, write_atomically
from folkmoot.runs.atomic import atomic_folder


def test_the_file_holds_exactly_the_content(tmp_path: Path) -> None:
    path = tmp_path / "new" / "metrics.json"
    write_atomically(path, "wärm\n")
    assert path.read_bytes() == "wärm\n".encode()
    write_atomically(path, b"\x00")
    assert path.read_bytes() == b"\x00"
    assert [p.name for p in path.parent.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch, step: str) -> None:
    path = tmp_path / "metrics.json"
    write_atomically(path, "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*((os, "fsync", full) if step == "fsync" else (Path, "replace", full)))
    with pytest.raises(StorageFailed, match=r"metrics\.json failed: No space left on device.*free some space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    write_atomically(path, "old")
    with pytest.raises(TypeError), atomic_file(path) as file:
        file.writelines([b"half", None])
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["verdicts.jsonl"]


def test_a_folder_that_another_process_was_quicker_with_stays(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "weights", replace=False) as draft:
        (draft / "one").write_text("ours")
        (tmp_path / "weights").mkdir()
        (tmp_path / "weights" / "one").write_text("theirs")
    assert (tmp_path / "weights" / "one").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]
