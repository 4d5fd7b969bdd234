"""A lane in which replies are worked on one at a time, so that work never holds up the calls that may leave."""

from __future__ import annotations

import asyncio
from collections import deque


class Lane:
    """Lets one waiting task on in each turn of the event loop.

    Replies come in bursts. Were all of a burst worked on in one turn, the sockets would be looked at only after the
    last of them, and the endpoint would stand idle meanwhile. With one a turn, arrivals and departures go first.
    """

    def __init__(self) -> None:
        self._queue: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Nothing, once it is this task's turn; first come, first served."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._queue.append(turn)
        if len(self._queue) == 1:
            loop.call_soon(self._let_one_on, loop)
        await turn

    def _let_one_on(self, loop: asyncio.AbstractEventLoop) -> None:
        turn = self._queue.popleft()
        if not turn.done():  # else cancelled while it waited
            turn.set_result(None)
        if self._queue:
            loop.call_soon(self._let_one_on, loop)
