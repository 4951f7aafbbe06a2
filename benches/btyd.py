#!/usr/bin/env python3
"""Buy-till-you-die models of the Python package `ltv` against those of `lifetimes`, on the CDNOW log.

    benches/btyd.py --cdnow cdnow.parquet --sample cdnow_sample_ids.csv --rounds 5 --json btyd.json

Both packages do the same work in turn, ours, theirs, ours, theirs, ..., in one process: from transactions to what
the models know of customers, fits, and predictions at equal parameters; on the 1/10 sample of the literature and on
all customers, calibrated to 1997-09-30, in weeks. Machines are faster now and slower then; the ratio within a round
can be trusted where times cannot. Prints for each task the median time of both, the median, smallest and largest of
the rounds' ratios (theirs over ours), and how far results are apart:

    log-likelihood   ours minus theirs, of all customers: above 0 is better
    parameters       largest relative difference
    predictions      largest relative difference of expected purchases 1, 13, 39 and 104 weeks ahead, of P(alive),
                     or of the expected value of a purchase, at the parameters that lifetimes found

Needs the wheel of `ltv`, built with optimisation, `lifetimes` 0.11.3 and pandas.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
import warnings

import numpy as np
import pandas as pd

warnings.simplefilter("ignore")
WEEKS = [1, 13, 39, 104]
END = "1997-09-30"
COLUMNS = ["frequency", "recency", "T"]


def timed(task):
    start = time.perf_counter()
    found = task()
    return time.perf_counter() - start, found


def in_turn(rounds, ours, theirs):
    """Times of both, round by round, and what they found last."""
    times = []
    for _ in range(rounds):
        (our_time, our_result), (their_time, their_result) = timed(ours), timed(theirs)
        times.append((our_time, their_time))
    return times, our_result, their_result


def apart(ours, theirs):
    """Largest relative difference, of where both are numbers."""
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    known = np.isfinite(theirs) & (theirs != 0)
    return float(np.max(np.abs(ours[known] / theirs[known] - 1), initial=0.0))


def row(log, task, times, **found):
    ratios = sorted(theirs / ours for ours, theirs in times)
    return {
        "customers": log,
        "task": task,
        "ours_s": statistics.median(ours for ours, _ in times),
        "theirs_s": statistics.median(theirs for _, theirs in times),
        "ratio": statistics.median(ratios),
        "ratio_smallest": ratios[0],
        "ratio_largest": ratios[-1],
        "rounds": [{"ours_s": ours, "theirs_s": theirs} for ours, theirs in times],
        **found,
    }


def measure(log, name, rounds):
    """A row for each task."""
    import lifetimes
    from lifetimes.utils import summary_data_from_transaction_data

    from ltv import btyd

    times, customers, theirs = in_turn(
        rounds,
        lambda: btyd.summary(log, "user_id", "timestamp", "value", observation_end=END),
        lambda: summary_data_from_transaction_data(
            log, "user_id", "timestamp", "value", observation_period_end=END
        ),
    )
    same = customers.equals(theirs)
    yield row(name, "transactions to histories", times, predictions=0.0 if same else float("nan"))

    customers[["recency", "T"]] /= 7
    columns = [customers[column] for column in COLUMNS]
    pairs = [
        ("BG/NBD", btyd.BGNBD, lifetimes.BetaGeoFitter),
        ("Pareto/NBD", btyd.ParetoNBD, lifetimes.ParetoNBDFitter),
    ]
    for model, mine, other in pairs:
        times, ours, theirs = in_turn(rounds, lambda: mine().fit(customers), lambda: other().fit(*columns))
        at_theirs = mine.from_params(**theirs.params_, horizons=WEEKS)
        # One function of the likelihood for both, so that the difference is the parameters'.
        best = at_theirs.score(customers) * len(customers)
        yield row(
            name,
            f"{model}: fit",
            times,
            log_likelihood=ours.log_likelihood_,
            log_likelihood_above=ours.log_likelihood_ - best,
            parameters=apart(list(ours.params_.values()), theirs.params_[list(ours.params_)]),
            ours=ours.params_,
            theirs=dict(theirs.params_.astype(float)),
        )
        times, expected, their_expected = in_turn(
            rounds,
            lambda: at_theirs.predict(customers),
            lambda: np.column_stack([theirs.predict(t, *columns) for t in WEEKS]),
        )
        yield row(name, f"{model}: expected purchases", times, predictions=apart(expected, their_expected))
        times, alive, their_alive = in_turn(
            rounds,
            lambda: at_theirs.probability_alive(customers),
            lambda: theirs.conditional_probability_alive(*columns),
        )
        yield row(name, f"{model}: P(alive)", times, predictions=apart(alive, their_alive))

    counted = customers[customers["monetary_value"] > 0]
    spend = [counted["frequency"], counted["monetary_value"]]
    times, ours, theirs = in_turn(
        rounds,
        lambda: btyd.GammaGamma().fit(counted),
        lambda: lifetimes.GammaGammaFitter().fit(*spend),
    )
    at_theirs = btyd.GammaGamma.from_params(**theirs.params_)
    best = at_theirs.score(counted) * len(counted)
    yield row(
        name,
        "Gamma-Gamma: fit",
        times,
        log_likelihood=ours.log_likelihood_,
        log_likelihood_above=ours.log_likelihood_ - best,
        parameters=apart(list(ours.params_.values()), theirs.params_[list(ours.params_)]),
        ours=ours.params_,
        theirs=dict(theirs.params_.astype(float)),
    )
    times, means, their_means = in_turn(
        rounds,
        lambda: at_theirs.predict(counted),
        lambda: theirs.conditional_expected_average_profit(*spend),
    )
    yield row(name, "Gamma-Gamma: value of a purchase", times, predictions=apart(means, their_means))


def shown(found):
    text = f"{found['task']:34} {1e3 * found['ours_s']:9.2f} {1e3 * found['theirs_s']:9.2f}   "
    text += f"{found['ratio']:6.1f} ({found['ratio_smallest']:.1f} to {found['ratio_largest']:.1f})"
    results = [
        ("log-likelihood", found.get("log_likelihood_above"), "{:+.1e}"),
        ("parameters", found.get("parameters"), "{:.1e}"),
        ("predictions", found.get("predictions"), "{:.1e}"),
    ]
    told = [f"{name} {form.format(value)}" for name, value, form in results if value is not None]
    return f"{text:80} {', '.join(told)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cdnow", required=True, help="Parquet with user_id, timestamp and value")
    parser.add_argument("--sample", help="CSV with the user_id of the sample; without it, all customers alone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="file for the results")
    args = parser.parse_args()
    if args.rounds < 1:
        sys.exit("--rounds: give 1 or more")
    try:
        import lifetimes

        import ltv
    except ImportError as error:
        sys.exit(f"{error}: install ltv and lifetimes 0.11.3")

    log = pd.read_parquet(args.cdnow)
    logs = {}
    if args.sample:
        ids = pd.read_csv(args.sample)["user_id"]
        logs[f"{len(ids):,} customers"] = log[log["user_id"].isin(ids)]
    logs[f"{log['user_id'].nunique():,} customers"] = log

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = {"ltv": ltv.__version__, "lifetimes": lifetimes.__version__, "python": platform.python_version()}
    print(", ".join(f"{name} {version}" for name, version in versions.items()) + f", {cores} cores")
    rows = []
    for name, part in logs.items():
        print(f"\n{name:34} {'ltv ms':>9} {'lifet. ms':>9}   theirs / ours, {args.rounds} rounds")
        for found in measure(part, name, args.rounds):
            rows.append(found)
            print(shown(found), flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"versions": versions, "cores": cores, "rounds": args.rounds, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
