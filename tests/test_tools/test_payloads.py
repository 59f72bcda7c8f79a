"""Every tool on files of a stranger that ask for code to run: each is refused, and nothing has run."""
import os
import os.path as osp
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmseg.apis import MMSegInferencer

from mmseg_unsup.apis import UnsupInferencer
from mmseg_unsup.hosts import safe_loading
from ..conftest import NO_WORKERS, ROOT, write_camvid
from ..test_apis.test_inferencer import tiny_checkpoint
from ..test_priors.test_model import write_network

TOOLS = osp.join(ROOT, 'tools')
PICIE = osp.join(ROOT, 'configs', 'picie', 'picie_fpn_folder.py')


class Payload:
    """Unpickles by making a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path, )


@pytest.fixture
def mark(tmp_path):
    """What a payload makes if it runs."""
    path = tmp_path / 'ran'
    yield path
    assert not path.exists()


def continued(**meta) -> dict:
    """All that a run is continued from."""
    weights = {'backbone.conv1.weight': torch.zeros(64, 3, 7, 7)}
    return dict(meta=dict(epoch=1, iter=1, **meta), state_dict=weights, message_hub={}, optimizer={})


def checkpoint_with_code(path, mark, **options) -> str:
    """The same with a payload."""
    torch.save(dict(continued(), evil=Payload(mark)), path, **options)
    return str(path)


# --- pickles in the place of weights

REFUSED = r'evil.pth .*wants to load (posix|nt)\.mkdir, which is neither|evil.pth cannot be read'


def small_run(folder) -> list:
    """Options of a training that is over before it has begun."""
    return ['--work-dir', folder / 'run', '--cfg-options', f'data_root={folder / "images"}',
            'model.backbone.init_cfg=None', 'model.backbone.depth=18', *NO_WORKERS]


# an evaluation that needs labels
LABELLED = "test_evaluator=[{'type': 'mmseg_unsup.ClusterIoUMetric'}]"


def network(folder) -> str:
    return write_network(folder, 3, 3)[0]


BACKBONE = "--options backbone.depth=18 backbone.init_cfg.type=Pretrained backbone.init_cfg.checkpoint={}"
COMMANDS = {
    'train': lambda f, evil: [PICIE, *small_run(f), f'load_from={evil}'],
    'train --resume': lambda f, evil: [PICIE, '--resume', evil, *small_run(f)],
    'train init': lambda f, evil: [PICIE, '--work-dir', f / 'run', '--cfg-options', f'data_root={f / "images"}',
                                   f'init={evil}', *NO_WORKERS],
    'test': lambda f, evil: [PICIE, evil, *small_run(f)],
    'predict': lambda f, evil: ['none', evil, f / 'images', '--out', f / 'out'],
    'predict CONFIG': lambda f, evil: [PICIE, evil, f / 'images', '--out', f / 'out'],
    'export': lambda f, evil: ['none', evil, f / 'model.ts', '--images', f / 'images'],
    'name': lambda f, evil: ['none', evil, f / 'clusters.json'],
    'segment': lambda f, evil: [f / 'images', '--out', f / 'out', '--init', evil],
    'priors model': lambda f, evil: [f / 'images', f / 'masks', '--prior', 'model', '--options',
                                          f'config={network(f)}', f'checkpoint={evil}'],
    'priors spectral': lambda f, evil: [f / 'images', f / 'masks', '--prior', 'spectral',
                                             *BACKBONE.format(evil).split(' ')],
    'gallery': lambda f, evil: [PICIE, evil, f / 'images', '--out', f / 'page.html'],
    'choose-k': lambda f, evil: [PICIE, evil, '--k', '3', '--cfg-options', f'data_root={f / "images"}'],
    'position': lambda f, evil: [PICIE, evil, '--cfg-options', f'data_root={f / "images"}'],
    'confusion-matrix': lambda f, evil: [PICIE, evil, f / 'matrix.png', *small_run(f), LABELLED],
    'score-priors': lambda f, evil: [f / 'images', f / 'images', '--priors', 'spectral', '--weights',
                                                    evil],
    'extract-backbone': lambda f, evil: [evil, f / 'out.pth', '--format', 'mmseg'],
    'convert-picie': lambda f, evil: [evil, f / 'out.pth'],
    'convert-maskcontrast': lambda f, evil: [evil, f / 'out.pth'],
}


@pytest.mark.parametrize('command', COMMANDS)
def test_a_pickle_in_the_place_of_weights(command, tool, image_folder, tmp_path, mark):
    evil = checkpoint_with_code(tmp_path / 'evil.pth', mark)
    with pytest.raises(ValueError, match=REFUSED):
        tool(command.split(' ')[0], *COMMANDS[command](tmp_path, evil))


def tar_of_old_torch(path) -> None:
    import io
    import pickle
    import tarfile
    with tarfile.open(path, 'w:') as archive:
        for name, thing in (('sys_info', {}), ('storages', 0), ('tensors', 0), ('pickle', Payload(path))):
            content = pickle.dumps(thing, 2)
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize('environment', [{}, dict(TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD='1'),
                                         dict(TORCH_FORCE_WEIGHTS_ONLY_LOAD='0')])
@pytest.mark.parametrize('form', ['zip', 'legacy', 'pickle', 'tar', 'TorchScript', 'torch.export', 'npy', 'joblib'])
def test_forms_of_files(form, environment, monkeypatch, tmp_path, mark):
    """One reader stands for all of them, see test_readers.py."""
    from mmengine.runner import CheckpointLoader
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / 'evil.pth'
    if form in ('zip', 'legacy'):
        checkpoint_with_code(path, mark, _use_new_zipfile_serialization=form == 'zip')
    elif form in ('pickle', 'joblib'):
        import pickle
        path.write_bytes(pickle.dumps(Payload(mark)))
    elif form == 'tar':
        tar_of_old_torch(path)
    elif form == 'npy':
        with open(path, 'wb') as file:
            np.save(file, np.array([Payload(mark)], object), allow_pickle=True)
    else:
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('evil/' + {'TorchScript': 'constants.pkl'}.get(form, 'archive_format'), b'')
    with pytest.raises(ValueError, match=r'evil.pth (wants to load|cannot be read|is a program)'):
        CheckpointLoader.load_checkpoint(str(path))
    assert {name: os.environ.get(name) for name in environment} == environment


class Calls:
    """Unpickles by ``function(*args)``."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.skipif(not safe_loading._takes_pairs(), reason='torch before 2.5 names less of what it refuses')
def test_functions_that_checkpoints_may_call(tmp_path, mark):
    """Those that rebuild arrays, histories and tensors, and no others by way of them."""
    import _codecs
    import io

    from mmengine.logging import HistoryBuffer
    inner, history = io.BytesIO(), HistoryBuffer([1.], [1])
    torch.save(Payload(mark), inner)
    history._statistics_methods = dict(mean=os.system)
    for content, message in ((Calls(torch.storage._load_from_bytes, inner.getvalue()),
                              'torch.storage._load_from_bytes'),
                             (Calls(torch._utils._rebuild_parameter, Payload(mark), True, {}), r'(posix|nt)\.mkdir'),
                             (np.array([Payload(mark)], object), 'ObjectDType'),
                             (history, r'(posix|nt)\.system'),
                             (Calls(_codecs.encode, 'a', 'antigravity'), 'unknown encoding')):
        torch.save(dict(a=content), tmp_path / 'evil.pth')
        with pytest.raises(ValueError, match=f'evil.pth (wants to load|cannot be read).*{message}'):
            safe_loading.load_safely(str(tmp_path / 'evil.pth'))


# --- code in the place of a config


def evil_config(mark) -> str:
    return f"__import__('os').mkdir({str(mark)!r})\n"


def resumable(path, **meta) -> str:
    torch.save(continued(**meta), path)
    return str(path)


def test_the_config_that_a_resumed_checkpoint_carries(tool, image_folder, tmp_path, mark, monkeypatch):
    """mmengine executes ``meta['config']``; the number of GPUs that it looks for there stays."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'evil_module.py').write_text(evil_config(mark))
    text = ('import evil_module\n_base_ = "evil_module.py"\ncustom_imports = dict(imports=["evil_module"])\n'
            f'{evil_config(mark)}gpu_ids = [0, 1]\n')
    evil = resumable(tmp_path / 'evil.pth', config=text)
    with pytest.raises(RuntimeError, match='Number of GPUs used for current experiment'):
        tool('train', PICIE, '--resume', evil, *small_run(tmp_path))


def test_files_that_a_resumed_checkpoint_calls_its_best(tmp_path):
    """A run removes its former best checkpoint when there is a better one."""
    from mmengine.runner import CheckpointLoader
    own = str(tmp_path / 'best_mIoU_epoch_1.pth')
    info = dict(best_ckpt=str(tmp_path / 'thesis.tex'), best_ckpt_mIoU=own, best_score=0., best_ckpt_a=3)
    torch.save(dict(message_hub=dict(runtime_info=info)), tmp_path / 'a.pth')
    found = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'))['message_hub']['runtime_info']
    assert found == dict(best_ckpt=None, best_ckpt_mIoU=own, best_score=0., best_ckpt_a=None)
    (tmp_path / 'best_mIoU_epoch_1.pth').mkdir()  # whole folders would go
    found = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'))['message_hub']['runtime_info']
    assert found['best_ckpt_mIoU'] is None


NONE = {name: COMMANDS[name] for name in ('predict', 'export', 'name', 'extract-backbone')}
DOTTED = r"evil.pth carries has model(\.backbone)?\.type='os.mkdir', which is no type .*name the config file"


@pytest.mark.parametrize('command', NONE)
def test_types_of_a_stored_config(command, tool, image_folder, tmp_path, mark):
    evil = str(tmp_path / 'evil.pth')
    code = dict(type='os.mkdir', path=str(mark))
    model = dict(type='mmseg_unsup.PiCIE', backbone=code) if 'backbone' in command else code
    torch.save(dict(meta=dict(cfg=f'model = {model!r}'), state_dict={'backbone.conv1.weight': torch.zeros(1)}), evil)
    with pytest.raises(ValueError, match=DOTTED):
        tool(command, *NONE[command](tmp_path, evil))


def test_mmengine_reads_a_stored_config_as_data(tmp_path, mark):
    """``MMSegInferencer`` would execute it, and build any type that can be imported."""
    for text, message in ((evil_config(mark), 'is more than data'),
                          (f"model = dict(type='os.mkdir', path={str(mark)!r})", "model.type='os.mkdir', which is no "
                           "type")):
        torch.save(dict(meta=dict(cfg=text), state_dict={}), tmp_path / 'evil.pth')
        with pytest.raises(ValueError, match=message):
            MMSegInferencer(None, str(tmp_path / 'evil.pth'), device='cpu')


@pytest.mark.parametrize('command', ['predict', 'name', 'inferencer'])
def test_loaders_of_a_stored_config(command, tool, image_folder, tmp_path, mark):
    """Predictions need its transforms, ``--from-labels`` the whole."""
    config, weights = tiny_checkpoint('PiCIE', tmp_path)
    config.test_dataloader.dataset.pipeline.insert(2, dict(type='os.mkdir', path=str(mark)))
    state = torch.load(weights, weights_only=True)['state_dict']
    torch.save(dict(meta=dict(cfg=config.pretty_text), state_dict=state), tmp_path / 'evil.pth')
    evil = str(tmp_path / 'evil.pth')
    further = ['--from-labels', 'hungarian'] if command == 'name' else []
    with pytest.raises(ValueError, match=r"test_dataloader.dataset.pipeline.2.type='os.mkdir', which is no type"):
        if command == 'inferencer':
            UnsupInferencer(None, evil, device='cpu')
        tool(command, *COMMANDS[command](tmp_path, evil), *further)


def test_probes_read_the_config_of_a_checkpoint(mark):
    """It says whether the run predicted with averaged weights."""
    from mmseg_unsup.engine.hooks.probe_hook import check_teacher

    class Model:
        target_generator = SimpleNamespace(predicts=False, epochs=None)

    for text in ('labeller_epochs=4', 'target_generator=dict(epochs=4)'):  # of an earlier version, too
        with pytest.raises(ValueError, match='had model.target_generator.epochs=4, this config has None'):
            check_teacher(Model(), dict(meta=dict(cfg=f'model = dict({text})\n{evil_config(mark)}')))


def test_results_of_others_are_read_only(tool, tmp_path, mark, capsys):
    """The folder of a run holds its config as a Python file."""
    for i in range(2):
        log = tmp_path / f'run{i}' / 'date' / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text('{"loss": 1.0, "iter": 1, "step": 1}\n')
        (tmp_path / f'run{i}' / 'config.py').write_text(f'{evil_config(mark)}lr = {i}\n')
    tool('analyze-logs', tmp_path / 'run0', tmp_path / 'run1', '--out', tmp_path / 'plot.png')
    assert '| lr ' in capsys.readouterr().out


def test_settings_in_yaml(tool, tmp_path, mark):
    (tmp_path / 'evil.yml').write_text(f'config: a.py\nstarts: !!python/object/apply:os.mkdir [{mark}]\n')
    with pytest.raises(ValueError, match=r'more than plain values, .*python/object/apply:os.mkdir.* \(line 2\)'):
        tool('label-efficiency', tmp_path / 'evil.yml')


def test_tables_and_annotations(tmp_path, mark):
    """What mmengine reads by the suffix: a table of seeds.py that is a pickle, annotations, weights of classes."""
    import pickle

    from mmengine.fileio import load
    (tmp_path / 'seeds.pkl').write_bytes(pickle.dumps(Payload(mark), 2))
    with pytest.raises(ValueError, match=r'a pickle wants to load (posix|nt)\.mkdir'):
        load(str(tmp_path / 'seeds.pkl'))
    (tmp_path / 'plain.pkl').write_bytes(pickle.dumps(dict(a={1}, b=(np.float32(2), np.arange(3))), 2))
    plain = load(str(tmp_path / 'plain.pkl'))
    assert plain['a'] == {1} and plain['b'][0] == 2 and plain['b'][1].tolist() == [0, 1, 2]
    (tmp_path / 'plain.yml').write_text('a: !!python/tuple [1, 2]\nb: {c: 1.5}\n')  # as mmengine writes tuples
    assert load(str(tmp_path / 'plain.yml')) == dict(a=(1, 2), b=dict(c=1.5))
    (tmp_path / 'seeds.json').write_bytes(pickle.dumps(Payload(mark), 2))
    with pytest.raises(ValueError):
        load(str(tmp_path / 'seeds.json'))


def test_lists_and_label_maps(tool, tmp_path, mark):
    """Files of a data set: text is text, and a picture that is none is reported."""
    write_camvid(tmp_path)
    evil = next((tmp_path / 'images' / 'train').rglob('*.jpg'))
    import pickle
    evil.write_bytes(pickle.dumps(Payload(mark)))
    config = osp.join(ROOT, 'configs', 'picie', 'picie_fpn_camvid.py')
    assert tool('check', config, '--cfg-options', f'data_root={tmp_path}', '--out', tmp_path / 'list.txt') == 1
    assert evil.name in (tmp_path / 'list.txt').read_text()
