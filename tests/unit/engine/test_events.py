"""Events: what a listener hears, from when, until when."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from cove.engine.events import KEPT, Events
from cove.wire.events import Event

SECOND = 1_000_000_000


def everything(event: Event) -> bool:
    return True


def run(body: Callable[[Events], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(body(Events()), 20)

    asyncio.run(main())


async def heard(
    events: Events, since: int | None, until: int | None, matches: Callable[[Event], bool] = everything
) -> list[str]:
    return [event.action async for event in events.stream(since, until, matches)]


async def listening(events: Events, count: int = 1) -> list[asyncio.Task[list[str]]]:
    tasks = [asyncio.create_task(heard(events, None, None)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


def test_an_event_says_what_happened_to_whom() -> None:
    async def body(events: Events) -> None:
        before = time.time_ns()
        attributes = {"exitCode": "1"}
        events.publish("container", "die", "c0ffee", attributes)
        attributes["exitCode"] = "2"
        [event] = [event async for event in events.stream(0, time.time_ns(), everything)]
        assert (event.type, event.action, event.actor.id, event.scope) == ("container", "die", "c0ffee", "local")
        assert event.actor.attributes == {"exitCode": "1"}
        assert before <= event.time_nano <= time.time_ns() and event.time == event.time_nano // SECOND

    run(body)


def test_every_listener_hears_everything_and_the_close_ends_it() -> None:
    async def body(events: Events) -> None:
        tasks = await listening(events, 50)
        for number in range(3 * KEPT):
            events.publish("container", str(number), "id")
        events.close()
        for task in tasks:
            assert await task == [str(number) for number in range(3 * KEPT)]

    run(body)


def test_a_listener_without_since_hears_only_what_comes() -> None:
    async def body(events: Events) -> None:
        events.publish("container", "before", "id")
        [task] = await listening(events)
        events.publish("container", "after", "id")
        events.close()
        assert await task == ["after"]

    run(body)


def test_since_and_until_bound_what_is_replayed() -> None:
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


def test_an_until_to_come_ends_the_stream_by_itself() -> None:
    async def body(events: Events) -> None:
        begun = time.time_ns()
        task = asyncio.create_task(heard(events, 1, begun + SECOND // 10))
        await asyncio.sleep(0)
        events.publish("container", "in time", "id")
        assert await task == ["in time"]
        assert time.time_ns() >= begun + SECOND // 10

    run(body)


def test_nothing_is_lost_or_repeated_between_the_replay_and_what_comes() -> None:
    async def body(events: Events) -> None:
        for number in range(5):
            events.publish("container", str(number), "id")
        seen = []
        async for event in events.stream(1, None, everything):
            seen.append(event.action)
            if len(seen) <= 5:
                events.publish("container", str(4 + len(seen)), "id")
            if len(seen) == 10:
                break
        assert seen == [str(number) for number in range(10)]

    run(body)


def test_only_what_matches_is_heard() -> None:
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


def test_the_oldest_are_forgotten_first() -> None:
    async def body(events: Events) -> None:
        for number in range(KEPT + 5):
            events.publish("container", str(number), "id")
        assert await heard(events, 1, time.time_ns()) == [str(number) for number in range(5, KEPT + 5)]

    run(body)


def test_a_listener_that_leaves_costs_nothing() -> None:
    async def body(events: Events) -> None:
        for task in await listening(events, 10):
            task.cancel()
        await asyncio.sleep(0)
        events.publish("container", "x", "id")
        events.close()
        assert await heard(events, 1, time.time_ns()) == ["x"]

    run(body)
