"""What buy-till-you-die models say of customers, over their frequency and recency."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ltv import _tables
from ltv.errors import InputError
from ltv.plots import _draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EMPTY = "#eeeeee"
#: Customers of a matrix have up to so many repeat purchases if nothing else is said.
_FREQUENCY = 30


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
    customers = _customers(max_frequency, max_recency, T)
    title = f"Probability of being alive at age {customers.age:g}"
    return _matrix(ax, title, "probability", customers, model.probability_alive, vmin=0.0, vmax=1.0)


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
    customers = _customers(max_frequency, max_recency, T)
    title = f"Purchases expected in the next {t:g} at age {customers.age:g}"
    return _matrix(ax, title, "purchases", customers, partial(model.expected_purchases, t), vmin=0.0)


class _Customers(NamedTuple):
    """Customers of one age, in cells by their frequency and recency."""

    frequencies: _tables.Floats
    recencies: _tables.Floats
    age: float


def _extent(value: Any, name: str) -> float | None:
    """A length that is given, or None."""
    if value is None:
        return None
    number = _tables.floats([value], name)[0]
    if not np.isfinite(number) or number <= 0:
        raise InputError(f"{name}: {value!r}; give a finite number above 0")
    return float(number)


def _customers(max_frequency: int | None, max_recency: float | None, T: float | None) -> _Customers:
    """The cells to draw."""
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
    return _Customers(np.arange(int(most) + 1, dtype=np.float64), np.linspace(0.0, recency, steps + 1), age)


def _matrix(
    ax: Axes | None, title: str, scale: str, customers: _Customers, ask: Callable[..., Any], **limits: Any
) -> Axes:
    """What ``ask(frequency, recency, T)`` says of the customers that can be; the other cells stay empty."""
    frequency, recency = np.meshgrid(customers.frequencies, customers.recencies)
    # One who never came back has recency 0, one who did has more.
    possible = (frequency > 0) == (recency > 0)
    values = np.full(frequency.shape, np.nan)
    ages = np.full(int(possible.sum()), customers.age)
    values[possible] = _tables.floats(ask(frequency[possible], recency[possible], ages))
    ax = _draw.axes(ax)
    ax.set_facecolor(_EMPTY)
    drawn: dict[str, Any] = {"shading": "nearest", "cmap": "cividis", "rasterized": True, **limits}
    mesh = ax.pcolormesh(customers.frequencies, customers.recencies, values, **drawn)
    ax.figure.colorbar(mesh, ax=ax, label=scale)
    _draw.frame(ax, title, "repeat purchases (frequency)", "age at the last purchase (recency)")
    return ax
