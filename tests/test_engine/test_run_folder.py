"""A work directory belongs to one run, and to one process group at a time."""
import json
import os
import re
import shutil
import signal
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import Optional

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmseg_unsup.engine import run_folder
from mmseg_unsup.engine.hooks import RunFolderHook
from mmseg_unsup.engine.run_folder import owned_folder
from mmseg_unsup.utils import distributed, locks
from mmseg_unsup.utils.run_logs import read_run_log
from mmseg_unsup.utils.run_record import differing_for_resume, differing_settings, read_record, run_settings
from ..conftest import write_images
from .test_killed_runs import in_child
from .tiny import tiny_config

pytestmark = pytest.mark.filterwarnings('ignore')


def train(cfg, restart: bool = False) -> None:
    """As tools/train.py does."""
    with owned_folder(cfg, restart) as folder:
        runner = Runner.from_cfg(cfg)
        runner.register_hook(RunFolderHook(folder))
        runner.train()
        folder.finish()


def plain_config(folder, **changes) -> Config:
    """Settings of no network."""
    values = dict(work_dir=str(folder), model=dict(type='X', n_clusters=3), randomness=dict(seed=0),
                  train_cfg=dict(max_epochs=2), train_dataloader=dict(num_workers=2, dataset=dict(data_root='/a/data')))
    cfg = Config(values)
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in changes.items()})
    return cfg


def begin(cfg, restart: bool = False, images: Optional[dict] = None, epochs: int = 1) -> None:
    """What a run leaves: its record and checkpoints."""
    with owned_folder(cfg, restart) as folder:
        folder.begin(images or {})
        for epoch in range(1, 1 + epochs):
            open(os.path.join(folder.path, f'epoch_{epoch}.pth'), 'w').close()


def content(folder) -> dict:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != 'run.lock'}


def test_a_folder_with_checkpoints_is_refused_and_stays_as_it_is(tmp_path):
    begin(plain_config(tmp_path))
    before = content(tmp_path)
    for changes in ({}, dict(model__n_clusters=4), dict(load_from='other.pth')):
        with pytest.raises(ValueError, match=r'holds the checkpoints of another run \(epoch_1.pth\): go on with it '
                                             r'\(--resume\), .*\(--work-dir\), .*\(--restart\)'):
            begin(plain_config(tmp_path, **changes))
    assert content(tmp_path) == before


@pytest.mark.parametrize('name', ['epoch_3.pth', 'iter_20.pth', 'preempted.pth', 'last_checkpoint'])
def test_what_counts_as_a_run(tmp_path, name):
    """Runs of other versions, and of mmseg, have no record."""
    (tmp_path / name).write_text('x')
    with pytest.raises(ValueError, match=f'checkpoints of another run .{name}'):
        begin(plain_config(tmp_path))
    begin(plain_config(tmp_path, resume=True))


@pytest.mark.parametrize('name', ['resnet18.pth', 'epoch_x.pth', 'notes.txt', 'best_mIoU.txt'])
def test_what_does_not(tmp_path, name):
    (tmp_path / name).write_text('x')
    begin(plain_config(tmp_path))


def test_checkpoints_in_another_folder_count_too(tmp_path):
    (tmp_path / 'out' / 'run').mkdir(parents=True)
    (tmp_path / 'out' / 'run' / 'epoch_1.pth').write_text('x')
    cfg = plain_config(tmp_path / 'a' / 'run', default_hooks__checkpoint__out_dir=str(tmp_path / 'out'))
    with pytest.raises(ValueError, match='epoch_1.pth'):
        begin(cfg)


@pytest.mark.parametrize('changes', [
    dict(train_cfg__max_epochs=9), dict(train_cfg__val_interval=1), dict(train_dataloader__num_workers=0),
    dict(train_dataloader__dataset__data_root='/scratch/7/data'), dict(env_cfg__mp_cfg__mp_start_method='spawn'),
    dict(default_hooks__logger__interval=1), dict(default_hooks__checkpoint__max_keep_ckpts=9),
    dict(optim_wrapper__type='mmseg_unsup.BFloat16OptimWrapper'), dict(default_hooks__non_finite__action='skip'),
    dict(test_evaluator__type='Y'), dict(n_clusters=4), dict(randomness__deterministic=True)])
def test_a_run_goes_on_with_other_length_places_and_machines(tmp_path, changes):
    begin(plain_config(tmp_path))
    begin(plain_config(tmp_path, resume=True, **changes))


@pytest.mark.parametrize('changes, message', [
    (dict(model__n_clusters=4), 'model.n_clusters is 3 there and 4 now. Resume it with its own settings'),
    (dict(randomness__seed=1), 'randomness.seed is 0 there and 1 now'),
    (dict(train_dataloader__batch_size=4), 'train_dataloader.batch_size is absent there and 4 now'),
    (dict(optim_wrapper__optimizer__lr=1.), 'optim_wrapper.optimizer.lr is absent there and 1.0 now'),
    (dict(model__n_clusters=4, randomness__seed=1), 'and 4 now; 1 more differ'),
    (dict(val_dataloader__dataset__pipeline=[dict(size=9)]), 'val_dataloader.dataset.pipeline.0.size is absent'),
])
def test_a_run_does_not_go_on_with_other_settings(tmp_path, changes, message):
    begin(plain_config(tmp_path))
    before = content(tmp_path)
    with pytest.raises(ValueError, match=re.escape(message)):
        begin(plain_config(tmp_path, resume=True, **changes))
    assert content(tmp_path) == before


def test_files_of_weights_and_lists_may_move_and_not_change():
    def settings(init, names):
        return run_settings(Config(dict(model=dict(init_cfg=dict(checkpoint=init)), train_dataloader=dict(
            ann_file=names))))
    first = settings('/a/r18.pth', '/a/5.txt')
    assert differing_for_resume(first, settings('/b/r18.pth', 'b/5.txt')) == []
    assert differing_for_resume(first, settings('/a/r50.pth', '/a/9.txt')) == ['model.init_cfg.checkpoint',
                                                                              'train_dataloader.ann_file']
    assert differing_settings(first, settings('/b/r18.pth', '/a/5.txt')) == ['model.init_cfg.checkpoint']
    assert run_settings(Config(dict(model=dict(norm=dict(type='SyncBN'))))) == {'model.norm.type': 'BN'}


def test_the_images_are_those_of_the_run(tmp_path):
    images = dict(train_dataloader=dict(number=4, digest='aa'), val_dataloader=dict(number=2, digest='bb'))
    begin(plain_config(tmp_path), images=images)
    begin(plain_config(tmp_path, resume=True), images=images)
    before = content(tmp_path)
    with pytest.raises(ValueError, match=r'on other images: val_dataloader had 2 \(bb\) there and has 2 \(cc\) now'):
        begin(plain_config(tmp_path, resume=True), images=dict(images, val_dataloader=dict(number=2, digest='cc')))
    assert content(tmp_path) == before


def test_a_checkpoint_of_another_folder(tmp_path):
    begin(plain_config(tmp_path / 'a'))
    other = str(tmp_path / 'a' / 'epoch_1.pth')
    begin(plain_config(tmp_path / 'b', resume=True, load_from=other, model__n_clusters=9))  # nothing is lost there
    with pytest.raises(ValueError, match=f'b holds the checkpoints of another run than {other}'):
        begin(plain_config(tmp_path / 'b', resume=True, load_from=other, model__n_clusters=9))
    begin(plain_config(tmp_path / 'a', resume=True, load_from=other))


def test_a_restarted_run_drops_the_former_one_when_it_begins(tmp_path):
    begin(plain_config(tmp_path), epochs=3)
    with owned_folder(plain_config(tmp_path, model__n_clusters=9), restart=True):
        assert (tmp_path / 'epoch_3.pth').exists()  # it may still fail to be built
    begin(plain_config(tmp_path, model__n_clusters=9), restart=True)
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['epoch_1.pth']
    assert read_record(str(tmp_path))['settings']['model.n_clusters'] == '9'


def test_a_run_that_left_no_checkpoint_gives_way_with_its_logs(tmp_path):
    for name, score in (('1', 30.), ('2', 50.)):
        begin(plain_config(tmp_path, randomness__seed=int(name)), epochs=0)
        (tmp_path / name / 'vis_data').mkdir(parents=True)
        (tmp_path / name / 'vis_data' / 'scalars.json').write_text(json.dumps(dict(mIoU=score, step=int(name))) + '\n')
    assert read_run_log(str(tmp_path)).evaluations == {2: dict(mIoU=50.)}


def test_a_work_directory_that_is_none(tmp_path):
    (tmp_path / 'file').write_text('x')
    for path, reason in (('file', 'File exists'), ('file/run', 'Not a directory')):
        with pytest.raises(ValueError, match=f'{path}. cannot be written to .{reason}.: give another --work-dir'):
            begin(plain_config(tmp_path / path))


def test_a_checkpoint_that_does_not_exist(tmp_path):
    begin(plain_config(tmp_path))
    with pytest.raises(FileNotFoundError, match="no checkpoint 'nowhere.pth' to resume from: check the path"):
        begin(plain_config(tmp_path, resume=True, load_from='nowhere.pth'))


@pytest.mark.parametrize('text', ['', '[]', '{"finished": true}', '{"settings": 3}'])
def test_a_damaged_record(tmp_path, text):
    begin(plain_config(tmp_path))
    (tmp_path / 'run.json').write_text(text)
    with pytest.raises(ValueError, match='run.json is not the record of a run: remove that file'):
        begin(plain_config(tmp_path, resume=True))


@pytest.fixture
def owner(tmp_path):
    """A process that works in the folder, with a data worker of its own that outlives it."""
    pipe = os.pipe()

    def work():
        with owned_folder(plain_config(tmp_path)):
            worker = os.fork()
            if worker:
                os.write(pipe[1], f'{worker}\n'.encode())
            time.sleep(60)

    child = in_child(work)
    worker = int(os.read(pipe[0], 100))
    yield child
    for pid in (child.pid, worker):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    child.join()


def test_a_folder_in_use_is_refused_until_its_process_is_gone(tmp_path, owner):
    for restart in (False, True):
        with pytest.raises(ValueError, match=f'another run works in {tmp_path} .process {owner.pid} on '):
            begin(plain_config(tmp_path), restart)
    os.kill(owner.pid, signal.SIGKILL)
    owner.join()  # its worker still runs
    begin(plain_config(tmp_path))


def test_where_there_are_no_locks(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(37, 'No locks available')
    monkeypatch.setattr(locks.fcntl, 'lockf', refuse)
    begin(plain_config(tmp_path))
    assert (tmp_path / 'epoch_1.pth').exists()
    monkeypatch.setattr(locks, 'fcntl', None)  # Windows
    with run_folder.owned_folder(plain_config(tmp_path / 'other')) as folder:
        assert folder.path == str(tmp_path / 'other')


def test_all_ranks_fail_if_the_first_does(tmp_path, monkeypatch):
    """The other ranks look at nothing themselves."""
    begin(plain_config(tmp_path))
    monkeypatch.setattr(distributed, 'is_main_process', lambda: False)
    monkeypatch.setattr(distributed, 'broadcast_object_list',
                        lambda outcome: outcome.__setitem__(1, ValueError('of the first rank')))
    with pytest.raises(ValueError, match='of the first rank'):
        begin(plain_config(tmp_path))
    with pytest.raises(ValueError, match='of the first rank'):
        RunFolderHook(SimpleNamespace()).before_run(None)


def test_a_training_owns_its_folder(tmp_path):
    """Refused, resumed, moved to another disk, and resumed with nothing there."""
    root, folder = write_images(tmp_path / 'images', 6), tmp_path / 'run [1]'
    train(tiny_config(root, folder, resume=True))
    log = next(folder.glob('*/*.log')).read_text()
    assert 'there is no checkpoint in' in log and 'None' not in re.findall('.*esumed.*', log)
    record = read_record(str(folder))
    assert record['finished'] and record['images']['train_dataloader']['number'] == 6
    with pytest.raises(ValueError, match='holds the checkpoints of another run'):
        train(tiny_config(root, folder))
    moved = shutil.copytree(root, tmp_path / 'moved')
    train(tiny_config(moved, folder, resume=True, max_epochs=2))
    assert (folder / 'epoch_2.pth').exists() and len(read_run_log(str(folder)).evaluations) == 2
    os.remove(tmp_path / 'moved' / f'{5:012d}.jpg')
    with pytest.raises(ValueError, match='on other images: train_dataloader had 6 .* there and has 5 '):
        train(tiny_config(moved, folder, resume=True, max_epochs=3))
    with pytest.raises(ValueError, match='model.decode_head.n_clusters is 3 there and 4 now. Resume it'):
        train(tiny_config(root, folder, resume=True, n_clusters=4))
