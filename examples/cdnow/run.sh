#!/usr/bin/env bash
# From a log of purchases to scores; one fifth of the customers, by hash, is held out for testing:
#   examples/cdnow/run.sh LOG.parquet OUT_FOLDER [SEED]
# Uses target/release/ltv, or the program that LTV names.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
log=$1 out=$2 seed=${3:-0}
ltv=${LTV:-$here/../../target/release/ltv}
mkdir -p "$out"

"$ltv" features --events "$log" --config "$here/features.toml" --out "$out/data"
"$ltv" train --data "$out/data" --config "$here/train.toml" --seed "$seed" --out "$out/model-$seed.ltv"
"$ltv" score --model "$out/model-$seed.ltv" --data "$out/data" --out "$out/snapshot-$seed"
"$ltv" evaluate --model "$out/model-$seed.ltv" --data "$out/data"
