#!/usr/bin/env bash
# Train on several processes: tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# Several machines: run the same command on each, with NNODES (how many), MASTER_ADDR (of the first) and PORT equal,
# and NODE_RANK=0, 1, ...; GPUS counts those of one machine. Exit status: that of the first process that failed.
set -euo pipefail
. "$(dirname "$0")/_launch.sh"
if [ $# -lt 2 ]; then
    fail "usage: $0 CONFIG GPUS [options of tools/train.py]"
fi
check_file config "$1"
check_number GPUS "$2" 1
check_machines
launch "$2" train.py "$1" --launcher pytorch "${@:3}"
