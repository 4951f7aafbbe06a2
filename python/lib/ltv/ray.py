"""Predictions on Ray, over all machines of its cluster.

It needs ``pip install 'ltv[ray]'``, of the same version on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ltv import _ltv
from ltv.errors import InputError
from ltv._fitted import model_of

if TYPE_CHECKING:
    from ray.data import Dataset

__all__ = ["score"]


def score(
    dataset: Dataset,
    model: Any,
    *,
    batch_size: int = 8192,
    concurrency: int | tuple[int, int] | None = None,
    decoding: str = "expectation",
) -> Dataset:
    """Predicts every row of a Ray Dataset, by actors each of which holds the model once.

    The rows are those of a dataset, or of any table with the columns that the model reads. The result is lazy; it is
    what ``predict_table`` gives for the same rows. It is no snapshot: nothing checks that every user is
    there once (:func:`ltv.spark.score` and ``ltv score`` do).

    Parameters
    ----------
    dataset : rows with the columns that the model reads
    model : a fitted estimator of this package, its ``model_``, or the path of its file
    batch_size : rows that are predicted at once
    concurrency : actors, or their smallest and largest number; each takes one core. As many as there are cores, up to
        the number of blocks, if not given
    decoding : how a distribution becomes one value: ``"expectation"``, ``"median"``, ``"quantile:P"``, ``"matched"``
        or ``"argmax"``

    Returns
    -------
    ray.data.Dataset
        ``user_id``, where the rows have it, and all that is predicted: ``ltv_<N>`` of each horizon and, of a model that
        knows a distribution, ``ltv_<N>_p10``, ``_p50``, ``_p90`` and ``_positive``.

    Raises
    ------
    InputError
        When an option or the model cannot be used, or a column is missing; what is found on the way is raised by Ray
        when the result is read.
    ImportError
        Without Ray.

    Examples
    --------
    ::

        rows = ray.data.read_parquet("features/")
        ltv.ray.score(rows, "model.ltv").write_parquet("predictions/")

    >>> import ltv
    >>> ltv.ray.score.__name__
    'score'
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError("ltv.ray needs Ray: pip install 'ltv[ray]'") from error
    if not isinstance(dataset, ray.data.Dataset):
        raise InputError(f"dataset: {type(dataset).__name__} is no Ray Dataset; make one by ray.data.from_arrow(table)")
    if batch_size < 1:
        raise InputError(f"batch_size: {batch_size} rows; give 1 or more")
    fitted = model_of(model)
    columns = fitted.columns()
    found = dataset.schema()
    names = columns if found is None else list(found.names)
    missing = [name for name in columns if name not in names]
    if missing:
        raise InputError(
            f"dataset: no column '{missing[0]}', which the model reads; give the columns it was fitted on"
        )
    # On no rows: what is wrong with the decoding shows before any work.
    fitted.predict(_no_rows(columns), decoding, 1)
    wanted = [*(["user_id"] if "user_id" in names and "user_id" not in columns else []), *columns]
    if concurrency is None:
        concurrency = (1, _cores(ray))
    return dataset.select_columns(wanted).map_batches(
        _Predictor,
        fn_constructor_args=(fitted.to_bytes(), decoding),
        batch_size=batch_size,
        batch_format="pyarrow",
        concurrency=concurrency,
    )


def _cores(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _no_rows(columns: list[str]) -> pa.Table:
    return pa.table({name: pa.array([], pa.null()) for name in columns})


class _Predictor:
    """An actor: the model, and what it makes of a batch."""

    def __init__(self, content: bytes, decoding: str) -> None:
        self.model = _ltv.Model.from_bytes(content)
        self.decoding = decoding

    def __call__(self, batch: pa.Table) -> pa.Table:
        predicted = pa.table(self.model.predict(batch, self.decoding, 1))
        if "user_id" in batch.column_names:
            return predicted.add_column(0, "user_id", batch.column("user_id"))
        return predicted
