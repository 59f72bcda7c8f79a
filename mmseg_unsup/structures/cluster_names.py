"""Names and colours of clusters, and which of them are one class: the file ``clusters.json``."""
import json
import re
from dataclasses import dataclass, field, replace
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from ..utils.atomic import replacing
from ..visualization import cluster_palette

FORMAT, VERSION = 'mmseg_unsup.clusters', 2
_KEYS = {'format', 'version', 'cluster_set', 'n_clusters', 'fingerprint', 'classes'}
_NEW_KEYS = dict(prototype_set='cluster_set')  # of version 1


class NamedClass(NamedTuple):
    """Clusters that are one class."""
    name: str
    color: Tuple[int, int, int]  # RGB
    clusters: Tuple[int, ...]


@dataclass(frozen=True)
class ClusterNames:
    """A name and a colour for every cluster; clusters of one class were merged.

    Attributes:
        cluster_set: whose ids these are, ``model.predicted_sets[0]``.
        n_clusters: K; ids are 0 to K - 1, as in ``pred_sem_seg``. Those of objects begin with the background.
        fingerprint: of the tensors that define the clusters; with the other two it is what
            :meth:`mmseg_unsup.models.segmentors.cluster_segmentor.ClusterSegmentor.cluster_identity` gives.
        classes: the position is the id of the class; every cluster is in exactly one of them.
        path: the file it was read from, for messages.

    Raises:
        ValueError: a cluster that does not exist, is in two classes or in none; an empty name, or one that two classes
            have; a value of the wrong type.
    """
    cluster_set: str
    n_clusters: int
    fingerprint: str
    classes: Tuple[NamedClass, ...]
    path: Optional[str] = field(default=None, compare=False)

    def __post_init__(self) -> None:
        _check_head(self.cluster_set, self.n_clusters, self.fingerprint)
        for of_class in self.classes:
            _check_class(of_class, self.n_clusters)
        _check_partition(self.classes, self.n_clusters)

    @classmethod
    def identity(cls, cluster_set: str, n_clusters: int, fingerprint: str,
                 background: Optional[int] = None) -> 'ClusterNames':
        """Every cluster a class of its own, ``cluster 0`` and so on; one of them may be the ``background``."""
        colors = cluster_palette(n_clusters).tolist()
        classes = tuple(NamedClass('background' if k == background else f'cluster {k}', tuple(color), (k, ))
                        for k, color in enumerate(colors))
        return cls(cluster_set, n_clusters, fingerprint, classes)

    @classmethod
    def load(cls, path: str) -> 'ClusterNames':
        """Read a file that :meth:`save` or a gallery wrote.

        Raises:
            FileNotFoundError: it does not exist.
            ValueError: it is another kind of file, or see the class; with its path.
        """
        try:
            with open(path, encoding='utf-8') as file:
                return _parse(json.load(file), path)
        except FileNotFoundError:
            raise FileNotFoundError(f'there is no file of cluster names {path!r}: check the path, or write one by '
                                    '`mmseg-unsup name`') from None
        except (ValueError, RecursionError) as error:  # json's and unicode's errors are of the first type
            raise ValueError(f'cannot use the cluster names {path}: {error}') from None

    def to_dict(self) -> Dict:
        """The content of the file, ``classes`` last."""
        return dict(format=FORMAT, version=VERSION, cluster_set=self.cluster_set, n_clusters=self.n_clusters,
                    fingerprint=self.fingerprint, classes=[of_class._asdict() for of_class in self.classes])

    def save(self, path: str) -> None:
        """Write the file in one step."""
        head = self.to_dict()
        classes = ',\n'.join('  ' + json.dumps(of_class, ensure_ascii=False) for of_class in head.pop('classes'))
        lines = [f'{json.dumps(key)}: {json.dumps(value)},' for key, value in head.items()]
        text = '{\n ' + '\n '.join(lines) + '\n "classes": [\n' + classes + '\n ]\n}\n'
        with replacing(path) as part, open(part, 'w', encoding='utf-8') as file:
            file.write(text)

    def check(self, cluster_set: str, n_clusters: int, fingerprint: str) -> None:
        """Raise ValueError unless these are the clusters that were named."""
        names = ('cluster_set', 'n_clusters', 'fingerprint')
        for name, expected in zip(names, (cluster_set, n_clusters, fingerprint)):
            own = getattr(self, name)
            if own != expected:
                raise ValueError(f'{self.path or "the cluster names"} has {name}={own!r}, but the clusters of this '
                                 f'checkpoint have {expected!r}: the names belong to another checkpoint, name those of '
                                 'this one in another file by `mmseg-unsup name`')

    @property
    def names(self) -> List[str]:
        return [of_class.name for of_class in self.classes]

    @property
    def palette(self) -> np.ndarray:
        """(C, 3) uint8 RGB."""
        return np.array([of_class.color for of_class in self.classes], np.uint8)

    @property
    def table(self) -> np.ndarray:
        """(K,) int64 class of each cluster."""
        table = np.zeros(self.n_clusters, np.int64)
        for c, of_class in enumerate(self.classes):
            table[list(of_class.clusters)] = c
        return table

    def renamed(self, names: Dict[Union[int, str], str]) -> 'ClusterNames':
        """Give classes new names, all at once, so that two can be exchanged.

        Args:
            names: a cluster or the present name of a class -> the new name.

        Raises:
            ValueError: there is no such cluster or class; two names for one class; see the class.
        """
        new = {}
        for key, name in names.items():
            c = self._class_of(key)
            if new.setdefault(c, name) != name:
                raise ValueError(f'the class {self.classes[c].name!r} cannot be both {new[c]!r} and {name!r}')
        classes = tuple(of_class._replace(name=new.get(c, of_class.name)) for c, of_class in enumerate(self.classes))
        return replace(self, classes=classes)

    def merged(self, groups: Sequence[Sequence[Union[int, str]]]) -> 'ClusterNames':
        """Make one class of the classes in each group; it has name and colour of the first one listed, and its place is
        that of the first one in order.

        Args:
            groups: clusters, each standing for its class, or present names of classes.

        Raises:
            ValueError: there is no such cluster or class; a class is in two groups.
        """
        classes, taken = list(self.classes), set()
        for group in groups:
            members = list(dict.fromkeys(self._class_of(key) for key in group))
            if taken & set(members):
                twice = self.classes[min(taken & set(members))].name
                raise ValueError(f'the class {twice!r} is in two of the groups to merge: list each cluster once')
            taken.update(members)
            clusters = tuple(sorted(k for c in members for k in self.classes[c].clusters))
            for c in members:
                classes[c] = None
            if members:
                classes[min(members)] = self.classes[members[0]]._replace(clusters=clusters)
        return replace(self, classes=tuple(of_class for of_class in classes if of_class is not None))

    def _class_of(self, key: Union[int, str]) -> int:
        if isinstance(key, str):
            if key not in self.names:
                raise ValueError(f'there is no class {key!r}: the classes are {", ".join(self.names)}')
            return self.names.index(key)
        _check_cluster(key, self.n_clusters)
        return int(self.table[key])


def _parse(content: object, path: str) -> ClusterNames:
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        raise ValueError(f'it is no JSON object with "format": "{FORMAT}"')
    if content.get('version') == 1:
        content = {_NEW_KEYS.get(key, key): value for key, value in content.items()} | dict(version=VERSION)
    if content.get('version') != VERSION:
        raise ValueError(f'its version is {content.get("version")!r}, but this release reads versions 1 to {VERSION}: '
                         'update mmseg_unsup, or name the clusters anew')
    _check_keys(content, _KEYS, 'the file')
    if not isinstance(content['classes'], list):
        raise ValueError(f'"classes" must be a list, but it is {content["classes"]!r}')
    for of_class in content['classes']:
        if not isinstance(of_class, dict):
            raise ValueError(f'a class must be an object with name, color and clusters, but one is {of_class!r}')
        _check_keys(of_class, set(NamedClass._fields), f'the class {of_class.get("name")!r}')
    classes = tuple(NamedClass(of_class['name'], _as_tuple(of_class['color']), _as_tuple(of_class['clusters']))
                    for of_class in content['classes'])
    return ClusterNames(content['cluster_set'], content['n_clusters'], content['fingerprint'], classes, path)


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _check_keys(content: dict, expected: set, where: str) -> None:
    for key in sorted(expected ^ set(content)):
        raise ValueError(f'{where} lacks {key!r}' if key in expected else f'{where} has an unknown key {key!r}')


def _check_head(cluster_set: str, n_clusters: int, fingerprint: str) -> None:
    if not isinstance(cluster_set, str) or not cluster_set:
        raise ValueError(f'cluster_set must be the name of a set of clusters, but it is {cluster_set!r}')
    if not _is_int(n_clusters) or n_clusters < 1:
        raise ValueError(f'n_clusters must be a whole number from 1 on, but it is {n_clusters!r}')
    if not isinstance(fingerprint, str) or not re.fullmatch('[0-9a-f]{16}', fingerprint):
        raise ValueError(f'fingerprint must have 16 hexadecimal digits, but it is {fingerprint!r}')


def check_name(name: object) -> None:
    """Raise ValueError unless a class may be called so."""
    if not isinstance(name, str):
        raise ValueError(f'the name of a class must be text, but one is {name!r}')
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError(f'the name of a class must not be empty, begin or end with a space or hold line breaks, but '
                         f'one is {name!r}')


def check_color(name: str, color: object) -> None:
    """Raise ValueError unless a class of this name may have this colour."""
    if not isinstance(color, tuple) or len(color) != 3 or not all(_is_int(v) and 0 <= v <= 255 for v in color):
        raise ValueError(f'the color of {name!r} must be three whole numbers from 0 to 255, but it is {color!r}')


def _check_class(of_class: NamedClass, n_clusters: int) -> None:
    name, color, clusters = of_class
    check_name(name)
    check_color(name, color)
    if not isinstance(clusters, tuple) or not clusters:
        raise ValueError(f'the clusters of {name!r} must be a list of at least one, but they are {clusters!r}')
    for cluster in clusters:
        _check_cluster(cluster, n_clusters)


def _check_cluster(cluster: int, n_clusters: int) -> None:
    if not _is_int(cluster):
        raise ValueError(f'a cluster must be a whole number, but one is {cluster!r}')
    if not 0 <= cluster < n_clusters:
        raise ValueError(f'there is no cluster {cluster}: the checkpoint has clusters 0 to {n_clusters - 1}')


def _check_partition(classes: Sequence[NamedClass], n_clusters: int) -> None:
    class_of, clusters_of = {}, {}
    for of_class in classes:
        if of_class.name in clusters_of:
            raise ValueError(f'two classes have the name {of_class.name!r}, one of cluster(s) '
                             f'{list(clusters_of[of_class.name])}, one of {list(of_class.clusters)}: merge them, or '
                             'choose another name')
        clusters_of[of_class.name] = of_class.clusters
        for k in of_class.clusters:
            if k in class_of:
                raise ValueError(f'cluster {k} is listed twice, in {class_of[k]!r} and in {of_class.name!r}: each '
                                 'cluster belongs to one class')
            class_of[k] = of_class.name
    missing = sorted(set(range(n_clusters)) - set(class_of))
    if missing:
        raise ValueError(f'cluster(s) {missing} are in no class: each of the {n_clusters} clusters belongs to one')


def _is_int(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
