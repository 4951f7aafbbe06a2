"""The daily loop of ltv as a DAG of one task: stages, retries and what is done already are its own affair."""

import json
from datetime import datetime, timedelta

from airflow import DAG
from airflow.exceptions import AirflowFailException
from airflow.operators.python import PythonOperator

CONFIG = "/etc/ltv/daily.toml"
WORK = "/var/lib/ltv"


def run(data_interval_end, **_):
    """Runs the day whose events ended with the interval. A gate is no reason to try again."""
    import subprocess

    date = data_interval_end.strftime("%Y-%m-%d")
    command = ["ltv", "daily", "--config", CONFIG, "--date", date, "--json", "--log-format", "json"]
    done = subprocess.run(command, cwd=WORK, stdout=subprocess.PIPE, text=True)
    if done.returncode == 3:
        reasons = json.loads(done.stdout)["reasons"]
        raise AirflowFailException("; ".join(reasons))
    if done.returncode != 0:
        # Killed, a store that cannot be reached, something to put right: the next try goes on behind the last stage
        # that is done.
        raise RuntimeError(f"exit code {done.returncode}")
    # What other tasks may want: the snapshot, the model, totals.
    return json.loads(done.stdout)


with DAG(
    dag_id="ltv_daily",
    schedule="0 3 * * *",
    start_date=datetime(2024, 1, 1),
    catchup=True,
    # Days follow each other.
    max_active_runs=1,
    default_args={
        "depends_on_past": False,
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
    },
) as dag:
    PythonOperator(task_id="daily", python_callable=run)
