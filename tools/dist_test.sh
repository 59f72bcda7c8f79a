#!/usr/bin/env bash
# Evaluate on several processes: tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
# Several machines: run the same command on each, with NNODES (how many), MASTER_ADDR (of the first) and PORT equal,
# and NODE_RANK=0, 1, ...; GPUS counts those of one machine.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [options of tools/test.py]" >&2
    exit 2
fi
if [ "${NNODES:-1}" -gt 1 ]; then
    : "${NODE_RANK:?NNODES=$NNODES needs NODE_RANK, the number of this machine from 0}"
    : "${MASTER_ADDR:?NNODES=$NNODES needs MASTER_ADDR, the address of machine 0}"
fi
CONFIG=$1
CHECKPOINT=$2
GPUS=$3
TOOLS=$(cd "$(dirname "$0")" && pwd)
PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}" exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$GPUS" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$TOOLS/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
