"""Names of the clusters of a model: written, changed and listed."""
import os.path as osp
import time
from typing import Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from prettytable import PrettyTable

from ..evaluation.functional import confusion_matrix, match_clusters
from ..structures import ClusterNames
from ..utils.progress import track_progress
from .loading import load_segmentor
from .model_files import NAMES_FILE, choose_files, find_model


def name_clusters(config: Optional[str],
                  model: str,
                  clusters: Optional[str] = None,
                  new_names: Sequence[str] = (),
                  groups: Sequence[str] = (),
                  from_labels: Optional[str] = None,
                  options: Optional[dict] = None) -> str:
    """Write the names of the clusters of a model, or change those that are there.

    Args:
        config, model, options: see :func:`load_segmentor`.
        clusters: the file; None for ``clusters.json`` in the folder ``model``, which then must not be a file.
        new_names: ``'3=sky'``: the name of a cluster or class.
        groups: ``'3,7=sky'`` or ``'1,2'``: clusters or classes to merge, after that.
        from_labels: a matching of clusters to the classes of labelled images, whose names they get at the beginning.

    Returns:
        a table of the classes, and a line that says what was done.
    """
    start = time.perf_counter()
    path = clusters or osp.join(osp.expanduser(model), NAMES_FILE)
    if clusters is None and not osp.isdir(osp.dirname(path)):
        find_model(model)  # which says what is wrong with it
        raise ValueError(f'{model} is no folder: say which file the names are to be written to, such as {NAMES_FILE}, '
                         'after it')
    checkpoint, _ = choose_files(model, path)
    cfg, segmentor = load_segmentor(config, checkpoint, options=options)
    identity = segmentor.cluster_identity()
    if from_labels:
        names = named_by_labels(ClusterNames.identity(*identity), cfg, segmentor, from_labels)
    elif osp.exists(path):
        names = ClusterNames.load(path)
        names.check(*identity)
    else:
        names = ClusterNames.identity(*identity, segmentor.background_cluster)
    names = merge(rename(names, new_names), groups)
    names.save(path)
    return (f'{listing(names)}\n{len(names.classes)} classes of {names.n_clusters} clusters, '
            f'{time.perf_counter() - start:.1f} s: {path}')


def named_by_labels(names: ClusterNames, cfg: Config, model: torch.nn.Module, match: str) -> ClusterNames:
    """Names of the classes that the evaluation would match the clusters to."""
    if 'type' not in (cfg.get('test_dataloader') or {}).get('dataset', {}):
        raise ValueError('the config has no test images: --from-labels needs a config whose test data have labels')
    loader = Runner.build_dataloader(cfg.test_dataloader)
    classes = loader.dataset.metainfo['classes']
    confusion = np.zeros((len(classes), names.n_clusters), np.int64)
    with track_progress('evaluation', len(loader.dataset)) as advance, torch.no_grad():
        for batch in loader:
            for sample in model.test_step(batch):
                if 'gt_sem_seg' not in sample:
                    raise ValueError(f'{sample.img_path} has no labels: --from-labels needs a config whose test data '
                                     'have some')
                clusters = sample.pred_sem_seg.data[0].cpu().numpy()
                confusion += confusion_matrix(sample.gt_sem_seg.data[0].cpu().numpy(), clusters, *confusion.shape)
                advance(1)
    matched = match_clusters(confusion, match)
    groups = [np.flatnonzero(matched == c).tolist() for c in range(len(classes))]
    return names.merged(groups).renamed({group[0]: classes[c] for c, group in enumerate(groups) if group})


def key_of(text: str, names: ClusterNames) -> Union[int, str]:
    """A class by its name, else a cluster by its number."""
    text = text.strip()
    return int(text) if text.lstrip('-').isdigit() and text not in names.names else text


def split(text: str, option: str) -> Tuple[str, str]:
    keys, equals, name = text.partition('=')
    if option == '--name' and not equals:
        raise ValueError(f'{option} {text!r}: expected CLUSTER=NAME, such as 3=sky')
    return keys, name.strip() if equals else None


def rename(names: ClusterNames, entries: Sequence[str]) -> ClusterNames:
    new = {}
    for entry in entries:
        key, name = split(entry, '--name')
        key = key_of(key, names)
        if new.setdefault(key, name) != name:
            raise ValueError(f'--name gives {key} two names, {new[key]!r} and {name!r}')
    return names.renamed(new)


def merge(names: ClusterNames, entries: Sequence[str]) -> ClusterNames:
    for entry in entries:
        keys, name = split(entry, '--merge')
        group = [key_of(key, names) for key in keys.split(',')]
        names = names.merged([group])
        if name is not None:
            names = names.renamed({group[0]: name})
    return names


def listing(names: ClusterNames) -> PrettyTable:
    table = PrettyTable(['class', 'name', 'clusters', 'color'])
    for c, (name, color, clusters) in enumerate(names.classes):
        table.add_row([c, name, ' '.join(map(str, clusters)), '#{:02x}{:02x}{:02x}'.format(*color)])
    return table
