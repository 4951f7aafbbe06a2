"""Labels beside predictions in groups of users with like predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ltv.errors import MetricError
from ltv.metrics import _ties
from ltv.plots import _draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Where the highest value is so many times the lowest, axes are logarithmic.
_WIDE = 100.0


def deciles(y_true: Any, y_pred: Any, *, ax: Axes | None = None) -> Axes:
    """Mean label beside mean prediction in each tenth of the users by prediction.

    The tenths are those of :func:`ltv.metrics.decile_stats`: 0 has the lowest predictions, 9 the highest.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known
    y_pred : predictions, ``[rows]``, finite and at least 0
    ax : axes to draw into; new ones if not given

    Raises
    ------
    MetricError
        Where labels or predictions cannot be measured.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import ltv.plots
    >>> ax = ltv.plots.deciles(range(20), range(20))
    >>> [float(bar.get_height()) for bar in ax.containers[0]][:3]
    [0.5, 2.5, 4.5]
    """
    found = _ties.parts(*_draw.known(y_true, y_pred), 10)
    ax = _draw.axes(ax)
    part = found["part"]
    ax.bar(part - 0.2, found["label"], width=0.4, color=_draw.LABELS, label="mean label")
    ax.bar(part + 0.2, found["prediction"], width=0.4, color=_draw.COLOURS[4], label="mean prediction")
    ax.set_xticks(range(10))
    _draw.frame(ax, "Labels and predictions by tenths", "tenth of users by prediction (9: the highest)", "mean value")
    ax.legend(loc="upper left", frameon=False)
    return ax


def calibration(
    y_true: Any, y_pred: Any, *, bins: int = 20, log: bool | None = None, ax: Axes | None = None
) -> Axes:
    """Mean label against mean prediction in groups of users with like predictions: on the line, they are right.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known
    y_pred : predictions, ``[rows]``, finite and at least 0
    bins : groups of as many users each, from the lowest prediction up; tied rows that an edge cuts apart share evenly
    log : whether axes are logarithmic; if not given, where the highest mean is over 100 times the lowest above 0.
        They are linear from 0 to the lowest mean, so that groups of no value are there too
    ax : axes to draw into; new ones if not given

    Raises
    ------
    MetricError
        Where labels or predictions cannot be measured, and for fewer than two groups.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import ltv.plots
    >>> ax = ltv.plots.calibration(range(20), range(20), bins=5)
    >>> ax.lines[-1].get_ydata().tolist()
    [1.5, 5.5, 9.5, 13.5, 17.5]
    """
    if not isinstance(bins, (int, np.integer)) or bins < 2:
        raise MetricError(f"bins: {bins!r} groups; give a whole number of 2 or more")
    found = _ties.parts(*_draw.known(y_true, y_pred), int(bins))
    label, prediction = found["label"], found["prediction"]
    both = np.r_[label, prediction]
    positive = both[both > 0] if both.any() else np.ones(1)
    least, top = positive.min(), positive.max()
    log = top > _WIDE * least if log is None else log
    bottom = least if log and (both > 0).all() else 0.0
    ax = _draw.axes(ax)
    _draw.diagonal(ax, bottom, top, "as predicted")
    style: dict[str, Any] = {"color": _draw.COLOURS[0], "marker": "o", "markersize": 5, "linewidth": 1}
    ax.plot(prediction, label, label=f"{len(label)} groups", **style)
    if log:
        scale: dict[str, Any] = {"value": "log"} if bottom > 0 else {"value": "symlog", "linthresh": least}
        ax.set_xscale(**scale)
        ax.set_yscale(**scale)
    _draw.frame(ax, "Calibration", "mean prediction", "mean label")
    ax.legend(loc="upper left", frameon=False)
    return ax
