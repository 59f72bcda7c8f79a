"""Runs of one process do not share what is theirs alone."""
import glob
import json

from mmseg_unsup.engine.runner import ConsoleRunner
from .tiny import tiny_config


def test_runs_of_one_second_write_and_count_for_themselves(image_folder, tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.runner.runner.time.strftime', lambda *args: '20210101_000000')
    runners = []
    for name, value in dict(a=1., b=2.).items():
        cfg = tiny_config(image_folder, tmp_path / name)
        cfg.pop('experiment_name')
        cfg.visualizer.name = 'visualizer'  # as configs of mmseg say
        runners.append(ConsoleRunner.from_cfg(cfg))
        runners[-1].visualizer.add_scalar('loss', value, step=1)
        runners[-1].message_hub.update_info('iter', value)
    logged = {path.split('/')[-4]: json.loads(open(path).read())['loss']
              for path in glob.glob(f'{tmp_path}/*/*/vis_data/scalars.json')}
    assert logged == dict(a=1, b=2)
    assert [runner.message_hub.get_info('iter') for runner in runners] == [1, 2]
