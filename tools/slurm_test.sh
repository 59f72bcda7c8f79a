#!/usr/bin/env bash
# Evaluate under Slurm: [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=8] [SRUN_ARGS=...] \
#     tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
set -euo pipefail
. "$(dirname "$0")/_launch.sh"
if [ $# -lt 4 ]; then
    fail "usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]"
fi
check_file config "$3"
check_checkpoint "$4"
check_slurm
srun_command "$1" "$2" test.py "$3" "$4" --launcher slurm "${@:5}"
exec "${COMMAND[@]}"
