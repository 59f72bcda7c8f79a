"""Which stages of a folder of results are finished, on disk."""
import os.path as osp
import time
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from mmengine.fileio import load

from ..utils.atomic import write_json
from ..utils.console import duration, say
from ..utils.log_files import make_current, open_log

RECORD, LOG = 'segment_folder.json', 'segment_folder.log'
CHECKS = ('images', 'weights')  # stages that make nothing
OF_EXAMPLES = ('examples', 'maps', 'next', 'page')  # that depend on labelled images
_REMEDY = 'use another --out, or remove that folder'
_REMEDIES = dict(refine='keep it, and draw other maps of the same model by mmseg-unsup predict {out} IMAGES --out '
                 'OTHER --refine METHOD')


class Stages:
    """Runs stages that are not finished, and logs.

    Args:
        out: the folder, which is there.
        settings: plain values that must be the same in every call.
        epochs: of the training; more of them than before undo what depends on it, fewer are refused.
        files: names of the record and the log in the folder.
    """

    def __init__(self, out: str, settings: Dict[str, Any], epochs: int = 0,
                 files: Tuple[str, str] = (RECORD, LOG)) -> None:
        self.path = osp.join(out, files[0])
        record = self._read()
        new = dict(settings=settings, epochs=epochs)
        if record is None or self._is_empty(record) and any(record.get(key) != value for key, value in new.items()):
            record = dict(new, finished=[])
        self._check(record, settings, epochs)
        if epochs != record.get('epochs'):
            record['finished'] = [name for name in record['finished'] if name in (*CHECKS, 'masks')]
        self.record = dict(record, settings=settings, epochs=epochs)
        write_json(self.path, self.record)
        self._log = open_log(osp.join(out, files[1]))

    def run(self, name: str, stage: Callable[..., str], *args) -> None:
        """Call a function, which says what it did, unless the stage was finished before.

        An error of it has the name as its ``stage``, for the message.
        """
        if name in self.record['finished']:
            say(f'{name}: finished before')
            return
        start = time.time()
        try:
            found = stage(*args)
        except Exception as error:
            error.stage = name
            raise
        except (SystemExit, KeyboardInterrupt):
            say(f'{name}: stopped; the same command goes on from here')
            raise
        make_current(self._log)  # a training has its own
        say(f'{name}: {found}, {duration(time.time() - start)}')
        self.record['finished'].append(name)
        write_json(self.path, self.record)

    def depend_on_examples(self, digest: Optional[str]) -> None:
        """Undo what was made of other examples than those of this digest; None for none.

        Raises:
            ValueError: there are none any more.
        """
        former = self.record.get('examples')
        if former and not digest and {*OF_EXAMPLES} & {*self.record['finished']}:
            raise ValueError(f'{self.path} records maps of labelled examples: give them again (--examples LABELLED), '
                             'or use another --out')
        self.depend_on('examples', digest, OF_EXAMPLES)

    def depend_on(self, key: str, value: Any, stages: Sequence[str], clear: Callable[[], None] = lambda: None) -> None:
        """Undo stages that were made of another value than this plain one.

        Args:
            clear: removes what they left, before the new value is recorded.
        """
        if self.record.get(key) != value:
            clear()
            self.record['finished'] = [name for name in self.record['finished'] if name not in stages]
            self.record[key] = value
            write_json(self.path, self.record)

    @staticmethod
    def _is_empty(record: Dict) -> bool:
        """Whether nothing was made of the former settings, but a training perhaps that was stopped."""
        return not {*record['finished']} - {*CHECKS}

    def _check(self, record: Dict, settings: Dict[str, Any], epochs: int) -> None:
        for key in sorted({*record['settings'], *settings}):
            old, new = record['settings'].get(key), settings.get(key)
            if old != new:
                remedy = _REMEDIES.get(key, _REMEDY).format(out=osp.dirname(self.path))
                raise ValueError(f'{self.path} records {key}={old!r}, but this call has {new!r}: {remedy}')
        if epochs < record.get('epochs', epochs):
            raise ValueError(f'{self.path} records a training of {record["epochs"]} epochs, but this call has '
                             f'{epochs}: {_REMEDY}')

    def _read(self) -> Optional[Dict]:
        if not osp.isfile(self.path):
            return None
        try:
            record = load(self.path)
            assert isinstance(record['settings'], dict) and isinstance(record['finished'], list)
        except (ValueError, KeyError, TypeError, AssertionError):
            raise ValueError(f'{self.path} is no record of this tool: remove that file, and what lies beside it, or '
                             'use another --out') from None
        config = record['settings'].get('config')
        if str(config).startswith('configs/'):  # as former versions called those of the package
            record['settings']['config'] = f'mmseg_unsup::{config[len("configs/"):]}'
        init = record['settings'].get('init')
        if init and osp.isfile(init):  # whose path they kept as it was given
            record['settings']['init'] = osp.abspath(init)
        return record
