#!/usr/bin/env bash
# From a log of commits to the scores of users who registered after the training day:
#   examples/oss_commits/run.sh LOG.parquet OUT_FOLDER [SEED]
# Uses target/release/ltv, or the program that LTV names.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
log=$1 out=$2 seed=${3:-0}
ltv=${LTV:-$here/../../target/release/ltv}
mkdir -p "$out"

# What was known on 2021-07-01 trains; nothing later is read.
"$ltv" features --events "$log" --config "$here/features.toml" --out "$out/train"
"$ltv" train --data "$out/train" --config "$here/train.toml" --seed "$seed" --out "$out/model-$seed.ltv"

# Users who registered later are scored from their own first week.
"$ltv" features --events "$log" --config "$here/features.toml" --as-of 2024-10-20 \
    --registered-from 2021-07-01 --registered-before 2023-10-14 --out "$out/test"
"$ltv" score --model "$out/model-$seed.ltv" --data "$out/test" --out "$out/snapshot-$seed"
"$ltv" evaluate --model "$out/model-$seed.ltv" --data "$out/test"
