"""torchrun, whose exit status is that of the first process that failed (torchrun's own is 1) and which says so in one
sentence. For dist_train.sh and dist_test.sh: python tools/_torchrun.py [options of torchrun] TOOL [its arguments]

Exit status: 2 where MASTER_ADDR names no machine; 128 + its number where a signal ended a process, or this one.
"""
import logging
import os.path as osp
import socket
import sys

USAGE = 2


def check_address(args: list) -> None:
    """Exit unless the address of machine 0 is known: torchrun would ask for it again and again."""
    addresses = [arg.partition('=')[2] for arg in args if arg.startswith('--master_addr=')]
    try:
        socket.getaddrinfo(addresses[0], None)
    except OSError as error:
        print(f'MASTER_ADDR={addresses[0]}, the address of machine 0, is not known here ({error.strerror})',
              file=sys.stderr)
        sys.exit(USAGE)


def as_status(code: int) -> int:
    """Exit status of a shell for that of a process, which is negative after a signal."""
    return 128 - code if code < 0 else code


def main() -> None:
    check_address(sys.argv[1:])
    # after the check, as it takes seconds
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun
    logging.disable(logging.ERROR)  # torchrun's own account of what the processes say
    try:
        torchrun()
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        ending = f'{failure.signal_name()} ended it' if failure.exitcode < 0 else f'status {failure.exitcode}'
        if failure.exitcode != USAGE:  # whose last line says what to do
            print(f'process {rank} was the first to fail ({ending}); its output is above', file=sys.stderr)
        sys.exit(as_status(failure.exitcode))
    except SignalException as error:
        print(f'{osp.basename(sys.argv[0])}: ended by {error.sigval.name}, and its processes with it', file=sys.stderr)
        sys.exit(128 + error.sigval)


if __name__ == '__main__':
    main()
