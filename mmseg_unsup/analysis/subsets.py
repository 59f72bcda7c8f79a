"""Subsets of a training set for experiments with few labels: drawn once, nested, written as lists."""
import os
import os.path as osp
from typing import Dict, List, Sequence

from mmengine.fileio import list_from_file

from ..registry import DATASETS
from ..utils.atomic import replacing
from ..utils.paths import is_outside
from ..utils.random import keyed_generator
from ..datasets.labelled_folder import LabelledFolder
from ..datasets.unlabelled_folder import UnlabelledFolder


def nested_subsets(names: Sequence[str], percents: Sequence[float], seed: int) -> Dict[float, List[str]]:
    """Percent -> names, in the order of ``names``; each subset holds every smaller one.

    The names are put into one random order, and a subset is its beginning: it depends on the seed, the names and its
    own percent, not on the others. A subset has the rounded number of names, and one at least.

    Raises:
        ValueError: a percent outside (0, 100], or a name given twice.
    """
    if len(set(names)) < len(names):
        raise ValueError(f'{len(names) - len(set(names))} of {len(names)} names are there twice: a subset of n images '
                         'would hold fewer')
    wrong = [percent for percent in percents if not 0 < percent <= 100]
    if wrong:
        raise ValueError(f'a subset of {wrong[0]} % was asked for, but percents lie in (0, 100]')
    order = keyed_generator(seed).permutation(len(names))
    sizes = {percent: max(1, int(percent * len(names) / 100 + 0.5)) for percent in percents}
    return {percent: [names[i] for i in sorted(order[:size])] for percent, size in sizes.items()}


def list_names(config: dict) -> List[str]:
    """Names of the images of a data set as its ``ann_file`` has them: below the image folder, without suffix, sorted.

    The config is of a data set of mmseg or of this package, without wrappers.
    """
    dataset = DATASETS.build(dict(config, pipeline=[]))
    root = getattr(dataset, 'data_prefix', {}).get('img_path')
    if not root or not hasattr(dataset, 'img_suffix') or isinstance(dataset, UnlabelledFolder):
        raise ValueError(f'{config["type"]} does not read its images from a folder by a list: give a data set with '
                         'data_prefix.img_path')
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    if isinstance(dataset, LabelledFolder):  # images of any suffix
        return sorted(map(dataset.name_of, paths))
    names = [osp.relpath(path, root)[:-len(dataset.img_suffix)].replace(os.sep, '/') for path in paths]
    outside = next((path for path, name in zip(paths, names) if is_outside(name, root)), None)
    if outside is not None:
        raise ValueError(f'the image {outside} does not lie below {root}, so a list cannot name it: take a data set '
                         'without allow_outside')
    return sorted(names)


def write_subsets(config: dict, folder: str, percents: Sequence[float], seed: int) -> Dict[float, str]:
    """Percent -> path of a list, ``FOLDER/seed_S/percent_P.txt``; what is there already stays.

    A data set with ``splits`` takes such a list with ``splits=None``; its names begin with the split.
    """
    paths = {}
    for percent, names in nested_subsets(list_names(config), percents, seed).items():
        path = osp.abspath(osp.join(folder, f'seed_{seed}', f'percent_{percent:g}.txt'))
        if osp.isfile(path):
            if list_from_file(path) != names:
                raise ValueError(f'{path} holds another subset than seed {seed} gives for this data set: the images '
                                 'have changed; remove the list, or give another folder')
        else:
            os.makedirs(osp.dirname(path), exist_ok=True)
            with replacing(path) as part, open(part, 'w', encoding='utf-8') as file:
                file.write(''.join(f'{name}\n' for name in names))
        paths[percent] = path
    return paths
