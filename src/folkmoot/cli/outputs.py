"""What a verb checks of a path before it writes there, so that bad usage costs no work and no file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

JSONL_ENDINGS = ("", ".json", ".jsonl", ".ndjson")

Named = str | Path | None


def check_output(
    out: str | Path,
    *,
    option: str = "--out",
    inputs: Mapping[str, Named | Iterable[Named]] = {},
    folder: bool = False,
) -> None:
    """Nothing, where `out` can be written and is none of the inputs. A file of an earlier start may stand there.

    Links are followed; an address, such as `s3://bucket/posts.jsonl`, is left alone.

    Args:
        inputs: option -> what it names. A word such as `world` may name something shipped, so only a text with an
            ending or a slash counts as a path.
        folder: whether a folder is written rather than a file.

    Raises:
        BadInput: it is an input, a folder in place of a file or a file in place of a folder, or may not be written.
    """
    from folkmoot.records import BadInput

    if "://" in str(out):
        return
    path = Path(out)
    try:
        _check_place(path, option, folder=folder)
        for name, given in inputs.items():
            for one in [given] if given is None or isinstance(given, str | Path) else given:
                if one is not None and _is_path(one) and path.exists() and Path(one).exists() and path.samefile(one):
                    raise BadInput(
                        f"{option} and {name} name the same {'folder' if path.is_dir() else 'file'}; {path} would be "
                        f"overwritten, so give {option} another name"
                    )
    except (OSError, ValueError) as error:
        raise BadInput(f"{option}: the path cannot be used ({getattr(error, 'strerror', None) or error})") from None


def check_verdicts(out: str | Path, run: Path) -> None:
    """Nothing, where one process may write verdicts to `out`: JSONL by its name, and no stranger's file.

    Args:
        run: the run folder. Where it is there, `out` is its own.

    Raises:
        BadInput: the name promises another format, or a file that holds no verdicts stands there.
    """
    from folkmoot.records import BadInput

    if "://" in str(out):
        raise BadInput(f"--out {out}: one process writes a file on this machine; for an address give --on ray")
    path = Path(out)
    if path.suffix.lower() not in JSONL_ENDINGS:
        raise BadInput(
            f"--out {path}: one process writes JSONL, so its name ends in .jsonl, .json, .ndjson or nothing, not in "
            f"'{path.suffix}'. Parquet is written by --on ray --format parquet"
        )
    if path.absolute() == run.absolute():
        raise BadInput(f"--out and --run name the same path, {path}; the verdicts are a file and the run is a folder")
    if not run.exists() and path.is_file() and path.stat().st_size and not _starts_with_a_verdict(path):
        raise BadInput(
            f"--out {path}: a file that holds no verdicts stands there and would be lost; move it, or name another"
        )


def check_own(out: Path, run: Path) -> None:
    """Nothing, where a page may be written to `out`: it is no other file of the run that it tells of.

    Raises:
        BadInput: it would replace what the run needs.
    """
    from folkmoot.records import BadInput

    if out.suffix != ".html" and out.exists() and run.resolve() in out.resolve().parents:
        raise BadInput(f"--out {out}: the run has written that file and needs it; name a page, such as report.html")


def _check_place(path: Path, option: str, *, folder: bool) -> None:
    from folkmoot.records import BadInput

    if path.exists():
        if folder and not path.is_dir():
            raise BadInput(f"{option} {path} is a file; name a folder")
        if not folder and path.is_dir():
            raise BadInput(f"{option} {path} is a folder; name a file, in it or elsewhere")
        if not folder and not path.is_file():
            raise BadInput(f"{option} {path} is a device or a pipe; name a file")
    whole = path.absolute()
    place = next(one for one in ([whole] if folder else []) + list(whole.parents) if one.exists())
    if not place.is_dir():
        raise BadInput(f"{option} {path}: {place} is a file, so nothing can be written below it; name another path")
    if not os.access(place, os.W_OK | os.X_OK):
        raise BadInput(f"{option} {path}: there is no permission to write in {place}; name another path")


def _is_path(named: str | Path) -> bool:
    return isinstance(named, Path) or bool(Path(named).suffix) or "/" in named or os.sep in named


def _starts_with_a_verdict(path: Path) -> bool:
    import json

    from folkmoot.formats.lines import LINE_LIMIT_BYTES

    with path.open("rb") as file:
        line = file.readline(LINE_LIMIT_BYTES)
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and {"outcome", "judge"} <= first.keys()
