"""A gallery of seconds: a narrow PiCIE on images of CamVid's layout made here."""
import ast
import json
import re

import cv2
import numpy as np
import torch
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope

from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils.config import load_config, merge_options
from ..conftest import smooth_image
from ..test_tools.test_train_and_test import SMALL, config

N_IMAGES, N_CLASSES = 10, 11


def write_data(root) -> None:
    """Images of two sizes, one in a sub-folder, with labels in stripes and some pixels without."""
    rng = np.random.default_rng(0)
    for i in range(N_IMAGES):
        name, shape = f'{"more/" if i == 0 else ""}{i:03d}', (72 + 8 * (i % 2), 96)
        labels = np.repeat(np.arange(shape[0]) // 12, shape[1]).reshape(shape).astype(np.uint8)
        labels[:, :7] = 255
        for folder, suffix, content in (('images', '.jpg', smooth_image(rng, *shape)), ('labels', '.png', labels)):
            path = root / folder / f'{name}{suffix}'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), content)


def small_config():
    options = {key: ast.literal_eval(value) for key, value in (option.split('=', 1) for option in SMALL)}
    cfg = load_config(config('picie_fpn_camvid'))
    merge_options(cfg, options)
    return cfg


def write_checkpoint(cfg, path, n_clusters: int):
    """Random weights with clusters of their own features; returns path and model."""
    init_default_scope('mmseg')  # fixtures of a module come before that of every test
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).eval()
    with torch.no_grad():
        feats = model.forward_maps(torch.randn(4, 3, 64, 64)).feats['features'].permute(0, 2, 3, 1).flatten(0, 2)
    model.clusters['fresh'].fit(feats[torch.randperm(len(feats))[:n_clusters]])
    for of_view in model.levels[0].sets:
        of_view.fit(feats[:of_view.n_clusters], torch.ones(of_view.n_clusters))
    torch.save(dict(state_dict=model.state_dict(), meta=dict(weights_seen='none')), path)
    return str(path), model


def page_data(path) -> dict:
    """What the script of a page reads."""
    text = path.read_text(encoding='utf-8')
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)[1])
