# shellcheck shell=bash
# What the launch scripts beside this file have in common; to be sourced. Whatever is wrong with a launch is one
# sentence and status 2 before anything starts: processes that wait for others that never come say nothing.

# fail SENTENCE
fail() {
    echo "$(basename "$0"): $1" >&2
    exit 2
}

# check_number NAME VALUE LOW [HIGH]: a whole number in this range, without the leading zeros of octal ones
check_number() {
    local range="from $3 on"
    if [ $# -gt 3 ]; then
        range="from $3 to $4"
    fi
    if ! [[ $2 =~ ^(0|[1-9][0-9]{0,8})$ ]] || [ "$2" -lt "$3" ] || [ "$2" -gt "${4:-999999999}" ]; then
        fail "$1 must be a whole number $range, but it is '$2'"
    fi
}

# check_file KIND VALUE: a file, or a name that the tool resolves: mmseg_unsup::NAME, a URL
check_file() {
    if [[ $2 != *::* && $2 != *://* && ! -f $2 ]]; then
        fail "the $1 '$2' is no file"
    fi
}

# check_checkpoint VALUE: a file as well, or none
check_checkpoint() {
    if [ "$1" != none ]; then
        check_file checkpoint "$1"
    fi
}

# check_machines: NNODES, NODE_RANK, MASTER_ADDR and PORT of torchrun
check_machines() {
    check_number NNODES "${NNODES:=1}" 1
    check_number PORT "${PORT:=29500}" 1 65535
    if [ "$NNODES" -gt 1 ]; then
        [ -n "${NODE_RANK:-}" ] || fail "NNODES=$NNODES needs NODE_RANK, the number of this machine from 0"
        [ -n "${MASTER_ADDR:-}" ] || fail "NNODES=$NNODES needs MASTER_ADDR, the address of machine 0"
    fi
    check_number "NODE_RANK, the number of this machine among NNODES=$NNODES," "${NODE_RANK:=0}" 0 $((NNODES - 1))
    if [ "$NODE_RANK" -eq 0 ] && (: > "/dev/tcp/127.0.0.1/$PORT") 2> /dev/null; then
        fail "PORT=$PORT is taken, perhaps by another run on this machine: set PORT to a free one"
    fi
}

# check_slurm: GPUS, GPUS_PER_NODE and CPUS_PER_TASK of srun
check_slurm() {
    check_number GPUS "${GPUS:=8}" 1
    check_number GPUS_PER_NODE "${GPUS_PER_NODE:=8}" 1
    check_number CPUS_PER_TASK "${CPUS_PER_TASK:=8}" 1
    command -v srun > /dev/null || fail 'there is no srun on PATH: run this where Slurm is installed'
}

# srun_command PARTITION JOB_NAME TOOL ARGUMENTS...: makes COMMAND, GPUS processes of a tool
srun_command() {
    # shellcheck disable=SC2034,SC2206 # COMMAND is for who sources this file; SRUN_ARGS is a list of options
    COMMAND=(srun -p "$1" --job-name="$2" --gres="gpu:$GPUS_PER_NODE" --ntasks="$GPUS"
        --ntasks-per-node="$GPUS_PER_NODE" --cpus-per-task="$CPUS_PER_TASK" --kill-on-bad-exit=1 ${SRUN_ARGS:-}
        python -u "$TOOLS/$3" "${@:4}")
}

# launch GPUS TOOL ARGUMENTS...: so many processes of a tool on this machine; does not return
launch() {
    command -v python > /dev/null || fail 'there is no python on PATH: activate the environment of mmseg_unsup'
    exec python "$TOOLS/_torchrun.py" \
        --nnodes="$NNODES" --node_rank="$NODE_RANK" --nproc_per_node="$1" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="$PORT" "$TOOLS/$2" "${@:3}"
}

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}"
