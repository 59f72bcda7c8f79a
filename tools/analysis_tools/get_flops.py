"""Parameters and floating point operations of a model's prediction, part by part.

    python tools/analysis_tools/get_flops.py configs/picie/picie_fpn_cocostuff.py --size 320 320

A multiplication with its addition counts as one operation, as in mmengine. Copies that only training has (labeller,
key branch) have parameters, but take no part in a prediction.
"""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
import argparse
from typing import Dict, Sequence

import torch
from mmengine.analysis import FlopAnalyzer
from mmengine.registry import init_default_scope
from torch import nn

from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils.checks import at_least
from mmseg_unsup.utils.command_line import add_options_argument
from mmseg_unsup.utils.config import load_config
from mmseg_unsup.utils.experiments import markdown_table
from mmseg_unsup.utils.setup_env import register_all_modules


class Prediction(nn.Module):
    """Backbone, neck and head, in this order and nothing else."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.backbone, self.decode_head = model.backbone, model.decode_head
        self.neck = model.neck if model.with_neck else None

    def forward(self, inputs: torch.Tensor):
        feats = self.backbone(inputs)
        return self.decode_head(feats if self.neck is None else self.neck(feats))


def load_model(path: str, options: dict) -> nn.Module:
    """With random weights: nothing is read or downloaded."""
    cfg = load_config(path, options)
    init_default_scope('mmseg')
    cfg.model.backbone.init_cfg = cfg.model.pretrained = None
    model = MODELS.build(cfg.model).eval()
    head = model.decode_head
    if hasattr(head, 'set_fresh_prototypes'):  # a prediction needs clusters, any will do
        head.set_fresh_prototypes(torch.randn(head.n_clusters, head.in_channels))
    return model


def count_operations(model: nn.Module, size: Sequence[int]) -> Dict[str, int]:
    """Name of a part, '' for all -> operations of the prediction of one image."""
    with torch.no_grad():
        analyzer = FlopAnalyzer(Prediction(model), torch.zeros(1, 3, *size))
        analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        return {name: count for name, count in analyzer.by_module().items() if '.' not in name}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--size', type=at_least(1), nargs=2, default=(320, 320), metavar=('H', 'W'),
                        help='of the input')
    add_options_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    register_all_modules()
    model = load_model(args.config, args.cfg_options)
    operations = count_operations(model, args.size)
    rows = []
    for name, part in [*model.named_children(), ('', model)]:
        n_params = sum(parameter.numel() for parameter in part.parameters())
        if n_params or name in operations:
            count = f'{operations[name] / 1e9:.2f} G' if name in operations else '-'
            rows.append([name or 'all', f'{n_params / 1e6:.2f} M', count])
    print(markdown_table(['', 'parameters', f'operations at {args.size[0]}x{args.size[1]}'], rows))


if __name__ == '__main__':
    main()
