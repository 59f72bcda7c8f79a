"""Checkpoints on the disk: written whole, found again, refused when damaged."""
import ctypes
import os
import os.path as osp
import re
import resource

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import CheckpointLoader

from mmseg_unsup.engine.checkpoint_files import find_checkpoint, name_pattern, verify_checkpoint
from mmseg_unsup.engine.hooks.atomic_checkpoint_hook import AtomicCheckpointHook
from mmseg_unsup.hosts import safe_loading
from ..conftest import ROOT
from ..forks import run_script
from .tiny import tiny_config, tiny_runner

pytestmark = pytest.mark.filterwarnings('ignore')
NAMES = name_pattern('epoch_{}.pth')


def write_checkpoint(path, epoch: int = 1) -> str:
    torch.save(dict(meta=dict(epoch=epoch, iter=10 * epoch), state_dict=dict(w=torch.arange(5000.)), message_hub={}),
               path)
    return str(path)


def test_a_whole_checkpoint_verifies(tmp_path):
    assert verify_checkpoint(write_checkpoint(tmp_path / 'a', 3)) == dict(epoch=3, iter=30)


@pytest.mark.parametrize('share', [0., 0.1, 0.5, 0.9, 0.999])
def test_a_cut_checkpoint_is_refused(tmp_path, share):
    path = write_checkpoint(tmp_path / 'a')
    os.truncate(path, int(share * osp.getsize(path)))
    with pytest.raises(ValueError, match=f'{path} .*cut off'):
        verify_checkpoint(path)


def test_a_flipped_bit_in_the_weights_is_refused(tmp_path):
    path = write_checkpoint(tmp_path / 'a')
    content = bytearray(open(path, 'rb').read())
    at = content.find(torch.arange(100., 200.).numpy().tobytes())
    content[at] ^= 1
    open(path, 'wb').write(content)
    with pytest.raises(ValueError, match=f'{path} is damaged: the checksum of .*data/0 is wrong'):
        verify_checkpoint(path)


def test_weights_alone_are_no_training(tmp_path):
    torch.save(dict(state_dict={}), tmp_path / 'a')
    with pytest.raises(ValueError, match='no checkpoint of a training: it has no meta and no message_hub'):
        verify_checkpoint(str(tmp_path / 'a'))


def test_the_most_advanced_whole_checkpoint_is_found(tmp_path):
    """By progress, not by name or date; a pointer to a file that is gone is named, as is everything passed over."""
    for epoch in (9, 10, 11):
        write_checkpoint(tmp_path / f'epoch_{epoch}.pth', epoch)
    os.utime(tmp_path / 'epoch_9.pth')
    os.truncate(tmp_path / 'epoch_11.pth', 4000)
    write_checkpoint(tmp_path / 'other.pth', 99)
    (tmp_path / 'epoch_12.pth.77.part').write_text('half')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_12.pth'))
    found = find_checkpoint(str(tmp_path), NAMES, str(tmp_path))
    assert found.path == str(tmp_path / 'epoch_10.pth')
    assert re.search(r'epoch_12.pth \(named in .*does not exist', found.skipped[0])
    assert re.search(r'epoch_11.pth \(.*cut off', found.skipped[1]) and len(found.skipped) == 2
    assert find_checkpoint(str(tmp_path / 'none'), NAMES, str(tmp_path / 'none')) == (None, [])


def epochs(folder) -> list:
    return sorted(path.name for path in folder.glob('*.pth'))


def test_old_checkpoints_go_and_parts_of_killed_runs(image_folder, tmp_path):
    (tmp_path / 'epoch_7.pth.123.part').write_text('half')
    (tmp_path / 'report.html.77.part').write_text('half')
    (tmp_path / 'film.part').write_text('not ours')
    tiny_runner(image_folder, tmp_path, max_epochs=6, default_hooks__checkpoint__max_keep_ckpts=3).train()
    assert epochs(tmp_path) == ['epoch_4.pth', 'epoch_5.pth', 'epoch_6.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_6.pth')
    assert [path.name for path in tmp_path.glob('*.part')] == ['film.part']


def test_resume_passes_over_a_damaged_checkpoint(image_folder, tmp_path):
    tiny_runner(image_folder, tmp_path, max_epochs=2).train()
    os.truncate(tmp_path / 'epoch_2.pth', 1000)
    runner = tiny_runner(image_folder, tmp_path, max_epochs=2, resume=True)
    runner.train()
    logs = ''.join(path.read_text() for path in tmp_path.glob('*/*.log'))
    assert f'not resumed from {tmp_path}/epoch_2.pth (the checkpoint {tmp_path}/epoch_2.pth is cut off' in logs
    assert 'resumed epoch: 1, iter: 2' in logs and runner.epoch == 2
    for name in epochs(tmp_path):
        os.truncate(tmp_path / name, 1000)
    with pytest.raises(ValueError, match='no checkpoint in .* can be resumed from: .*epoch_1.*To start anew'):
        tiny_runner(image_folder, tmp_path, max_epochs=2, resume=True).train()


class ScoreHook(Hook):
    """A validation whose score is best after the second of three epochs."""
    priority = 'HIGH'

    def after_val_epoch(self, runner, metrics=None):
        metrics['score'] = [0.1, 0.9, 0.5][runner.epoch - 1]


def test_the_best_checkpoint_is_replaced_last(image_folder, tmp_path, monkeypatch):
    options = dict(max_epochs=3, train_cfg__val_interval=1, default_hooks__checkpoint__save_best='score',
                   default_hooks__checkpoint__rule='greater')
    seen = []
    write = AtomicCheckpointHook._write

    def watched(runner, out_dir, filename, *args, **kwargs):
        write(runner, out_dir, filename, *args, **kwargs)
        seen.append((filename, sorted(path.name for path in tmp_path.glob('best*'))))

    monkeypatch.setattr(AtomicCheckpointHook, '_write', staticmethod(watched))
    runner = tiny_runner(image_folder, tmp_path, **options)
    runner.register_hook(ScoreHook())
    runner.train()
    assert ('best_score_epoch_2.pth', ['best_score_epoch_1.pth', 'best_score_epoch_2.pth']) in seen
    assert [path.name for path in tmp_path.glob('best*')] == ['best_score_epoch_2.pth']


def train_by_tool(tmp_path, cfg, restrict, *args):
    """``tools/train.py`` in a process that ``restrict`` has been called in."""
    cfg.pop('shortcuts')  # the values are in their places
    cfg.dump(str(tmp_path / 'config.py'))
    return run_script(f'{ROOT}/tools/train.py', [str(tmp_path / 'config.py'), *map(str, args)], restrict=restrict,
                      env=dict(os.environ, PYTHONPATH=ROOT, OMP_NUM_THREADS='1'))


def limit_files() -> None:
    """No file may become larger than half a megabyte."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))


def obey_permissions() -> None:
    """Drop the capability of root to pass over the permissions of files."""
    version_3, dac_override = 0x20080522, 1  # linux/capability.h
    header, sets = (ctypes.c_uint32 * 2)(version_3, 0), (ctypes.c_uint32 * 6)()  # the first set is the effective one
    libc = ctypes.CDLL(None)
    failed = libc.capget(header, sets)
    sets[0] &= ~(1 << dac_override)
    if failed or libc.capset(header, sets):
        raise OSError('the capability cannot be dropped')


def assert_old_is_intact(tmp_path, done, reason: str):
    assert done.returncode == 2
    path = tmp_path / 'run' / 'epoch_2.pth'
    message = done.stdout.splitlines()[-1]
    assert message.startswith(f'error: cannot write the checkpoint {path} (') and reason in message
    assert 'epoch_1.pth is whole' in message or 'there is none before it' in message
    assert 'Traceback' not in done.stdout
    assert verify_checkpoint(str(tmp_path / 'run' / 'epoch_1.pth'))['epoch'] == 1
    assert epochs(tmp_path / 'run') == ['epoch_1.pth'] and not list((tmp_path / 'run').glob('*.part'))


def test_a_full_disk(image_folder, tmp_path):
    tiny_runner(image_folder, tmp_path / 'run').train()
    cfg = tiny_config(image_folder, tmp_path / 'run', max_epochs=2)
    done = train_by_tool(tmp_path, cfg, limit_files, '--work-dir', tmp_path / 'run', '--resume')
    assert_old_is_intact(tmp_path, done, 'File too large')


def test_a_folder_that_cannot_be_written(image_folder, tmp_path):
    """Logs are elsewhere. Root may write everywhere until it gives that right up."""
    tiny_runner(image_folder, tmp_path / 'run').train()
    cfg = tiny_config(image_folder, tmp_path / 'run', max_epochs=2)
    cfg.default_hooks.checkpoint.out_dir = str(tmp_path)
    (tmp_path / 'run').chmod(0o555)
    done = train_by_tool(tmp_path, cfg, obey_permissions, '--work-dir', tmp_path / 'logs' / 'run',
                         '--resume', tmp_path / 'run' / 'epoch_1.pth')
    (tmp_path / 'run').chmod(0o755)
    assert_old_is_intact(tmp_path, done, 'Permission denied')


class Command:
    """Unpickles by running a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}', )


@pytest.fixture
def nothing_allowed(monkeypatch):
    monkeypatch.setattr(safe_loading, '_allowed', [])


def test_a_malicious_checkpoint_runs_nothing(image_folder, tmp_path, nothing_allowed):
    evil = str(tmp_path / 'epoch_1.pth')
    torch.save(dict(state_dict={}, meta=dict(epoch=1, iter=1), message_hub={}, evil=Command(tmp_path / 'ran')), evil)
    refusal = r'epoch_1.pth wants to load (posix|nt).system, .*could run code: nothing was loaded. .*allowed_globals'
    with pytest.raises(ValueError, match=refusal):
        CheckpointLoader.load_checkpoint(evil)
    with pytest.raises(ValueError, match=refusal):  # the other ways: tests/test_tools/test_payloads.py
        tiny_runner(image_folder, tmp_path, resume=True).train()
    assert not (tmp_path / 'ran').exists()


def test_other_sources_are_restricted_too(tmp_path, monkeypatch, nothing_allowed):
    """Addresses of other kinds go through loaders of mmengine, which load without the restriction."""
    evil = str(tmp_path / 'evil.pth')
    torch.save(Command(tmp_path / 'ran'), evil)
    fetched = lambda *args, **kwargs: torch.load(evil, weights_only=False)  # noqa: E731
    monkeypatch.setattr(CheckpointLoader, '_schemes', {'store://': fetched, **CheckpointLoader._schemes})
    safe_loading.register_safe_loaders(CheckpointLoader)
    with pytest.raises(ValueError, match=r'store://x/y wants to load posix.system'):
        CheckpointLoader.load_checkpoint('store://x/y')
    assert not (tmp_path / 'ran').exists() and safe_loading._FORCE not in os.environ


def test_what_the_user_trusts_is_loaded(tmp_path, nothing_allowed):
    from fractions import Fraction
    path = str(tmp_path / 'a.pth')
    torch.save(dict(a=Fraction(1, 3)), path)
    with pytest.raises(ValueError, match=r"allowed_globals=\['fractions.Fraction'\]"):
        safe_loading.load_safely(path)
    with pytest.raises(ValueError, match='allowed_globals: fractions.Fracture: there is no such thing'):
        safe_loading.allow_globals(['fractions.Fracture'])
    safe_loading.allow_globals(['fractions.Fraction'])
    assert safe_loading.load_safely(path) == dict(a=Fraction(1, 3))


@pytest.mark.skipif(not safe_loading._takes_pairs(), reason='torch before 2.5 cannot restrict getattr')
def test_checkpoints_of_mmengine_load(tmp_path, nothing_allowed):
    from mmengine.logging import HistoryBuffer
    path = str(tmp_path / 'a.pth')
    torch.save(dict(message_hub=dict(log_scalars=dict(loss=HistoryBuffer([1., 2.], [1, 1])))), path)
    loaded = CheckpointLoader.load_checkpoint(path)
    assert loaded['message_hub']['log_scalars']['loss'].mean() == 1.5

    class Other:

        def __reduce__(self):
            return getattr, (HistoryBuffer, '__init__')

    torch.save(Other(), path)
    with pytest.raises(ValueError, match="may not take '__init__'"):
        safe_loading.load_safely(path)
