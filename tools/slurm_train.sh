#!/usr/bin/env bash
# Train under Slurm: [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=8] [GRACE=120] [SRUN_ARGS=...] \
#     tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
# GRACE seconds before the end of its time the run gets SIGUSR1. Told to stop, it writes a checkpoint and exits with
# status 75; it is then submitted again, with --resume, until it is finished. Inside a batch job (sbatch) it is the job
# that is requeued (sbatch needs --requeue).
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG [options of tools/train.py]" >&2
    exit 2
fi
PARTITION=$1
JOB_NAME=$2
CONFIG=$3
shift 3
GPUS=${GPUS:-8}
GPUS_PER_NODE=${GPUS_PER_NODE:-8}
PREEMPTED=75
TOOLS=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}"
RESUME=()
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then
    RESUME=(--resume)
fi
# the signal is for the run; this script waits for its end
trap : TERM USR1
while true; do
    STATUS=0
    # shellcheck disable=SC2086 -- SRUN_ARGS is a list of options
    srun -p "$PARTITION" --job-name="$JOB_NAME" \
        --gres="gpu:$GPUS_PER_NODE" --ntasks="$GPUS" --ntasks-per-node="$GPUS_PER_NODE" \
        --cpus-per-task="${CPUS_PER_TASK:-8}" --kill-on-bad-exit=1 --signal="USR1@${GRACE:-120}" ${SRUN_ARGS:-} \
        python -u "$TOOLS/train.py" "$CONFIG" --launcher slurm "$@" ${RESUME[@]+"${RESUME[@]}"} || STATUS=$?
    if [ "$STATUS" -ne "$PREEMPTED" ]; then
        exit "$STATUS"
    fi
    RESUME=(--resume)
    if [ -n "${SLURM_JOB_ID:-}" ]; then
        scontrol requeue "$SLURM_JOB_ID"
        exit 0
    fi
    echo "preempted: submitting $JOB_NAME again" >&2
done
