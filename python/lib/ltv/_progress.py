"""Progress of long work: a bar in terminals and notebooks, nothing elsewhere."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Optional

Listener = Callable[[int, str, Optional[int], int, str], None]


def _is_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def wants_progress(verbose: bool | int | None) -> bool:
    """Whether to show progress: as told, else where somebody can see it."""
    if verbose is None:
        return _is_notebook() or (sys.stderr is not None and sys.stderr.isatty())
    return bool(verbose)


class _Bar:
    """One bar for each stage, by tqdm where it is installed."""

    def __init__(self) -> None:
        self._stage = 0
        self._bar: Any = None

    def __call__(self, number: int, stage: str, total: int | None, done: int, note: str) -> None:
        if number != self._stage:
            self.close()
            self._stage = number
            self._bar = _tqdm(stage, total)
        if self._bar is not None:
            self._bar.total = total
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Lines:
    """One line for each stage."""

    def __init__(self) -> None:
        self._stage = 0

    def __call__(self, number: int, stage: str, total: int | None, done: int, note: str) -> None:
        if number != self._stage:
            self._stage = number
            of = f" of {total:,}" if total else ""
            print(f"ltv: {stage}{of}", file=sys.stderr)

    def close(self) -> None:
        pass


def _tqdm(stage: str, total: int | None) -> Any:
    with warnings.catch_warnings():
        # Without ipywidgets it draws with text, in a notebook too.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

    return tqdm(desc=stage, total=total, unit=" rows", unit_scale=True, leave=False)


def _has_tqdm() -> bool:
    import importlib.util

    return importlib.util.find_spec("tqdm") is not None


@contextmanager
def listening(verbose: bool | int | None) -> Iterator[Listener | None]:
    """A listener for the extension module, or none; bars are gone in the end."""
    if not wants_progress(verbose):
        yield None
        return
    listener = _Bar() if _has_tqdm() else _Lines()
    quiet = _Quiet(listener)
    try:
        yield quiet
    finally:
        quiet.close()


class _Quiet:
    """Says nothing more once there is nobody to say it to: work does not stop because a terminal is gone."""

    def __init__(self, listener: _Bar | _Lines) -> None:
        self._listener: _Bar | _Lines | None = listener

    def __call__(self, number: int, stage: str, total: int | None, done: int, note: str) -> None:
        self._try(lambda listener: listener(number, stage, total, done, note))

    def close(self) -> None:
        self._try(lambda listener: listener.close())

    def _try(self, say: Callable[[_Bar | _Lines], None]) -> None:
        if self._listener is None:
            return
        try:
            say(self._listener)
        except (OSError, ValueError, AttributeError):
            self._listener = None
