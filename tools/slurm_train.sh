#!/usr/bin/env bash
# Train under Slurm: [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=8] [GRACE=120] [SRUN_ARGS=...] \
#     tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
# GRACE seconds before the end of its time the run gets SIGUSR1. Told to stop, it writes a checkpoint and exits with
# status 75; it is then submitted again, with --resume, until it is finished. Inside a batch job (sbatch) it is the job
# that is requeued (sbatch needs --requeue).
set -euo pipefail
. "$(dirname "$0")/_launch.sh"
if [ $# -lt 3 ]; then
    fail "usage: $0 PARTITION JOB_NAME CONFIG [options of tools/train.py]"
fi
check_file config "$3"
check_slurm
check_number GRACE "${GRACE:=120}" 0 65535
PREEMPTED=75
RESUME=()
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then
    RESUME=(--resume)
fi
# the signal is for the run; this script waits for its end
trap : TERM USR1
while true; do
    SRUN_ARGS="--signal=USR1@$GRACE ${SRUN_ARGS:-}" \
        srun_command "$1" "$2" train.py "$3" --launcher slurm "${@:4}" ${RESUME[@]+"${RESUME[@]}"}
    STATUS=0
    "${COMMAND[@]}" || STATUS=$?
    if [ "$STATUS" -ne "$PREEMPTED" ]; then
        exit "$STATUS"
    fi
    RESUME=(--resume)
    if [ -n "${SLURM_JOB_ID:-}" ]; then
        scontrol requeue "$SLURM_JOB_ID"
        exit 0
    fi
    echo "preempted: submitting $2 again" >&2
done
