"""Parts of a list of files, one for each of several processes."""
import argparse
import re
from typing import NamedTuple


class Shard(NamedTuple):
    """Every ``count``-th of the files in the order of their names, from number ``index`` on, which counts from 0."""
    index: int = 0
    count: int = 1

    def __str__(self) -> str:
        return f'{self.index}/{self.count}'


WHOLE = Shard()


def parse_shard(text: str) -> Shard:
    """``R/W`` as a ``type`` of argparse."""
    match = re.fullmatch(r'(\d{1,9})/(\d{1,9})', text)
    if not match:
        raise argparse.ArgumentTypeError(f'it must be R/W, such as 0/4 for the first of four, but it is {text!r}')
    shard = Shard(int(match[1]), int(match[2]))
    if shard.index >= shard.count:
        last = f'W-1, here {shard.count - 1}' if shard.count else 'W-1, with W of at least 1'
        raise argparse.ArgumentTypeError(f'there is no shard {text}: R of R/W counts from 0 to {last}')
    return shard
