"""What can go wrong, and whose fault it is.

Every message says what is wrong, where (file, column, row or value), and what to do.

>>> import ltv
>>> try:
...     ltv.load("no-such-model.ltv")
... except ltv.InputError as error:
...     print(error)
cannot read no-such-model.ltv: No such file or directory (os error 2); check the path
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "GateError",
    "InputError",
    "InternalError",
    "LtvError",
    "MetricError",
    "ModelError",
    "ScoreError",
    "TrainError",
]


class LtvError(Exception):
    """Every error of this package."""


class InputError(LtvError, ValueError):
    """Input, options or disk are to be put right; the message says how. Exit code 2 of the program."""


class DataError(InputError):
    """Events, users, a table or a dataset cannot be read (``ltv-data``)."""


class ModelError(InputError):
    """A model's file cannot be used, or a model cannot be fitted or predict (``ltv-model``, ``ltv-baselines``)."""


class TrainError(InputError):
    """A training cannot begin or go on (``ltv-train``, ``ltv-lab``)."""


class ScoreError(InputError):
    """Users cannot be scored, or a snapshot cannot be committed (``ltv-score``)."""


class MetricError(InputError):
    """Metrics cannot be computed (``ltv-eval``)."""


class GateError(InputError):
    """A gate did not let something pass. Exit code 3 of the program."""


class InternalError(LtvError, RuntimeError):
    """A defect of this package: please report it. Exit code 1 of the program."""
