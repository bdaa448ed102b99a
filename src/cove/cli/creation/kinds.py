"""The values of creation options: text to what the API wants, refusing with Docker's words (ValueError)."""

from __future__ import annotations

import os

from cove.cli.humanize import parse_duration, parse_memory
from cove.flags import LIST, MAP, Kind, parse_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ULIMITS = frozenset(
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()
)
_SYSCTLS = frozenset(
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)
_STREAMS = ("stdin", "stdout", "stderr")
_RATE = (
    "invalid rate for device: {}. The correct format is <device-path>:<number>{}. Number must be a positive integer{}"
)


def _attach(text: str) -> str:
    if text.lower() not in _STREAMS:
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()


def _environment(text: str) -> str:
    name, equals, _ = text.partition("=")
    if not name:
        raise ValueError(f"invalid environment variable: {text}")
    if not equals and name in os.environ:
        return f"{name}={os.environ[name]}"
    return text


def _label(text: str) -> str:
    key = text.partition("=")[0].lstrip(" \t")
    if not key:
        raise ValueError(f"invalid label '{text}': empty name")
    if " " in key or "\t" in key:
        raise ValueError(f"label '{key}' contains whitespaces")
    return text


def _sysctl(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not (key in _SYSCTLS or key.startswith(("net.", "fs.mqueue."))):
        raise ValueError(f"sysctl '{text}' is not allowed")
    return key, value


def _ulimit(text: str) -> dict[str, Any]:
    name, equals, limits = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = limits.split(":")
    if len(parts) > 2:
        raise ValueError(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    numbers = [_whole(part, "ParseInt") for part in parts]
    soft, hard = numbers[0], numbers[-1]
    words = "ulimit soft limit must be less than or equal to hard limit"
    if hard != -1 and soft == -1:
        raise ValueError(f"{words}: soft: -1 (unlimited), hard: {hard}")
    if hard != -1 and soft > hard:
        raise ValueError(f"{words}: {soft} > {hard}")
    return {"Name": name, "Hard": hard, "Soft": soft}


def _whole(text: str, call: str) -> int:
    digits = text[1:] if call == "ParseInt" and text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError(f'strconv.{call}: parsing "{text}": invalid syntax')
    return int(text)


def _host_entry(text: str) -> str:
    """``name:address`` or ``name=address``; what is sent has a colon and no brackets."""
    name, separator, address = text.partition("=")
    if not separator:
        name, separator, address = text.partition(":")
    if not separator or not name or ":" in name:
        raise ValueError(f'bad format for add-host: "{text}"')
    if address != "host-gateway":
        stripped = address[1:-1] if address.startswith("[") and address.endswith("]") else address
        if not is_address(stripped):
            raise ValueError(f'invalid IP address in add-host: "{address}"')
        address = stripped
    return f"{name}:{address}"


def is_address(text: str) -> bool:
    """Whether this is an IPv4 or IPv6 address. (The ipaddress module costs 5 ms to import.)"""
    from _socket import AF_INET, AF_INET6, inet_pton

    for family in (AF_INET, AF_INET6):
        try:
            inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return True
    return False


def _name_server(text: str) -> str:
    if not is_address(text.strip()):
        raise ValueError(f"IP address is not correctly formatted: {text}")
    return text.strip()


def _address(text: str) -> str:
    if not is_address(text.strip()):
        raise ValueError(f'failed to parse IP: "{text}"')
    return text.strip()


def _search_domain(text: str) -> str:
    text = text.strip()
    if text == ".":
        return text
    labels = text.rstrip(".").split(".")
    good = all(label and label.replace("-", "").replace("_", "").isalnum() for label in labels)
    if not any(char.isalpha() for char in text) or not good or len(text) >= 255:
        raise ValueError(f"{text} is not a valid domain")
    return text


def _link(text: str) -> str:
    parts = text.split(":")
    if not text:
        raise ValueError("empty string specified for links")
    if len(parts) > 2:
        raise ValueError(f"bad format for links: {text}")
    return text


def _device_and(text: str) -> tuple[str, str]:
    device, colon, value = text.partition(":")
    if not colon or not device:
        raise ValueError(f"bad format: {text}")
    if not device.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return device, value


def _weight_device(text: str) -> dict[str, Any]:
    device, value = _device_and(text)
    if not value.isdecimal() or not (int(value) == 0 or 10 <= int(value) <= 1000):
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": device, "Weight": int(value)}


def _bytes_rate(text: str) -> dict[str, Any]:
    device, value = _device_and(text)
    try:
        rate = parse_memory(value)
    except ValueError:
        rate = -1
    if rate < 0:
        raise ValueError(_RATE.format(text, "[<unit>]", ". Unit is optional and can be kb, mb, or gb"))
    return {"Path": device, "Rate": rate}


def _operations_rate(text: str) -> dict[str, Any]:
    device, value = _device_and(text)
    if not value.isdecimal():
        raise ValueError(_RATE.format(text, "", ""))
    return {"Path": device, "Rate": int(value)}


def _device_rule(text: str) -> str:
    parts = text.split(" ")
    good = len(parts) == 3 and parts[0] in ("a", "b", "c") and parts[2] and not set(parts[2]) - set("rwm")
    numbers = parts[1].split(":") if good else []
    if len(numbers) != 2 or not all(number == "*" or number.isdecimal() for number in numbers):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def _cpus(text: str) -> int:
    """A decimal or a ratio of processors, as billionths of one."""
    from fractions import Fraction

    try:
        nanos = Fraction(text) * 10**9
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"failed to parse {text} as a rational number") from None
    if nanos.denominator != 1:
        raise ValueError("value is too precise")
    return int(nanos)


def _memory_swap(text: str) -> int:
    return -1 if text == "-1" else parse_memory(text)


def _gpus(text: str) -> dict[str, Any]:
    request: dict[str, Any] = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": None, "Options": None}
    seen: set[str] = set()
    for field in parse_fields(text):
        key, equals, value = field.partition("=")
        if key in seen:
            raise ValueError(f"gpu request key '{key}' can be specified only once")
        seen.add(key)
        if not equals:
            seen.add("count")
            request["Count"] = _gpu_count(key)
        elif key == "driver":
            request["Driver"] = value
        elif key == "count":
            request["Count"] = _gpu_count(value)
        elif key == "device":
            request["DeviceIDs"] = value.split(",")
        elif key == "capabilities":
            request["Capabilities"] = [[*value.split(","), "gpu"]]
        elif key == "options":
            request["Options"] = dict(option.partition("=")[::2] for option in parse_fields(value))
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    if "count" not in seen and request["DeviceIDs"] is None:
        request["Count"] = 1
    request["Options"] = request["Options"] or {}
    request["Capabilities"] = request["Capabilities"] or [["gpu"]]
    return request


def _gpu_count(text: str) -> int:
    if text == "all":
        return -1
    try:
        return int(text)
    except ValueError:
        words = f'invalid count ({text}): value must be either "all" or an integer: invalid syntax'
        raise ValueError(words) from None


ATTACH = Kind("list", _attach, [], "append")
ENVIRONMENT = Kind("list", _environment, [], "append")
LABEL = Kind("list", _label, [], "append")
SYSCTL = Kind("map", _sysctl, [], "append")
ULIMIT = Kind("ulimit", _ulimit, [], "append")
HOST_ENTRY = Kind("list", _host_entry, [], "append")
NAME_SERVER = Kind("list", _name_server, [], "append")
SEARCH_DOMAIN = Kind("list", _search_domain, [], "append")
LINK = Kind("list", _link, [], "append")
ADDRESS = Kind("string", _address, "")
WEIGHT_DEVICE = Kind("list", _weight_device, [], "append")
BYTES_RATE = Kind("list", _bytes_rate, [], "append")
OPERATIONS_RATE = Kind("list", _operations_rate, [], "append")
DEVICE_RULE = Kind("list", _device_rule, [], "append")
CPUS = Kind("decimal", _cpus, 0)
BYTES = Kind("bytes", parse_memory, 0)
SWAP_BYTES = Kind("bytes", _memory_swap, 0)
DURATION = Kind("duration", parse_duration, 0)
GPUS = Kind("gpu-request", _gpus, [], "append")
ANNOTATION = MAP
PLAIN = LIST
