"""What charts share: axes, colours, and rows to draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ltv import _tables
from ltv.errors import MetricError
from ltv.metrics import _inputs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Of Okabe and Ito's palette, those that stand out on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: Sets beyond as many as there are colours differ by their lines.
LINES = ("-", "--", "-.", ":")
#: Labels, and lines to compare with.
LABELS = "#000000"
GUIDE = "#808080"


def axes(ax: Axes | None) -> Axes:
    """The axes to draw into: those given, or new ones."""
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("charts need matplotlib, which is not installed: pip install 'ltv[plots]'") from error
    return plt.subplots(figsize=(6.4, 4.8), layout="constrained")[1]


def style(i: int) -> dict[str, Any]:
    """How the line of a set looks, unlike those of the sets before it."""
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": LINES[i // len(COLOURS) % len(LINES)]}


def frame(ax: Any, title: str, x: str, y: str) -> None:
    """What stands around a chart."""
    ax.set_title(title)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)


def diagonal(ax: Any, bottom: float, top: float, label: str) -> None:
    """A thin line where both axes are equal."""
    ax.plot([bottom, top], [bottom, top], color=GUIDE, linewidth=1, linestyle=":", label=label)


def shares(ax: Any) -> None:
    """Both axes from 0 to 100 %."""
    from matplotlib.ticker import PercentFormatter

    ax.set_xlim(0.0, 1.0)
    # A curve at the top is seen whole.
    ax.set_ylim(0.0, 1.01)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.grid(color="#e6e6e6", linewidth=0.8)
    ax.set_axisbelow(True)


def known(y_true: Any, y_pred: Any, name: str = "y_pred") -> tuple[_tables.Floats, _tables.Floats]:
    """Rows whose label is known, of which there are some."""
    labels, predictions = _inputs.pair(y_true, y_pred, name)
    known = ~np.isnan(labels)
    if not known.any():
        raise MetricError("y_true: no label is known; it is empty, or NaN throughout")
    return labels[known], predictions[known]
