"""mmseg-unsup side-by-side: ratios by hand, the order of the runs, and both codes on small data, the released one as a
sketch that has its names."""
import json
import os
import subprocess
import time

import pytest
import torch

from mmseg_unsup.analysis import released_picie, side_by_side
from mmseg_unsup.analysis.released_picie import Work, archive_of, time_released
from mmseg_unsup.analysis.side_by_side import (Variant, describe_machine, measure, parse_variant, plan, ratios_of,
                                               run_apart, table_of, time_ours)
from mmseg_unsup.analysis.stopwatch import Seconds
from mmseg_unsup.utils.cpu import cpu_facts, cpu_has, cpu_name
from ..conftest import write_camvid
from ..forks import spawn
from ..test_tools.test_train_and_test import SMALL, config

COMMONS = '''
import time, torch, utils
from sklearn.utils.linear_assignment_ import linear_assignment
BUSY = dict(kmeans=0.02, labels=0.01, train=0.04)
def work(what, images):
    end = time.process_time() + BUSY[what] * images
    while time.process_time() < end:
        pass
def get_model_and_optimizer(args, logger):
    from torchvision.models.utils import load_state_dict_from_url
    assert load_state_dict_from_url('address', progress=True)['conv1.weight'].shape == (1,)
    model = torch.nn.Linear(2, 2).cuda()
    return model, torch.optim.Adam(model.parameters(), lr=args.lr), None
def run_mini_batch_kmeans(args, logger, loader, model, view):
    assert (loader.batch_size, args.num_init_batches, args.kmeans_n_iter) == (4, 48, 20)
    for indices, images in loader:
        work('kmeans', len(indices))
    return torch.ones(args.K_train, 2), 0.
def compute_labels(args, logger, loader, model, centroids, view):
    for indices, images in loader:
        work('labels', len(indices))
        torch.save(centroids.numpy(), utils.label_file(args, indices[0]))
    return torch.ones(args.K_train)
'''
TRAIN = '''
import argparse, torch, commons, utils
def parse_arguments():
    parser = argparse.ArgumentParser()
    for name in 'pretrain augment jitter blur grey equiv random_crop h_flip'.split():
        parser.add_argument(f'--{name}', action='store_true')
    for name in 'data_root save_root'.split():
        parser.add_argument(f'--{name}')
    for name in ('num_batches kmeans_n_iter num_workers seed res res1 res2 K_train K_test batch_size_train '
                 'batch_size_cluster num_init_batches').split():
        parser.add_argument(f'--{name}', type=int)
    parser.add_argument('--lr', type=float)
    return parser.parse_args()
def train(args, logger, loader, model, classifier1, classifier2, criterion1, criterion2, optimizer, epoch):
    assert loader.batch_size == args.batch_size_train == 2 and (args.res1, args.res2) == (32, 64)
    assert classifier2.module.weight.shape == (3, 2, 1, 1) and len(criterion1.weight) == 3
    assert torch.load(utils.label_file(args, 0)).shape == (3, 2)  # a pickle of numpy
    for indices, *images in loader:
        commons.work('train', len(indices))
'''
UTILS = '''
import os, types, torch
from PIL import Image
class Images:
    def __init__(self, root):
        with open(f'{root}/curated/train2017/Coco164kFull_Stuff_Coarse_7.txt') as file:
            self.paths = [f'{root}/images/train2017/{line.strip()}.jpg' for line in file]
    def reshuffle(self):
        assert self.mode == 'compute'
    def __len__(self):
        return len(self.paths)
    def __getitem__(self, i):
        return i, torch.tensor(Image.open(self.paths[i]).size)
def collate_train(batch):
    return [i for i, _ in batch], torch.stack([image for _, image in batch])
def get_transform_params(args):
    assert args.augment and args.jitter and args.blur and args.equiv and args.random_crop and args.h_flip
    return [], []
def get_dataset(args, mode, inv_list, eqv_list):
    os.makedirs(args.save_model_path, exist_ok=True)
    return Images(args.data_root)
def label_file(args, i):
    return os.path.join(args.save_model_path, f'{i}.pkl')
def initialize_classifier(args):
    return types.SimpleNamespace(module=types.SimpleNamespace(weight=torch.nn.Conv2d(2, args.K_train, 1).weight))
def freeze_all(classifier):
    classifier.module.weight.requires_grad = False
def fix_seed_for_reproducability(seed):
    torch.manual_seed(seed)
'''


@pytest.fixture(scope='module')
def clone(tmp_path_factory):
    """A repository with the names of the released code, whose phases last 40, 20 and 40 ms an image."""
    folder = tmp_path_factory.mktemp('sketch')
    for name, text in {'commons.py': COMMONS, 'train_picie.py': TRAIN, 'utils.py': UTILS, 'data/x.py': '',
                       'modules/x.py': '', 'notebook.ipynb': 'large'}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    author = ['-c', 'user.name=a', '-c', 'user.email=a@b']
    for command in (['init', '-q'], ['add', '-A'], [*author, 'commit', '-qm', 'sketch']):
        subprocess.run(['git', *command], cwd=folder, check=True)
    return folder


def camvid_work(root, n_warmup: int) -> Work:
    write_camvid(root)
    torch.save({'state_dict': {'conv1.weight': torch.ones(1)}}, root / 'weights.pth')
    images = tuple(sorted(map(str, (root / 'images' / 'train').rglob('*.jpg'))))
    return Work(str(root), images, n_warmup, str(root / 'weights.pth'), 32, 3, 2)


def run_sketch(rank, archive, work, folder) -> None:
    (folder / 'packages' / 'torchvision' / 'models').mkdir(parents=True)
    for name in ('.', 'models'):
        (folder / 'packages' / 'torchvision' / name / '__init__.py').touch()
    (folder / 'out.json').write_text(json.dumps(time_released(archive, work, str(folder / 'packages'))))


def test_the_released_code_is_called_as_its_main_does(clone, tmp_path):
    """Its phases, of the measured epoch alone; the clone may be bare."""
    pytest.importorskip('faiss')
    bare = tmp_path / 'bare'
    subprocess.run(['git', 'clone', '-q', '--bare', str(clone), str(bare)], check=True)
    assert archive_of(str(bare)) == archive_of(str(clone)) and b'notebook' not in archive_of(str(bare))
    spawn(run_sketch, (archive_of(str(bare)), camvid_work(tmp_path, 2), tmp_path))
    seconds = {phase: Seconds(*values) for phase, values in json.loads((tmp_path / 'out.json').read_text()).items()}
    for phase, expected in dict(cluster=4 * 0.04, label=4 * 0.02, train=4 * 0.04).items():
        cost = seconds[phase]
        assert expected <= cost.cpu < expected + 0.1 and cost.user <= cost.cpu + 0.02 and cost.wall >= cost.cpu - 0.02


def test_an_epoch_of_a_config(tmp_path):
    """Clustering, labels and training; neither evaluation nor files."""
    work = camvid_work(tmp_path, 2)._replace(weights=None, batch_size=2)
    words = tuple(word for word in SMALL if 'val_' not in word)
    start = time.process_time()
    seconds = time_ours(Variant('float32', config('picie_fpn_camvid'), (*words, 'n_clusters=3'), amp=False), work)
    spent = time.process_time() - start
    assert {'cluster', 'label', 'train'} <= seconds.keys() and not {'evaluate', 'fresh k-means'} & seconds.keys()
    assert all(seconds[phase].cpu > 0 for phase in ('cluster', 'label', 'train'))
    assert sum(cost.cpu for cost in seconds.values()) <= spent


def phases(cluster, label, train):
    return {name: Seconds(2 * value, value, value)._asdict()
            for name, value in dict(cluster=cluster, label=label, train=train).items()}


def test_ratios_by_hand():
    """Each repeat against the released code of the same repeat."""
    ratios = ratios_of([phases(1, 1, 2), phases(3, 1, 2), phases(2, 1, 3)], [phases(2, 4, 4), phases(2, 2, 4),
                                                                           phases(4, 4, 4)])
    assert ratios['cluster'] == (0.5, 0.5, 1.5) and ratios['label'] == (0.25, 0.25, 0.5)
    assert ratios['train'] == (0.5, 0.5, 0.75)
    assert ratios['sum'] == ratios['cpu'] == ratios['wall'] == (0.5, 0.4, 0.75)


def test_turns_and_table(clone, tmp_path, monkeypatch):
    """Round robin, the numbers after each run, and what the table says of them."""
    work, order, out = Work('data', tuple('abcd'), 2, None, 32, 3, 2), [], tmp_path / 'out.json'

    def run_apart(name, function, *args):
        order.append(name)
        assert function is (time_released if name == 'released' else time_ours)
        assert len(order) == 1 or sum(map(len, json.loads(out.read_text())['runs'].values())) == len(order) - 1
        cost = {'released': (4., 2., 4. + len(order) // 3), 'a': (1., 1., 3.)}[name]
        return {phase: Seconds(**values) for phase, values in phases(*cost).items()}

    monkeypatch.setattr(side_by_side, 'run_apart', run_apart)
    report = measure(str(clone), work, [Variant('a', 'config', (), False)], 2, out=str(out))
    assert order == ['released', 'a', 'released', 'a']
    table = table_of(report)
    assert '| a | 0.25 (0.25 to 0.25) | 0.50 (0.50 to 0.50) | 0.68 (0.60 to 0.75) | 0.48 (0.45 to 0.50) |' in table
    assert 'the released code itself varies from 0.95 to 1.05' in table and '2 repeats' in table


def test_a_process_of_its_own(monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '7')
    assert run_apart('a', os.getpid) != os.getpid()
    assert run_apart('a', os.getenv, 'OMP_NUM_THREADS') == '1'
    assert run_apart('a', os.getenv, 'CUDA_VISIBLE_DEVICES') == ''
    with pytest.raises(ValueError, match='invalid literal') as caught:
        run_apart('a', int, 'x')
    assert caught.value.__cause__ is None
    with pytest.raises(RuntimeError, match='a: the process that measured it was ended from outside'):
        run_apart('a', os._exit, 1)


def test_the_machine(tmp_path):
    (tmp_path / 'cpuinfo').write_text('processor: 0\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Intel Xeon\n'
                                      'flags\t\t: sse amx_tile\n\nprocessor: 1\nflags: avx512f\n')
    facts = cpu_facts(str(tmp_path / 'cpuinfo'))
    assert cpu_name(facts) == 'Intel Xeon (family 6, model 143)'
    assert cpu_has('amx_tile', facts=facts) and not cpu_has('avx512f', facts=facts)
    assert cpu_facts(str(tmp_path / 'none')) == {} and cpu_has('amx_tile', facts={}) is None and cpu_name({})
    assert describe_machine()['cpu'] == cpu_name()


def test_variants():
    assert parse_variant('b=c.py,n_clusters=3,amp') == Variant('b', 'c.py', ('n_clusters=3', ), True)
    for text in ('c.py', '=c.py', 'b=', 'released=c.py', 'b=c.py,n_clusters', 'b=c.py,=3'):
        with pytest.raises(ValueError, match=f'--ours takes NAME=CONFIG.* but it is {text!r}'):
            parse_variant(text)


def test_the_work_is_that_of_the_first_config(tmp_path):
    expected = camvid_work(tmp_path, 2)
    variants = [f'a={config("picie_fpn_camvid")},n_clusters=3,size=32,train_dataloader.batch_size=2',
                f'b={config("picie_plain_fpn_camvid")}']
    work, ours = plan(variants, str(tmp_path), expected.weights, None, 2)
    assert work == expected and [variant.name for variant in ours] == ['a', 'b']


def test_what_is_wrong_is_said_before_anything_runs(tmp_path, monkeypatch):
    write_camvid(tmp_path)
    path = config('picie_fpn_camvid')
    for variants, init, images, message in (
        ([f'a={path}', f'a={path}'], None, None, 'has a name twice'),
        ([f'a={path}'], str(tmp_path / 'none.pth'), None, 'none.pth: there is no such file'),
        ([f'a={path}'], None, 5, '--images 5 must lie between --warmup-images 2 and the 4 training images of'),
        ([f'a={path}', f'b={path},n_cluster=3'], None, None, 'did you mean n_clusters')):
        with pytest.raises(ValueError, match=message):
            plan(variants, str(tmp_path), init, images, 2)
    with pytest.raises(ValueError, match='has not the code of PiCIE .* give a clone of https://github.com'):
        archive_of(str(tmp_path))
    monkeypatch.setattr(side_by_side, 'find_spec', lambda name: None)
    with pytest.raises(ValueError, match='the released code needs torchvision, .* --packages'):
        side_by_side.check_packages(None)
    assert released_picie.NEEDED == ('torchvision', 'faiss')
