#!/bin/sh
# Runs Freqtrade 2025.8 on the candles of the benchmark `spaces` and prints trials a second of both.
# Needs `pip install freqtrade==2025.8` in the Python that $PYTHON names, and no network.
# Usage: [KEEL_SHARED=DIR] hyperopt/benches/freqtrade_compare.sh [TRIALS]
set -eu
trials=${1:-20}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
shared=${KEEL_SHARED:-"$here/../../../shared"}
candles="$shared/data/ohlcv/binance/BTC-USDT/15m.parquet"
if [ ! -f "$candles" ]; then
    echo "skipped: $candles is absent; set KEEL_SHARED to the shared directory" >&2
    exit 0
fi
if ! "$python" -c 'import freqtrade, sys; sys.exit(freqtrade.__version__ != "2025.8")'; then
    echo "freqtrade 2025.8 is not installed for $python; run: $python -m pip install freqtrade==2025.8" >&2
    exit 2
fi
theirs=$("$python" "$here/freqtrade_trials.py" "$candles" "$trials")
# The fastest of the samples, in seconds for 943,936 points.
seconds=$(cargo bench -q -p hyperopt --bench spaces -- position 2>/dev/null |
    awk '/position_943936_points/ { for (i = 1; i < NF; i++) if ($(i + 1) == "s") { print $i; exit } }')
awk -v theirs="$theirs" -v seconds="$seconds" 'BEGIN {
    ours = 943936 / seconds
    printf "freqtrade %.2f trials/s (one process), hyperopt %.0f trials/s, ratio %.0f\n", theirs, ours, ours / theirs
}'
