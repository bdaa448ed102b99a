"""Mappings of ids for mounts that show files of one owner as another's; pure."""

from cove.oci.runtime import IdMapping

IDS = (1 << 32) - 1
"""All but the last one, which is none."""


def triples(mappings: list[IdMapping]) -> list[tuple[int, int, int]]:
    """The first id inside, the first one outside, and how many."""
    return [(entry["containerID"], entry["hostID"], entry["size"]) for entry in mappings]


def exchanged(disk: int, shown: int, count: int = 1) -> list[IdMapping]:
    """``count`` ids from ``disk`` on are shown as those from ``shown`` on and the other way round; the rest stay.

    So whoever writes through the mount has an id on the disk. Where the two ranges overlap, only those of ``disk`` are
    shown as others.
    """
    low, high = sorted((disk, shown))
    if low == high:
        return [{"containerID": 0, "hostID": 0, "size": IDS}]
    if low + count > high:
        return [{"containerID": disk, "hostID": shown, "size": count}]
    made = [(0, 0, low), (low, high, count), (low + count, low + count, high - low - count), (high, low, count)]
    made.append((high + count, high + count, IDS - high - count))
    return [{"containerID": first, "hostID": other, "size": size} for first, other, size in made if size > 0]
