"""Predicted quantiles against the labels that should lie below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltv import _tables
from ltv.errors import MetricError
from ltv.metrics import _inputs
from ltv.plots import _draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def quantile_coverage(
    y_true: Any,
    quantiles: Any,
    levels: Sequence[float],
    *,
    horizons: Sequence[int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Share of labels at or below each predicted quantile, against the level it should be.

    On the line, the predicted distributions are right; above it, they are too high at that level. Where many labels
    are exactly 0 and so are the low quantiles, the share lies above the level without any fault: a quantile of 0 has
    all those labels at or below it.

    Parameters
    ----------
    y_true : labels, ``[rows]`` or ``[rows, horizons]``; NaN where not yet known
    quantiles : what ``predict_quantiles`` gives, ``[rows, levels]`` or ``[rows, horizons, levels]``
    levels : the levels of the quantiles, between 0 and 1
    horizons : days, for the legend
    ax : axes to draw into; new ones if not given

    Raises
    ------
    MetricError
        Where shapes do not fit, levels are no levels, or no label of a horizon is known.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import ltv.plots
    >>> ax = ltv.plots.quantile_coverage([1, 2, 3, 4], [[2, 3]] * 4, levels=[0.5, 0.75])
    >>> ax.lines[-1].get_ydata().tolist()
    [0.5, 0.75]
    """
    labels, days = _inputs.matrix_of(y_true, "y_true", None)
    at = _tables.floats(levels, "levels")
    if not len(at) or not ((at > 0) & (at < 1)).all():
        raise MetricError(f"levels: {at.tolist()} must be above 0 and below 1; give those of the quantiles")
    values = _quantiles(quantiles, (*labels.shape, len(at)))
    names = list(horizons) if horizons is not None else days
    if names is not None and len(names) != labels.shape[1]:
        raise MetricError(f"horizons: {len(names)} names for {labels.shape[1]} columns; give one for each")
    known = ~np.isnan(labels)
    if not known.any(axis=0).all():
        raise MetricError(f"y_true, column {int(np.argmin(known.any(axis=0)))} (counted from 0): no label is known")
    order = np.argsort(at, kind="stable")
    ax = _draw.axes(ax)
    _draw.diagonal(ax, 0, 1, "as it should be")
    for i in range(labels.shape[1]):
        shares = (labels[known[:, i], i, None] <= values[known[:, i], i]).mean(axis=0)
        name = f"{names[i]} days" if names is not None else ("labels" if labels.shape[1] == 1 else f"column {i}")
        ax.plot(at[order], shares[order], marker="o", markersize=5, label=name, **_draw.style(i))
    _draw.frame(ax, "Coverage of predicted quantiles", "level of the quantile", "share of labels at or below it")
    _draw.shares(ax)
    # Shares of 0 and 1 are seen whole.
    ax.set_ylim(-0.02, 1.02)
    ax.legend(loc="upper left", frameon=False)
    return ax


def _quantiles(quantiles: Any, shape: tuple[int, int, int]) -> _tables.Floats:
    """Quantiles as ``[rows, horizons, levels]``, checked."""
    try:
        values = np.asarray(quantiles, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"quantiles: not numbers ({error})") from error
    if values.ndim == 2 and shape[1] == 1:
        values = values[:, None, :]
    if values.shape != shape:
        raise MetricError(f"quantiles: shape {values.shape}; give [rows, horizons, levels], here {shape}")
    if np.isnan(values).any():
        row, column, level = np.argwhere(np.isnan(values))[0]
        raise MetricError(f"quantiles, row {row}, column {column}, level {level} (counted from 0): NaN is no quantile")
    return values
