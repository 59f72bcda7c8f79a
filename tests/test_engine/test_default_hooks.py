"""Any default hook may be left out, and the others do without it."""
import pytest

from mmseg_unsup.engine.runner import ConsoleRunner
from mmseg_unsup.utils import load_config
from ..conftest import ROOT
from .tiny import tiny_config

# of all kinds: fine-tuning has none besides
CONFIGS = ('probe/camvid_probes', 'iic/iic_fpn_camvid', 'maskcontrast/maskcontrast_deeplabv3_folder')
HOOKS = {name: hook for config in CONFIGS
         for name, hook in load_config(f'{ROOT}/configs/{config}.py').default_hooks.items()}
# of mmengine, which no config lists
HOOKS['runtime_info'] = dict(type='RuntimeInfoHook')


@pytest.mark.parametrize('name', HOOKS)
def test_none_leaves_a_hook_out(name):
    found = [type(hook).__name__ for hook in registered(dict(HOOKS, **{name: None}))]
    expected = [hook['type'].rpartition('.')[2] for other, hook in HOOKS.items() if other != name]
    assert sorted(found) == sorted(expected)


def registered(hooks: dict) -> list:
    """The hooks of a runner that has nothing else."""
    runner = ConsoleRunner.__new__(ConsoleRunner)
    runner._hooks = []
    runner.register_default_hooks(hooks)
    return runner.hooks


@pytest.mark.parametrize('key', ['n_clusters', 'model.decode_head.n_clusters'])
def test_a_run_without_all_that_it_does_not_need(image_folder, tmp_path, key):
    """Left out by a config that inherits and by options; as many clusters are trained and scored as either key says."""
    needed = {'clustering', 'fresh_kmeans', 'report', 'teacher'}
    child = tmp_path / 'child.py'
    cfg = tiny_config(image_folder, tmp_path / 'run', draws=True, **{key.replace('.', '__'): 5})
    child.write_text(f"{cfg.pretty_text}\ndefault_hooks['view_epoch'] = None\n")
    cfg = load_config(str(child), {f'default_hooks.{name}': None for name in HOOKS if name not in needed})
    runner = ConsoleRunner.from_cfg(cfg)
    assert {type(hook).__name__ for hook in runner.hooks} == {
        'PixelClusteringHook', 'FreshKMeansHook', 'ReportHook', 'TeacherHook'}
    head = runner.train().decode_head
    assert head.n_clusters == len(head.clusters['fresh'].weight) == 5
