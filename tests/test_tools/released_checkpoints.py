"""Random checkpoints as the released code of the methods on frozen features writes them, by their official names."""
import argparse
from typing import Dict, List

import torch

from mmseg_unsup.models import DINOViT

PATCH, DIM, CLASSES = 8, 5, 6


def transformer(channels: int = 64, depth: int = 3) -> DINOViT:
    """A small one of DINO."""
    torch.manual_seed(channels)
    arch = dict(embed_dims=channels, num_layers=depth, num_heads=channels // 64, feedforward_channels=2 * channels)
    return DINOViT('dino', arch, PATCH, img_size=4 * PATCH).eval()


def head(channels: int, dim: int, names=('cluster1.0', 'cluster2.0', 'cluster2.2')) -> Dict[str, torch.Tensor]:
    """The tensors of STEGO's head."""
    one, two, three = names
    shapes = {one: (dim, channels), two: (channels, channels), three: (dim, channels)}
    state = {f'{name}.weight': torch.randn(*shape, 1, 1) * channels**-0.5 for name, shape in shapes.items()}
    return {**state, **{f'{name}.bias': torch.randn(shape[0]) for name, shape in shapes.items()}}


def named(prefix: str, state: dict) -> dict:
    return {f'{prefix}{name}': value for name, value in state.items()}


def released(method: str, vit: DINOViT, n_clusters: int = CLASSES, dim: int = DIM) -> List[dict]:
    """What is in each file of a checkpoint."""
    torch.manual_seed(1)
    channels = vit.cls_token.size(-1)
    probe = {'weight': torch.randn(CLASSES, dim, 1, 1), 'bias': torch.randn(CLASSES)}
    prototypes = torch.randn(n_clusters, dim)
    if method in ('stego', 'depthg', 'eagle'):
        width = 3 * channels if method == 'eagle' else channels
        state = {**named('net.model.', vit.state_dict()), **named('net.', head(width, dim)),
                 'train_cluster_probe.clusters': torch.randn(n_clusters, dim), 'cluster_probe.clusters': prototypes,
                 **named('linear_probe.', probe)}
        if method == 'eagle':
            state['train_cluster_probe_eigen.clusters'] = torch.randn(n_clusters, 3)
        return [dict(epoch=3, global_step=40, state_dict=state, hyper_parameters=dict(n_classes=CLASSES))]
    if method == 'smooseg':
        state = {**named('net.model.', vit.state_dict()), **named('projection.', head(channels, dim)),
                 'prediction.local_clusters': torch.randn(n_clusters, dim), 'prediction.global_clusters': prototypes}
        return [dict(state_dict=state)]
    if method == 'hp':
        net = {**named('model.', vit.state_dict()), **head(channels, dim),
               **head(channels, dim, ('ema_model1.0', 'ema_model2.0', 'ema_model2.2'))}
        return [dict(net_model_state_dict=net, linear_model_state_dict=probe,
                     cluster_model_state_dict=dict(clusters=prototypes))]
    if method == 'cause':
        names = ('f1', 'f2.0', 'f2.2')
        state = {**named('head.', head(channels, dim, names)), **named('head_ema.', head(channels, dim, names)),
                 **named('linear.f.', probe)}
        return [state, dict(codebook=torch.randn(7, channels), cluster_probe=prototypes)]
    if method == 'cause_tr':
        return cause_tr(channels, dim, prototypes, probe)
    return [primaps(vit, n_clusters)]


def cause_tr(channels: int, dim: int, prototypes, probe: dict, n_cells: int = 25) -> List[dict]:
    """CAUSE with its transformer head, for a grid of cells, and the codebook in the file of the clusters."""
    layer = torch.nn.TransformerDecoderLayer(channels, 1, 32)  # of the same names
    state = {**named('tr.', layer.state_dict()), 'query_pos': torch.randn(n_cells, channels),
             **named('tr.', head(channels, dim, ('f1', 'f2.0', 'f2.2')))}
    return [{**named('head_ema.', state), **named('linear.f.', probe)},
            dict(codebook=torch.randn(7, channels), cluster_probe=prototypes)]


def primaps(vit: DINOViT, n_clusters: int) -> dict:
    """PriMaPs-EM, whose settings are an ``argparse.Namespace``."""
    shapes = dict(weight_g=(n_clusters, 1, 1, 1), weight_v=(n_clusters, vit.cls_token.size(-1), 1, 1))
    parts = {prefix: {name: torch.rand(shape) + 0.5 if name == 'weight_g' else torch.randn(shape)
                      for name, shape in shapes.items()}
             for prefix in ('seghead.', 'cluster_probe.ema_model.', 'cluster_probe.online_model.')}
    state = named('net.model.', vit.state_dict())
    for prefix, values in parts.items():
        state.update(named(prefix, values))
    state.update({'linear_probe.weight': torch.randn(CLASSES, vit.cls_token.size(-1), 1, 1),
                  'linear_probe.bias': torch.randn(CLASSES)})
    return dict(state_dict=state, hyper_parameters=dict(opts=argparse.Namespace(num_classes=n_clusters)))


def write(files: List[dict], folder) -> List[str]:
    """Paths of the files."""
    paths = [str(folder / f'released_{number}.ckpt') for number in range(len(files))]
    for path, content in zip(paths, files):
        torch.save(content, path)
    return paths
