"""`run.toml`: what a run is made of, so that resuming it never mixes two experiments."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from folkmoot.records import BadInput, BadRecord, RunMismatch

PACKAGES = (
    "folkmoot", "aiohttp", "jinja2", "numpy", "pydantic", "onnxruntime", "pyarrow", "ray", "scikit-learn", "scipy",
    "tokenizers", "torch", "transformers", "xllamacpp",
)  # fmt: skip
"""The packages whose versions can change a result."""

HEADER = "# What this run is made of. Written by folkmoot; a resumed run must match it.\n"


def make_manifest(configuration: Mapping[str, Any], inputs: Mapping[str, Path]) -> dict[str, Any]:
    """The manifest of a new run: its configuration as plain TOML values, its inputs' hashes, package versions.

    A `None` is left out, since TOML has no word for it. Seeds are part of the configuration. Never pass a secret.

    Raises:
        BadInput: an input is missing, or a value has no form in TOML.
    """
    return {
        "configuration": _plain(configuration, ""),
        "inputs": {name: {"path": str(path), "sha256": input_hash(path, name)} for name, path in inputs.items()},
        "packages": installed_versions(),
    }


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest that `manifest_text` wrote.

    Raises:
        BadRecord: the file is not TOML.
    """
    try:
        manifest = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRecord(path, None, None, f"not a run's manifest ({error}).", "Give the run another folder.") from error
    return {"configuration": {}, "inputs": {}, "packages": {}} | manifest


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """The manifest as TOML, equal manifests as equal bytes."""
    return HEADER + "\n".join(_tables(manifest, ())) + "\n"


def check_same_run(held: Mapping[str, Any], wanted: Mapping[str, Any], folder: Path) -> None:
    """Nothing, where both manifests have the same configuration and the same content of inputs.

    Package versions and the inputs' paths may differ.

    Raises:
        RunMismatch: names the first key that differs.
    """
    before = dict(_leaves(held["configuration"], ())) | _input_hashes(held)
    now = dict(_leaves(wanted["configuration"], ())) | _input_hashes(wanted)
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise RunMismatch(
                f"Resuming the run in {folder}: '{'.'.join(key)}' differs. The folder was made with "
                f"{before.get(key, 'no value')}, this command gives {now.get(key, 'no value')}. Give this command "
                "another folder, or the value that the folder was made with."
            )


def with_versions(held: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
    """The manifest with these package versions added where they differ: a list then names each that had a part."""
    packages: dict[str, Any] = dict(held["packages"])
    for name, number in versions.items():
        seen = packages.get(name, [])
        seen = [seen] if isinstance(seen, str) else list(seen)
        if number not in seen:
            packages[name] = [*seen, number] if seen else number
    return {**held, "packages": packages}


def installed_versions() -> dict[str, str]:
    """The version of each installed package that can change a result."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def input_hash(path: Path, name: str) -> str:
    """The SHA-256 of a file's bytes; of a folder, that of its files' relative paths and hashes.

    Raises:
        BadInput: there is nothing to read at `path`.
    """
    try:
        if not path.is_dir():
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        listing = hashlib.sha256()
        for member in sorted(p for p in path.rglob("*") if p.is_file()):
            listing.update(f"{member.relative_to(path).as_posix()}\0{input_hash(member, name)}\n".encode())
        return listing.hexdigest()
    except OSError as error:
        raise BadInput(f"Reading the input '{name}' at {path}: {error.strerror}. Check the path.") from error


def _plain(value: Any, where: str) -> Any:
    match value:
        case Mapping():
            return {str(k): _plain(v, f"{where}.{k}".lstrip(".")) for k, v in value.items() if v is not None}
        case list() | tuple() | set() | frozenset():
            members = sorted(value, key=str) if isinstance(value, set | frozenset) else value
            return [_plain(member, where) for member in members]
        case Enum():
            return _plain(value.value, where)
        case Path():
            return str(value)
        case bool() | int() | float() | str():
            return value
        case _ if hasattr(value, "model_dump"):
            return _plain(value.model_dump(mode="json"), where)
    kind = "None" if value is None else f"a {type(value).__name__}"
    raise BadInput(
        f"Writing the run's configuration: '{where}' is {kind} in a place where TOML takes text, a number, true or "
        "false, a list or a table."
    )


def _leaves(value: Any, key: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every value that is not a table, as TOML text: so 1 and 1.0 differ, and nan equals nan."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _leaves(member, (*key, name))
    else:
        yield key, _toml_value(value)


def _input_hashes(manifest: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
    return {("inputs", name, "sha256"): entry["sha256"] for name, entry in manifest["inputs"].items()}


def _tables(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    values = {name: value for name, value in table.items() if not isinstance(value, dict)}
    if path and (values or not table):
        yield f"\n[{'.'.join(map(_toml_key, path))}]"
    for name, value in values.items():
        yield f"{_toml_key(name)} = {_toml_value(value)}"
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _tables(value, (*path, name))


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml_value(name)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(name)} = {_toml_value(member)}" for name, member in value.items()) + "}"
    if isinstance(value, str):
        # JSON escapes what TOML does, but for DEL; a lone surrogate has no form in UTF-8.
        return json.dumps(value.encode("utf-8", "replace").decode(), ensure_ascii=False).replace("\x7f", "\\u007F")
    return repr(value)
