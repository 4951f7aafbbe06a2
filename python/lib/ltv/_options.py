"""Options of the extension module: JSON documents."""

from __future__ import annotations

import datetime
import json
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ltv.errors import InputError


def plain(value: Any) -> Any:
    """What JSON knows: dates as text, tuples as lists, NumPy numbers as numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, datetime.datetime):
        return value.date().isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        return value.item()
    return value


def document(value: Any) -> str:
    """The JSON document."""
    value = plain(value)
    for name, number in _numbers(value, ""):
        if not math.isfinite(number):
            raise InputError(f"{name}: {number} is no finite number")
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"options: {error}") from error


def _numbers(value: Any, name: str) -> Iterator[tuple[str, float]]:
    """All floats of a document, by dotted names."""
    if isinstance(value, float):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item, name)


def day(value: Any, name: str) -> str:
    """A date as text."""
    if hasattr(value, "astype") and hasattr(value, "dtype"):
        value = value.astype("datetime64[D]").item()
    if hasattr(value, "date") and callable(value.date):
        value = value.date()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, str):
        return value
    raise InputError(f"{name}: {value!r} is no date; write '2024-01-31' or give a datetime.date")


def laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested documents as one; ``over`` wins, and None in it is not given."""
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            continue
        below = merged.get(key)
        merged[key] = laid_over(below, value) if isinstance(value, Mapping) and isinstance(below, Mapping) else value
    return merged

