"""Events: what a listener hears, from when, until when."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cove.engine.events.eventlog import HOUR, Bounds, EventLog
from cove.engine.events.events import QUEUED, Events
from cove.store import Database
from cove.wire.events import Event

SECOND = 1_000_000_000
KEPT = 1000
FEW = Bounds(rows=KEPT)


def everything(event: Event) -> bool:
    return True


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    """Runs bodies one after the other, each with the events of a daemon of its own on the same database."""

    def run(*bodies: Callable[[Events], Awaitable[None]], bounds: Bounds = FEW) -> None:
        async def main(body: Callable[[Events], Awaitable[None]]) -> None:
            database = Database(tmp_path / "cove.db")
            try:
                events = Events(EventLog(database, bounds))
                await asyncio.wait_for(body(events), 20)
            finally:
                database.close()

        for body in bodies:
            asyncio.run(main(body))

    return run


async def heard(
    events: Events, since: int | None, until: int | None, matches: Callable[[Event], bool] = everything
) -> list[str]:
    return [event.action async for event in events.listen(since, until, matches)]


async def listening(events: Events, count: int = 1) -> list[asyncio.Task[list[str]]]:
    tasks = [asyncio.create_task(heard(events, None, None)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


def numbers(count: int, first: int = 0) -> list[str]:
    return [str(number) for number in range(first, count)]


def test_an_event_says_what_happened_to_whom(run: Callable[..., None]) -> None:
    async def body(events: Events) -> None:
        before = time.time_ns()
        attributes = {"exitCode": "1"}
        events.publish("container", "die", "c0ffee", attributes)
        attributes["exitCode"] = "2"
        [event] = [event async for event in events.listen(0, time.time_ns(), everything)]
        assert (event.type, event.action, event.actor.id, event.scope) == ("container", "die", "c0ffee", "local")
        assert event.actor.attributes == {"exitCode": "1"}
        assert before <= event.time_nano <= time.time_ns() and event.time == event.time_nano // SECOND

    run(body)


def test_every_listener_hears_everything_and_the_close_ends_it(run: Callable[..., None]) -> None:
    async def body(events: Events) -> None:
        tasks = await listening(events, 50)
        for number in range(500):
            events.publish("container", str(number), "id")
        events.close()
        for task in tasks:
            assert await task == numbers(500)

    run(body)


def test_a_slow_listener_holds_little_in_memory_and_catches_up_from_the_log(run: Callable[..., None]) -> None:
    async def body(events: Events) -> None:
        [task] = await listening(events)
        slow = events.listen(None, None, everything)
        for number in range(3 * QUEUED):
            events.publish("container", str(number), "id")
        assert len(slow._queue) <= QUEUED
        first = await anext(slow)
        events.publish("container", "last", "id")
        events.close()
        assert [first.action, *[event.action async for event in slow]] == [*numbers(3 * QUEUED), "last"]
        assert await task == [*numbers(3 * QUEUED), "last"]

    run(body, bounds=Bounds(rows=4 * QUEUED))


def test_one_that_is_slower_than_the_log_is_long_is_cut_off(run: Callable[..., None]) -> None:
    async def body(events: Events) -> None:
        slow = events.listen(None, None, everything)
        for number in range(3 * QUEUED):
            events.publish("container", str(number), "id")
        assert [event.action async for event in slow] == []

    run(body, bounds=Bounds(rows=16))


def test_what_was_published_is_there_for_the_next_daemon(run: Callable[..., None]) -> None:
    async def before(events: Events) -> None:
        for number in range(3):
            events.publish("container", str(number), "id", {"n": str(number)})

    async def after(events: Events) -> None:
        events.publish("container", "3", "id")
        replayed = [event async for event in events.listen(0, time.time_ns(), everything)]
        assert [event.action for event in replayed] == numbers(4)
        assert replayed[1].actor.attributes == {"n": "1"} and replayed[1].origin == ""

    run(before, after)


def test_old_events_are_not_shown_and_go(run: Callable[..., None], tmp_path: Path) -> None:
    async def body(events: Events) -> None:
        events.publish("container", "old", "id")
        await heard(events, 0, time.time_ns())

    async def later(events: Events) -> None:
        events.publish("container", "new", "id")
        assert await heard(events, 0, time.time_ns()) == ["new"]

    run(body)
    with sqlite3.connect(tmp_path / "cove.db") as connection:
        connection.execute("UPDATE events SET time = ?", (time.time_ns() - 3 * HOUR,))
    connection.close()
    run(later, bounds=Bounds(rows=KEPT, hours=2))
    with sqlite3.connect(tmp_path / "cove.db") as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)
    connection.close()


def test_a_listener_without_since_hears_only_what_comes(run: Callable[..., None]) -> None:
    async def body(events: Events) -> None:
        events.publish("container", "before", "id")
        [task] = await listening(events)
        events.publish("container", "after", "id")
        events.close()
        assert await task == ["after"]

    run(body)


def test_since_and_until_bound_what_is_replayed(run: Callable[..., None]) -> None:
    async def body(events: Events) -> None:
        moments = []
        for name in "abcd":
            moments.append(time.time_ns())
            events.publish("container", name, "id")
            while time.time_ns() <= moments[-1]:
                pass
        after = time.time_ns()
        assert await heard(events, moments[1], after) == ["b", "c", "d"]
        assert await heard(events, 1, moments[2] - 1) == ["a", "b"]
        assert await heard(events, after + 1, after) == []

    run(body)


def test_an_until_to_come_ends_the_stream_by_itself(run: Callable[..., None]) -> None:
    async def body(events: Events) -> None:
        begun = time.time_ns()
        task = asyncio.create_task(heard(events, 1, begun + SECOND // 10))
        await asyncio.sleep(0)
        events.publish("container", "in time", "id")
        assert await task == ["in time"]
        assert time.time_ns() >= begun + SECOND // 10

    run(body)


def test_nothing_is_lost_or_repeated_between_the_replay_and_what_comes(run: Callable[..., None]) -> None:
    async def body(events: Events) -> None:
        for number in range(5):
            events.publish("container", str(number), "id")
        seen = []
        async for event in events.listen(1, None, everything):
            seen.append(event.action)
            if len(seen) <= 5:
                events.publish("container", str(4 + len(seen)), "id")
            if len(seen) == 10:
                break
        assert seen == [str(number) for number in range(10)]

    run(body)


def test_only_what_matches_is_heard(run: Callable[..., None]) -> None:
    async def body(events: Events) -> None:
        def wanted(event: Event) -> bool:
            return event.type == "image"

        events.publish("container", "no", "id")
        events.publish("image", "replayed", "id")
        task = asyncio.create_task(heard(events, 1, None, wanted))
        await asyncio.sleep(0)
        events.publish("volume", "no", "id")
        events.publish("image", "live", "id")
        events.close()
        assert await task == ["replayed", "live"]

    run(body)


def test_the_oldest_are_forgotten_first(run: Callable[..., None]) -> None:
    async def body(events: Events) -> None:
        for number in range(KEPT + 5):
            events.publish("container", str(number), "id")
        assert await heard(events, 1, time.time_ns()) == [str(number) for number in range(5, KEPT + 5)]

    run(body)


def test_a_listener_that_leaves_costs_nothing(run: Callable[..., None]) -> None:
    async def body(events: Events) -> None:
        for task in await listening(events, 10):
            task.cancel()
        await asyncio.sleep(0)
        events.publish("container", "x", "id")
        events.close()
        assert await heard(events, 1, time.time_ns()) == ["x"]

    run(body)
