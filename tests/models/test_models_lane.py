"""The lane: one waiting task a turn of the loop, in order, whoever gives up meanwhile."""

from __future__ import annotations

import asyncio

from folkmoot.models.lane import Lane


def test_tasks_are_let_on_one_a_turn_in_the_order_they_came() -> None:
    async def run() -> list[tuple[str, int]]:
        lane, seen, turn = Lane(), [], 0

        async def pass_through(name: str) -> None:
            await lane.wait()
            seen.append((name, turn))

        tasks = [asyncio.create_task(pass_through(name)) for name in "abc"]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            turn += 1
        return seen

    seen = asyncio.run(run())
    assert [name for name, _ in seen] == ["a", "b", "c"]
    turns = [turn for _, turn in seen]
    assert turns == sorted(set(turns)), "two were let on in one turn"


def test_what_the_loop_has_to_do_comes_between_two_tasks() -> None:
    async def run() -> list[str]:
        lane, seen = Lane(), []

        async def pass_through(name: str) -> None:
            await lane.wait()
            seen.append(name)
            asyncio.get_running_loop().call_soon(seen.append, f"after {name}")

        await asyncio.gather(*(pass_through(name) for name in "ab"))
        await asyncio.sleep(0)
        return seen

    assert asyncio.run(run()) == ["a", "after a", "b", "after b"]


def test_a_task_that_is_cancelled_while_it_waits_holds_up_nobody() -> None:
    async def run() -> list[str]:
        lane, seen = Lane(), []

        async def pass_through(name: str) -> None:
            await lane.wait()
            seen.append(name)

        tasks = [asyncio.create_task(pass_through(name)) for name in "abc"]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[1].cancel()
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), timeout=60)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, True, False]
        await asyncio.wait_for(lane.wait(), timeout=60)  # and the lane is open afterwards
        return seen

    assert asyncio.run(run()) == ["c"]


def test_an_empty_lane_lets_on_at_the_next_turn_and_can_be_used_again() -> None:
    async def run() -> None:
        lane = Lane()
        for _ in range(3):
            await asyncio.wait_for(lane.wait(), timeout=60)

    asyncio.run(run())


def test_a_lane_goes_on_in_another_loop_once_it_is_empty() -> None:
    lane = Lane()
    for _ in range(2):
        asyncio.run(asyncio.wait_for(lane.wait(), timeout=60))
