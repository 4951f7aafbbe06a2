"""Charts of predictions and of buy-till-you-die models, with matplotlib.

Every function draws into ``ax``, or into new axes if none are given, and returns the axes. None shows or saves
anything: that is up to the caller. Colours can be told apart by colour-blind people (Okabe and Ito's palette). Labels
that are NaN are not yet known: those rows are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ltv import _tables, metrics
from ltv.errors import InputError, MetricError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "calibration",
    "deciles",
    "frequency_recency_matrix",
    "gain",
    "lorenz",
    "probability_alive_matrix",
    "quantile_coverage",
]

#: Of Okabe and Ito's palette, those that stand out on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LINES = ("-", "--", "-.", ":")
_LABELS = "#000000"
_GUIDE = "#808080"
_EMPTY = "#eeeeee"
_IDEAL = {"color": _LABELS, "linewidth": 2.2}
#: A curve of more rows is drawn through so many of its points.
_POINTS = 2000
#: Where the highest value is so many times the lowest, axes are logarithmic.
_WIDE = 100.0
#: Customers of a matrix have up to so many repeat purchases if nothing else is said.
_FREQUENCY = 30


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("charts need matplotlib, which is not installed: pip install 'ltv[plots]'") from error
    return plt.subplots(figsize=(6.4, 4.8), layout="constrained")[1]


def _style(i: int) -> dict[str, Any]:
    return {"color": _COLOURS[i % len(_COLOURS)], "linestyle": _LINES[i // len(_COLOURS) % len(_LINES)]}


def _frame(ax: Any, title: str, x: str, y: str) -> None:
    ax.set_title(title)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)


def _shares(ax: Any) -> None:
    """Both axes from 0 to 100 %."""
    from matplotlib.ticker import PercentFormatter

    ax.set_xlim(0.0, 1.0)
    # A curve at the top is seen whole.
    ax.set_ylim(0.0, 1.01)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.grid(color="#e6e6e6", linewidth=0.8)
    ax.set_axisbelow(True)


def _sets(predictions: Sequence[Any]) -> dict[str, Any]:
    """Sets of predictions by name: a mapping, or one or more arrays."""
    if len(predictions) == 1 and isinstance(predictions[0], Mapping):
        named = {str(name): values for name, values in predictions[0].items()}
    elif len(predictions) == 1:
        named = {"predictions": predictions[0]}
    else:
        named = {f"predictions {i}": values for i, values in enumerate(predictions, 1)}
    if not named:
        raise MetricError("predictions: nothing to draw; give one set at least")
    return named


def _known(y_true: Any, y_pred: Any, name: str = "y_pred") -> tuple[_tables.Floats, _tables.Floats]:
    """Rows whose label is known, of which there are some."""
    labels, predictions = metrics._pair(y_true, y_pred, name)
    known = ~np.isnan(labels)
    if not known.any():
        raise MetricError("y_true: no label is known; it is empty, or NaN throughout")
    return labels[known], predictions[known]


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
    ax = _axes(ax)
    for curve in curves:
        ax.plot(*curve.points, label=curve.text, **curve.style)
    ax.plot([0, 1], [0, 1], color=_GUIDE, linewidth=1, linestyle=":", label=diagonal)
    _frame(ax, title, x, y)
    _shares(ax)
    ax.legend(loc="lower right", frameon=False)
    return ax


def _with_value(metric: str, y_true: _tables.Floats, y_pred: _tables.Floats) -> str:
    """A metric's value for a legend."""
    value = metrics.score(y_true, y_pred)[metric]
    return "none" if np.isnan(value) else f"{value:.3f}"


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
    named = _sets(predictions)
    pairs = {name: _known(y_true, values, f"predictions '{name}'") for name, values in named.items()}
    labels = next(iter(pairs.values()))[0]
    curves = [_Curve("labels", _points(metrics._gain(labels, labels)), dict(_IDEAL))]
    for i, (name, (_, values)) in enumerate(pairs.items()):
        if not values.any():
            raise MetricError(f"predictions '{name}' sum to zero, so that they have no Lorenz curve")
        text = f"{name}, Mutual Gini {_with_value('MutualGini', labels, values)}"
        curves.append(_Curve(text, _points(metrics._gain(values, values)), _style(i)))
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
    named = _sets(predictions)
    pairs = {name: _known(y_true, values, f"predictions '{name}'") for name, values in named.items()}
    labels = next(iter(pairs.values()))[0]
    curves = [_Curve("ideal order", _points(metrics._gain(labels, labels)), dict(_IDEAL))]
    for i, (name, (_, values)) in enumerate(pairs.items()):
        text = f"{name}, normalised Gini {_with_value('NormGini', labels, values)}"
        curves.append(_Curve(text, _points(metrics._gain(labels, values)), _style(i)))
    x, y = "share of users, highest prediction first", "share of the total value"
    return _curves(ax, "Gain curves", x, y, "random order", curves)


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
    found = metrics._parts(*_known(y_true, y_pred), 10)
    ax = _axes(ax)
    part = found["part"]
    ax.bar(part - 0.2, found["label"], width=0.4, color=_LABELS, label="mean label")
    ax.bar(part + 0.2, found["prediction"], width=0.4, color=_COLOURS[4], label="mean prediction")
    ax.set_xticks(range(10))
    _frame(ax, "Labels and predictions by tenths", "tenth of users by prediction (9: the highest)", "mean value")
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
    found = metrics._parts(*_known(y_true, y_pred), int(bins))
    label, prediction = found["label"], found["prediction"]
    both = np.r_[label, prediction]
    positive = both[both > 0]
    if log is None:
        log = len(positive) > 0 and positive.max() > _WIDE * positive.min()
    top = positive.max() if len(positive) else 1.0
    bottom = positive.min() if log and len(positive) and (both > 0).all() else 0.0
    ax = _axes(ax)
    ax.plot([bottom, top], [bottom, top], color=_GUIDE, linewidth=1, linestyle=":", label="as predicted")
    ax.plot(prediction, label, color=_COLOURS[0], marker="o", markersize=5, linewidth=1, label=f"{len(label)} groups")
    if log and bottom > 0:
        ax.set_xscale("log")
        ax.set_yscale("log")
    elif log:
        least = positive.min() if len(positive) else 1.0
        ax.set_xscale("symlog", linthresh=least)
        ax.set_yscale("symlog", linthresh=least)
    _frame(ax, "Calibration", "mean prediction", "mean label")
    ax.legend(loc="upper left", frameon=False)
    return ax


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
    labels, days = metrics._matrix(y_true, "y_true", None)
    at = _tables.floats(levels, "levels")
    if not len(at) or not ((at > 0) & (at < 1)).all():
        raise MetricError(f"levels: {at.tolist()} must be above 0 and below 1; give those of the quantiles")
    try:
        values = np.asarray(quantiles, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"quantiles: not numbers ({error})") from error
    wanted = (*labels.shape, len(at))
    if values.ndim == 2 and labels.shape[1] == 1:
        values = values[:, None, :]
    if values.shape != wanted:
        raise MetricError(f"quantiles: shape {values.shape}; give [rows, horizons, levels], here {wanted}")
    if np.isnan(values).any():
        row, column, level = np.argwhere(np.isnan(values))[0]
        raise MetricError(f"quantiles, row {row}, column {column}, level {level} (counted from 0): NaN is no quantile")
    names = list(horizons) if horizons is not None else days
    if names is not None and len(names) != labels.shape[1]:
        raise MetricError(f"horizons: {len(names)} names for {labels.shape[1]} columns; give one for each")
    known = ~np.isnan(labels)
    if not known.any(axis=0).all():
        raise MetricError(f"y_true, column {int(np.argmin(known.any(axis=0)))} (counted from 0): no label is known")
    order = np.argsort(at, kind="stable")
    ax = _axes(ax)
    ax.plot([0, 1], [0, 1], color=_GUIDE, linewidth=1, linestyle=":", label="as it should be")
    for i in range(labels.shape[1]):
        shares = (labels[known[:, i], i, None] <= values[known[:, i], i]).mean(axis=0)
        name = f"{names[i]} days" if names is not None else ("labels" if labels.shape[1] == 1 else f"column {i}")
        ax.plot(at[order], shares[order], marker="o", markersize=5, label=name, **_style(i))
    _frame(ax, "Coverage of predicted quantiles", "level of the quantile", "share of labels at or below it")
    _shares(ax)
    # Shares of 0 and 1 are seen whole.
    ax.set_ylim(-0.02, 1.02)
    ax.legend(loc="upper left", frameon=False)
    return ax


# --- buy till you die ---


def _extent(value: Any, name: str) -> float | None:
    """A length that is given, or None."""
    if value is None:
        return None
    number = _tables.floats([value], name)[0]
    if not np.isfinite(number) or number <= 0:
        raise InputError(f"{name}: {value!r}; give a finite number above 0")
    return float(number)


def _customers(
    max_frequency: int | None, max_recency: float | None, T: float | None
) -> tuple[_tables.Floats, _tables.Floats, float]:
    """Frequencies and recencies of the cells, and the age."""
    recency, age = _extent(max_recency, "max_recency"), _extent(T, "T")
    age = age if age is not None else recency
    if age is None:
        raise InputError("T: give the age of the customers, in the time unit of the data the model was fitted on")
    recency = recency if recency is not None else age
    if recency > age:
        raise InputError(f"max_recency: {recency:g} is over the age T, {age:g}; nobody bought later than now")
    most = _extent(max_frequency, "max_frequency") or _FREQUENCY
    if most < 1:
        raise InputError(f"max_frequency: {most:g}; give a whole number of 1 or more")
    steps = min(int(np.ceil(recency)), 200)
    return np.arange(int(most) + 1, dtype=np.float64), np.linspace(0.0, recency, steps + 1), age


def _heat(
    ax: Any, frequencies: _tables.Floats, recencies: _tables.Floats, values: _tables.Floats, scale: str, **limits: Any
) -> Any:
    """Values over frequency and recency; NaN stays empty."""
    ax = _axes(ax)
    ax.set_facecolor(_EMPTY)
    mesh = ax.pcolormesh(frequencies, recencies, values, shading="nearest", cmap="cividis", rasterized=True, **limits)
    ax.figure.colorbar(mesh, ax=ax, label=scale)
    return ax


def _cells(frequencies: _tables.Floats, recencies: _tables.Floats) -> tuple[_tables.Floats, _tables.Floats, Any]:
    """Frequency and recency of every cell, ``[recency, frequency]``, and which cells can be: one who never came
    back has recency 0, one who did has more."""
    frequency, recency = np.meshgrid(frequencies, recencies)
    return frequency, recency, (frequency > 0) == (recency > 0)


def probability_alive_matrix(
    model: Any,
    max_frequency: int | None = None,
    max_recency: float | None = None,
    T: float | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Chance that a customer is still one, over frequency (repeat purchases) and recency (age at the last of them).

    Cells of customers that cannot be stay empty: a repeat purchase without recency, and recency without one.

    Parameters
    ----------
    model : a fitted model with ``probability_alive(frequency, recency, T)``, such as :class:`ltv.BGNBD`
    max_frequency : repeat purchases at most; 30 if not given
    max_recency : recency at most, in the model's time unit; ``T`` if not given
    T : age of all customers, in the model's time unit; ``max_recency`` if not given
    ax : axes to draw into; new ones if not given

    Raises
    ------
    InputError
        When neither ``T`` nor ``max_recency`` is given, or they are out of range.

    References
    ----------
    ``plot_probability_alive_matrix`` in github.com/CamDavidsonPilon/lifetimes draws the same.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import ltv.plots
    >>> class Model:
    ...     def probability_alive(self, frequency, recency, T):
    ...         return recency / T
    >>> ax = ltv.plots.probability_alive_matrix(Model(), max_frequency=5, T=39)
    >>> ax.get_title()
    'Probability of being alive at age 39'
    """
    frequencies, recencies, age = _customers(max_frequency, max_recency, T)
    frequency, recency, possible = _cells(frequencies, recencies)
    values = np.full(frequency.shape, np.nan)
    ages = np.full(int(possible.sum()), age)
    values[possible] = _tables.floats(model.probability_alive(frequency[possible], recency[possible], ages))
    ax = _heat(ax, frequencies, recencies, values, "probability", vmin=0.0, vmax=1.0)
    title = f"Probability of being alive at age {age:g}"
    _frame(ax, title, "repeat purchases (frequency)", "age at the last purchase (recency)")
    return ax


def frequency_recency_matrix(
    model: Any,
    t: float = 1.0,
    max_frequency: int | None = None,
    max_recency: float | None = None,
    T: float | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Purchases expected in the next ``t``, over frequency (repeat purchases) and recency (age at the last of them).

    Cells of customers that cannot be stay empty: a repeat purchase without recency, and recency without one.

    Parameters
    ----------
    model : a fitted model with ``expected_purchases(t, frequency, recency, T)``, such as :class:`ltv.BGNBD`
    t : how far to look ahead, in the model's time unit
    max_frequency, max_recency, T, ax : as of :func:`probability_alive_matrix`

    Raises
    ------
    InputError
        When neither ``T`` nor ``max_recency`` is given, or a number is out of range.

    References
    ----------
    ``plot_frequency_recency_matrix`` in github.com/CamDavidsonPilon/lifetimes draws the same.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import ltv.plots
    >>> class Model:
    ...     def expected_purchases(self, t, frequency, recency, T):
    ...         return t * frequency / T
    >>> ax = ltv.plots.frequency_recency_matrix(Model(), t=13, max_frequency=5, T=39)
    >>> ax.get_title()
    'Purchases expected in the next 13 at age 39'
    """
    if not (isinstance(t, (int, float, np.number)) and np.isfinite(t) and t > 0):
        raise InputError(f"t: {t!r}; give how far to look ahead, a finite number above 0")
    frequencies, recencies, age = _customers(max_frequency, max_recency, T)
    frequency, recency, possible = _cells(frequencies, recencies)
    values = np.full(frequency.shape, np.nan)
    ages = np.full(int(possible.sum()), age)
    values[possible] = _tables.floats(model.expected_purchases(t, frequency[possible], recency[possible], ages))
    ax = _heat(ax, frequencies, recencies, values, "purchases", vmin=0.0)
    title = f"Purchases expected in the next {t:g} at age {age:g}"
    _frame(ax, title, "repeat purchases (frequency)", "age at the last purchase (recency)")
    return ax
