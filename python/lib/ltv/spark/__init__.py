"""Features and scores on Apache Spark, for more users than one machine can hold.

:func:`features` makes the dataset of :func:`ltv.features` by the same SQL statement, run by Spark;
:func:`score` scores its rows on the executors and commits them as one snapshot, as ``ltv score`` does.
Both need ``pip install 'ltv[spark]'``; executors need the package too, of the same version.
"""

from __future__ import annotations

from ltv.spark._features import features
from ltv.spark._score import score

__all__ = ["features", "score"]
