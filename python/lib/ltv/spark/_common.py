"""What features and scores on Spark share."""

from __future__ import annotations

from typing import Any


def needs_pyspark() -> None:
    try:
        import pyspark  # noqa: F401
    except ImportError as error:
        raise ImportError("ltv.spark needs PySpark: pip install 'ltv[spark]'") from error


def is_dataframe(value: Any) -> bool:
    from pyspark.sql import DataFrame

    return isinstance(value, DataFrame)


def quoted(name: str) -> str:
    """A name as Spark's SQL wants it, whatever is in it and whatever the session's settings are."""
    return "`" + name.replace("`", "``") + "`"



def column(name: str) -> Any:
    from pyspark.sql import functions

    return functions.col(quoted(name))


def engine_errors() -> tuple[type[Exception], ...]:
    """What Spark raises, and files: not defects of ours."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return (PySparkException, Py4JError, OSError)


def words(error: Exception) -> str:
    # An error of the JVM that PySpark does not know prints as the call that failed.
    thrown = getattr(error, "java_exception", None)
    return str(error) if thrown is None else str(thrown.toString())


def short(text: str) -> str:
    """A traceback of Python ends with what is wrong; Spark's own words begin with it."""
    lines = [line for line in text.splitlines() if line and not line[0].isspace()]
    return lines[-1 if "Traceback" in text else 0] if lines else "it does not say why"
