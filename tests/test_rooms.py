"""Imports point downward only: the room table of the design, held over the syntax tree."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "folkmoot"

MAY_IMPORT: dict[str, set[str]] = {
    "records": set(),
    "formats": {"records"},
    "runs": {"records", "formats"},
    "models": {"records", "runs"},
    "perception": {"records", "runs", "models"},
    "evidence": {"records", "runs", "models"},
    "panels": {"records", "formats", "runs", "models", "perception", "evidence"},
    "students": {"records", "models", "perception"},
    "evaluation": {"records", "runs"},
    "supervision": {"records", "formats", "models", "evaluation"},
    "training": {"records", "runs", "models", "evaluation", "supervision", "students"},
    "recipes": {
        "records", "formats", "runs", "models", "perception", "evidence", "panels", "students", "evaluation",
        "supervision", "training",
    },
}  # fmt: skip
MAY_IMPORT["cli"] = MAY_IMPORT["recipes"] | {"recipes"}

WITHOUT_TORCH = {"records", "formats", "runs", "panels", "evaluation"}
HEAVY = {"torch", "transformers", "xllamacpp", "onnxruntime", "onnx", "ray", "scipy", "matplotlib", "sklearn",
         "pyarrow", "fsspec", "safetensors", "tokenizers", "peft", "accelerate", "gguf", "PIL", "av", "cv2", "rapidocr",
         "faster_whisper", "c2pa", "pdqhash", "scenedetect", "bm25s", "pypdf", "trafilatura"}  # fmt: skip


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def imports(tree: ast.AST) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that this test can read them"
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def top_level_imports(tree: ast.Module) -> set[str]:
    outside = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    return {name.split(".")[0] for node in outside for name, _ in imports(node)}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_imports_only_rooms_below_its_own(path: Path) -> None:
    parts = path.relative_to(SOURCE).parts
    if len(parts) == 1:
        return
    room = parts[0]
    assert room in MAY_IMPORT, f"{room} is not a room of the design"
    for name, line in imports(ast.parse(path.read_text())):
        if name.split(".")[0] != "folkmoot" or name == "folkmoot.__version__":
            continue
        other = name.split(".")[1]
        assert other == room or other in MAY_IMPORT[room], f"{path}:{line}: {room} may not import {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_heavy_dependency_is_imported_only_where_it_is_used(path: Path) -> None:
    parts = path.relative_to(SOURCE).parts
    tree = ast.parse(path.read_text())
    if len(parts) > 1 and parts[0] in WITHOUT_TORCH:
        assert not {n.split(".")[0] for n, _ in imports(tree)} & {"torch", "transformers"}, f"{path} imports torch"
    if len(parts) > 1 and parts[0] == "training":
        return  # the room behind the 'train' extra
    if path.parent == SOURCE / "students" and path.name in ("network.py", "branching.py", "prompting.py"):
        return  # the networks themselves, imported only where torch is wanted
    assert not top_level_imports(tree) & HEAVY, f"{path} imports a heavy dependency at the top level"
