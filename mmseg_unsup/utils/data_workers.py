"""Ending the processes of data loaders when a program is done with them."""
import gc
import sys
from contextlib import contextmanager
from typing import Iterator


def end_data_workers() -> None:
    """End the worker processes of all data loaders of this process; a loader that is read again starts new ones.

    Persistent workers live as long as their loader, and workers of a pass that failed as long as the traceback of the
    error. Those that are left when Python exits are ended by SIGTERM, which torch takes for a crash: the output of the
    program then closes with its traceback. Nothing lists the loaders (runner, hooks and stack frames hold them), so the
    garbage collector is asked.
    """
    of_torch = sys.modules.get('torch.utils.data.dataloader')
    if of_torch is None:  # then there is none
        return
    gc.unfreeze()  # what is frozen is not listed
    kinds = of_torch.DataLoader, of_torch._MultiProcessingDataLoaderIter
    # not isinstance(), which runs code of proxies
    for thing in [thing for thing in gc.get_objects() if issubclass(type(thing), kinds)]:
        if isinstance(thing, of_torch.DataLoader):
            thing._iterator = None
        else:
            thing._shutdown_workers()


@contextmanager
def ending_data_workers() -> Iterator[None]:
    """:func:`end_data_workers` after the block, or the decorated function, however it ends.

    Before the interpreter begins to exit: from then on Python 3.12 starts no thread, which it takes to tell a worker
    that was never given an image.
    """
    try:
        yield
    finally:
        end_data_workers()
