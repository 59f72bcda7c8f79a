"""Parameters and floating point operations of a model's prediction, part by part."""
from typing import Dict, Sequence

import torch
from mmengine.analysis import FlopAnalyzer
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from ..models.backbones import frozen_networks
from ..models.clusters import FRESH
from ..registry import MODELS
from ..utils.score_table import markdown_table


class Prediction(nn.Module):
    """Backbone, neck and head, in this order and nothing else."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.backbone, self.decode_head = model.backbone, model.decode_head
        self.neck = model.neck if model.with_neck else None

    def forward(self, inputs: torch.Tensor):
        feats = self.backbone(inputs)
        return self.decode_head(feats if self.neck is None else self.neck(feats))


def build_random(cfg: Config) -> nn.Module:
    """The model of a config with random weights: nothing is read or downloaded."""
    init_default_scope('mmseg')
    network = cfg.model.backbone.get('backbone') or cfg.model.backbone  # what is frozen
    network.init_cfg = cfg.model.pretrained = None
    model = MODELS.build(cfg.model).eval()
    head = model.decode_head
    if hasattr(head, 'clusters'):  # a prediction needs clusters, any will do
        head.clusters[FRESH].fit(torch.randn(head.n_clusters, head.in_channels))
    return model


def count_operations(model: nn.Module, size: Sequence[int]) -> Dict[str, int]:
    """Name of a part, '' for all -> operations of the prediction of one image."""
    with torch.no_grad():
        analyzer = FlopAnalyzer(Prediction(model), torch.zeros(1, 3, *size))
        analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        return {name: count for name, count in analyzer.by_module().items() if '.' not in name}


def describe_operations(cfg: Config, size: Sequence[int]) -> str:
    """Table of the parts of a config's model, in Markdown; ``size`` (H, W) of the input."""
    model = build_random(cfg)
    operations = count_operations(model, size)
    rows = []
    for name, part in [*model.named_children(), ('', model)]:
        n_params = sum(parameter.numel() for of in (part, *frozen_networks(part)) for parameter in of.parameters())
        if n_params or name in operations:
            count = f'{operations[name] / 1e9:.2f} G' if name in operations else '-'
            rows.append([name or 'all', f'{n_params / 1e6:.2f} M', count])
    return markdown_table(['', 'parameters', f'operations at {size[0]}x{size[1]}'], rows)
