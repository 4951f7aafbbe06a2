"""Curves of shares against shares: Lorenz and gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ltv import _tables
from ltv.errors import MetricError
from ltv.metrics import _ties, score
from ltv.plots import _draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_IDEAL = {"color": _draw.LABELS, "linewidth": 2.2}
#: A curve of more rows is drawn through so many of its points.
_POINTS = 2000


def lorenz(y_true: Any, *predictions: Any, ax: Axes | None = None) -> Axes:
    """Lorenz curves of labels and predictions: are predicted values as unevenly spread as real ones?

    Each is sorted by itself, from the highest down (the paper's figure 4). The area between the curve of the labels
    and that of predictions is their Mutual Gini, in the legend: 0 at best. It says nothing on who is who;
    :func:`gain` does.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known
    predictions : sets of predictions, ``[rows]`` each, finite and at least 0; or one mapping from names to sets
    ax : axes to draw into; new ones if not given

    Raises
    ------
    MetricError
        Where labels or predictions cannot be measured, or sum to zero.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import ltv.plots
    >>> ax = ltv.plots.lorenz([0, 0, 2, 6], {"model": [1, 1, 2, 4]})
    >>> ax.get_title()
    'Lorenz curves'
    """
    labels, sets = _sets(y_true, predictions)
    curves = [_Curve("labels", _points(_ties.gain(labels, labels)), _IDEAL)]
    for i, (name, values) in enumerate(sets.items()):
        if not values.any():
            raise MetricError(f"predictions '{name}' sum to zero, so that they have no Lorenz curve")
        text = f"{name}, Mutual Gini {_with_value('MutualGini', labels, values)}"
        curves.append(_Curve(text, _points(_ties.gain(values, values)), _draw.style(i)))
    x, y = "share of users, highest first, each by itself", "share of the total"
    return _curves(ax, "Lorenz curves", x, y, "all worth the same", curves)


def gain(y_true: Any, *predictions: Any, ax: Axes | None = None) -> Axes:
    """Gain curves: how much of the real value do the users predicted highest hold?

    The legend has the normalised Gini coefficient: 1 for the ideal order, near 0 for a random one. Tied predictions
    make a straight piece.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known
    predictions : sets of predictions, ``[rows]`` each, finite and at least 0; or one mapping from names to sets
    ax : axes to draw into; new ones if not given

    Raises
    ------
    MetricError
        Where labels or predictions cannot be measured, or labels sum to zero.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import ltv.plots
    >>> ax = ltv.plots.gain([0, 0, 2, 6], [1, 1, 2, 4])
    >>> ax.get_title()
    'Gain curves'
    """
    labels, sets = _sets(y_true, predictions)
    curves = [_Curve("ideal order", _points(_ties.gain(labels, labels)), _IDEAL)]
    for i, (name, values) in enumerate(sets.items()):
        text = f"{name}, normalised Gini {_with_value('NormGini', labels, values)}"
        curves.append(_Curve(text, _points(_ties.gain(labels, values)), _draw.style(i)))
    x, y = "share of users, highest prediction first", "share of the total value"
    return _curves(ax, "Gain curves", x, y, "random order", curves)


def _sets(y_true: Any, predictions: Sequence[Any]) -> tuple[_tables.Floats, dict[str, _tables.Floats]]:
    """Labels that are known, and their predictions by the name of the set: of a mapping, or of one or more arrays."""
    if len(predictions) == 1 and isinstance(predictions[0], Mapping):
        named = {str(name): values for name, values in predictions[0].items()}
    elif len(predictions) == 1:
        named = {"predictions": predictions[0]}
    else:
        named = {f"predictions {i}": values for i, values in enumerate(predictions, 1)}
    if not named:
        raise MetricError("predictions: nothing to draw; give one set at least")
    pairs = {name: _draw.known(y_true, values, f"predictions '{name}'") for name, values in named.items()}
    labels = next(iter(pairs.values()))[0]
    return labels, {name: values for name, (_, values) in pairs.items()}


def _points(gain: _tables.Floats) -> tuple[_tables.Floats, _tables.Floats]:
    """Points to draw of a curve that starts at 0: all, or closer to each other at the start, where it is steep."""
    rows = len(gain)
    places = np.arange(rows + 1)
    if rows > _POINTS:
        even, steep = np.linspace(0, rows, _POINTS // 2), np.geomspace(1, rows, _POINTS // 2)
        places = np.unique(np.r_[even, steep].round().astype(np.int64))
    return places / rows, np.r_[0.0, gain][places]


class _Curve(NamedTuple):
    """A curve to draw, with its text in the legend."""

    text: str
    points: tuple[_tables.Floats, _tables.Floats]
    style: dict[str, Any]


def _curves(ax: Axes | None, title: str, x: str, y: str, diagonal: str, curves: Sequence[_Curve]) -> Axes:
    """Curves of shares against shares, over a diagonal."""
    ax = _draw.axes(ax)
    for curve in curves:
        ax.plot(*curve.points, label=curve.text, **curve.style)
    _draw.diagonal(ax, 0, 1, diagonal)
    _draw.frame(ax, title, x, y)
    _draw.shares(ax)
    ax.legend(loc="lower right", frameon=False)
    return ax


def _with_value(metric: str, y_true: _tables.Floats, y_pred: _tables.Floats) -> str:
    """A metric's value for a legend."""
    value = score(y_true, y_pred)[metric]
    return "none" if np.isnan(value) else f"{value:.3f}"
