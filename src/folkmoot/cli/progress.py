"""Progress for people: a line that renews itself on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from folkmoot.runs import Progress

PLAIN_SECONDS = 10.0


class ProgressLine:
    """Told of progress, it says how many posts are judged, how fast, at what cost, and how long it still takes."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._is_terminal = sys.stderr.isatty()
        self._last = time.monotonic()
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown and self._is_terminal:
            sys.stderr.write("\n")

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if self.quiet or (not self._is_terminal and now - self._last < PLAIN_SECONDS):
            return
        self._last, self._shown = now, True
        text = words(progress)
        sys.stderr.write(f"\r\x1b[2K{text}" if self._is_terminal else text + "\n")
        sys.stderr.flush()


def words(progress: Progress) -> str:
    """Progress in a line.

    Example:
        >>> from folkmoot.runs import Progress
        >>> words(Progress(posts=10, judged=4, seconds=2, posts_per_second=2, calls=8, cost_usd=0.01, seconds_left=3))
        '4 of 10 posts, 2.0 posts/s, 8 calls, $0.0100, 3 s left'
    """
    done = progress.judged + progress.skipped
    parts = [f"{done} of {progress.posts} posts" if progress.posts is not None else f"{done} posts"]
    parts.append(f"{progress.posts_per_second:.1f} posts/s")
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    if progress.calls:
        parts += [f"{progress.calls} calls", f"${progress.cost_usd:.4f}"]
    if progress.seconds_left is not None:
        parts.append(f"{progress.seconds_left:.0f} s left")
    return ", ".join(parts)
