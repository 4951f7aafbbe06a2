"""Charts of predictions and of buy-till-you-die models, with matplotlib.

Every function draws into ``ax``, or into new axes if none are given, and returns the axes. None shows or saves
anything: that is up to the caller. Colours can be told apart by colour-blind people (Okabe and Ito's palette). Labels
that are NaN are not yet known: those rows are left out.
"""

from __future__ import annotations

from ltv.plots.coverage import quantile_coverage
from ltv.plots.curves import gain, lorenz
from ltv.plots.groups import calibration, deciles
from ltv.plots.matrices import frequency_recency_matrix, probability_alive_matrix

__all__ = [
    "calibration",
    "deciles",
    "frequency_recency_matrix",
    "gain",
    "lorenz",
    "probability_alive_matrix",
    "quantile_coverage",
]
