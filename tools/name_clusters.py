"""Name, merge and list the clusters of a trained model.

    python tools/name_clusters.py CONFIG CHECKPOINT clusters.json --name 3=sky 5=road --merge 3,7=sky 1,2

Writes clusters.json, or changes the one that is there, and lists it. Names come first, then groups to merge, which take
the name after = or keep that of the first one listed. Clusters are given by number, classes that were named before also
by name. tools/predict.py, tools/export.py and tools/test.py read the file by --clusters.
"""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
import argparse
import os.path as osp
from typing import List, Tuple, Union

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from prettytable import PrettyTable

from mmseg_unsup.apis import ClusterNames, load_segmentor
from mmseg_unsup.evaluation.functional import confusion_matrix, match_clusters
from mmseg_unsup.utils import track_progress
from mmseg_unsup.utils.command_line import add_model_arguments
from mmseg_unsup.utils.data_workers import ending_data_workers


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_arguments(parser)
    parser.add_argument('clusters', help='file to write or change')
    parser.add_argument('--name', nargs='+', default=[], metavar='CLUSTER=NAME')
    parser.add_argument('--merge', nargs='+', default=[], metavar='CLUSTER,CLUSTER[=NAME]')
    parser.add_argument('--from-labels', choices=['hungarian', 'majority'], help='begin anew with the names of the '
                        "classes that this matching to the labels of the config's test images gives; 'majority' merges")
    return parser.parse_args()


def named_by_labels(names: ClusterNames, cfg: Config, model, match: str) -> ClusterNames:
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


def rename(names: ClusterNames, entries: List[str]) -> ClusterNames:
    new = {}
    for entry in entries:
        key, name = split(entry, '--name')
        key = key_of(key, names)
        if new.setdefault(key, name) != name:
            raise ValueError(f'--name gives {key} two names, {new[key]!r} and {name!r}')
    return names.renamed(new)


def merge(names: ClusterNames, entries: List[str]) -> ClusterNames:
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
        table.add_row([c, name, ' '.join(map(str, clusters)), '#%02x%02x%02x' % color])
    return table


@ending_data_workers()
def main() -> None:
    args = parse_args()
    cfg, model = load_segmentor(args.config, args.checkpoint, options=args.cfg_options)
    identity = model.cluster_identity()
    if args.from_labels:
        names = named_by_labels(ClusterNames.identity(*identity), cfg, model, args.from_labels)
    elif osp.exists(args.clusters):
        names = ClusterNames.load(args.clusters)
        names.check(*identity)
    else:
        names = ClusterNames.identity(*identity, model.background_cluster)
    names = merge(rename(names, args.name), args.merge)
    names.save(args.clusters)
    print(listing(names))
    print(f'{len(names.classes)} classes of {names.n_clusters} clusters: {args.clusters}')


if __name__ == '__main__':
    main()
