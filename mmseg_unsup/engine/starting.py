"""The model that a training of a config starts from, which is complete where nothing trains."""
import os
import os.path as osp
from typing import Optional

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from mmengine.runner.checkpoint import weights_to_cpu
from torch import nn

from ..datasets.image_files import sharing_listings
from .checkpoint_files import write_checkpoint
from .feature_pass import unwrap
from .hooks import FeatureCacheHook, InitializationHook, PrecisionHook
from .hooks.fit_hook import fit_due
from .runner import ConsoleRunner

NEW_MODEL = 'epoch_0.pth'  # of a work directory


@sharing_listings()
def fit_config(cfg: Config, path: str) -> None:
    """Fit what a config fits to the images of its ``probe_dataloader``, without training, and write the model."""
    runner = ConsoleRunner.from_cfg(cfg)
    initialize(runner)
    fit_due(runner, 'before_test_epoch')
    if is_main_process():
        save_model(runner, path)


def initialize(runner: Runner) -> None:
    """Give the model the weights that a training of its config starts from."""
    model = load_start(runner)
    for hook in runner.hooks:
        if isinstance(hook, InitializationHook):
            hook.note_start(runner)
        elif isinstance(hook, FeatureCacheHook):
            hook.before_test(runner)
    fit_due(runner, 'before_train')  # such as principal components
    model.start(is_new=True)


def load_start(runner: Runner) -> nn.Module:
    """The model, unwrapped, with the weights that its config names, in the precision of its passes."""
    model = unwrap(runner.model)
    for hook in runner.hooks:
        if isinstance(hook, PrecisionHook):  # which a run asks later
            hook.before_run(runner)
    model.init_weights()
    return model


def check_save(path: str, checkpoint: Optional[str]) -> None:
    """Make the folder of the file.

    Raises:
        FileExistsError: the file is there; OSError: the folder cannot be made.
        ValueError: there is a checkpoint already.
    """
    if checkpoint is not None:
        raise ValueError(f"--save {path} writes a model of the weights that a training starts from: give 'none' in the "
                         f'place of {checkpoint}, which is a model already')
    if osp.lexists(path):
        raise FileExistsError(f'{path} is there already: choose another name, or remove it')
    os.makedirs(osp.dirname(path) or '.', exist_ok=True)


def save_model(runner: Runner, path: str) -> None:
    """Write the model of a run that has not trained, with its config, as a checkpoint after no epochs."""
    model = unwrap(runner.model)
    checkpoint = dict(meta=dict(epoch=0, iter=0, seed=runner.seed, cfg=runner.cfg.pretty_text),
                      state_dict=weights_to_cpu(model.state_dict()))
    for hook in runner.hooks:
        if isinstance(hook, InitializationHook):
            hook.before_save_checkpoint(runner, checkpoint)
    write_checkpoint(path, checkpoint)
