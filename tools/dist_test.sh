#!/usr/bin/env bash
# Evaluate on several processes: tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
# Several machines: run the same command on each, with NNODES (how many), MASTER_ADDR (of the first) and PORT equal,
# and NODE_RANK=0, 1, ...; GPUS counts those of one machine. Exit status: that of the first process that failed.
set -euo pipefail
. "$(dirname "$0")/_launch.sh"
if [ $# -lt 3 ]; then
    fail "usage: $0 CONFIG CHECKPOINT GPUS [options of tools/test.py]"
fi
check_file config "$1"
check_checkpoint "$2"
check_number GPUS "$3" 1
check_machines
launch "$3" test.py "$1" "$2" --launcher pytorch "${@:4}"
