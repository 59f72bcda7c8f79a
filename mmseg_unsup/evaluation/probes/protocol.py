"""Checks that data sets, probes and metrics mean the same classes, before anything is computed."""
from typing import List, Sequence

from .base import Probe


def check_datasets(train, test) -> None:
    """Raise ValueError unless labelled training set and test set agree on classes, their colours and the ignored label.

    Args:
        train, test: data sets with ``metainfo`` and, where they have them, ``ignore_index`` and ``label_table()``;
            ``train`` is None if no probe reads labels.
    """
    train = test if train is None else train
    for name, dataset in (('test', test), ('training', train)):
        classes, palette = (dataset.metainfo.get(key) for key in ('classes', 'palette'))
        if not classes:
            raise ValueError(f'the {name} data set of the probes has no classes: give it a type that defines them, or '
                             'metainfo=dict(classes=[...])')
        if palette and len(palette) != len(classes):
            raise ValueError(f'the {name} data set has {len(classes)} classes, but its palette has {len(palette)} '
                             'colours')
        _check_label_range(name, dataset)
    first, second = (list(dataset.metainfo['classes']) for dataset in (train, test))
    if first != second:
        example = next((f'class {i} is {a!r} and {b!r}' for i, (a, b) in enumerate(zip(first, second)) if a != b),
                       f'the numbers are {len(first)} and {len(second)}')
        raise ValueError(f'training and test set of the probes have different classes ({example}): use the same data '
                         'set type for labelled_probe_dataloader and test_dataloader')
    first, second = _ignore_index(train), _ignore_index(test)
    if first != second:
        raise ValueError(f'training and test set of the probes ignore different labels, {first} and {second}: set the '
                         'same ignore_index in both')


def _check_label_range(name: str, dataset) -> None:
    if not hasattr(dataset, 'label_table'):
        return
    n_classes, ignored = len(dataset.metainfo['classes']), _ignore_index(dataset)
    invalid = 254  # LoadLabels refuses PNG values that map to it
    wrong = [int(v) for v in set(dataset.label_table().tolist()) - {ignored, invalid} if v >= n_classes]
    if wrong:
        raise ValueError(f'the {name} data set maps labels to {sorted(wrong)}, but it has the classes '
                         f'0..{n_classes - 1} and ignores {ignored}')


def _ignore_index(dataset) -> int:
    return getattr(dataset, 'ignore_index', 255)


def check_metrics(metrics: Sequence, probes: Sequence[Probe], model_sets: Sequence[str], dataset) -> List[str]:
    """Raise ValueError unless each metric of a set finds it, and matches it to classes in a way that suits it.

    Args:
        metrics: of the evaluator; those without ``scored_sets`` or ``prediction`` are left alone.
        model_sets: the sets that the model predicts itself (``test_cfg.cluster_sets``).
        dataset: that is evaluated.

    Returns:
        Warnings, a line each.
    """
    n_classes, warnings = len(dataset.metainfo['classes']), []
    by_set = {name: probe for probe in probes for name in probe.set_names}
    for metric in metrics:
        if getattr(metric, 'ignore_index', _ignore_index(dataset)) != _ignore_index(dataset):
            raise ValueError(f'{type(metric).__name__} ignores label {metric.ignore_index}, but the data set ignores '
                             f'{_ignore_index(dataset)}: set ignore_index of the metric')
        for name in getattr(metric, 'scored_sets', [getattr(metric, 'prediction', None)]):
            if name is None or name in model_sets:
                continue
            if name not in by_set:
                raise ValueError(f'{type(metric).__name__} scores the set {name!r}, but the probes predict '
                                 f'{list(by_set)} and the model {list(model_sets)}')
            warnings += _check_match(metric, name, by_set[name], n_classes)
    return list(dict.fromkeys(warnings))


def _check_match(metric, name: str, probe: Probe, n_classes: int) -> List[str]:
    if len(getattr(metric, 'scored_sets', probe.fitted_sets)) != len(probe.fitted_sets):
        raise ValueError(f'the metric of {probe.name!r} reads {len(metric.scored_sets)} sets, but the probe has '
                         f'{len(probe.fitted_sets)}: give both the same repeats')
    summary = getattr(metric, 'summary', None)
    if summary is not None and (summary == 'last') != probe.repeats_are_stages:
        raise ValueError(f'the sets of the probe {probe.name!r} are '
                         f'{"stages of one fit" if probe.repeats_are_stages else "fits of their own"}, and its metric '
                         f'has summary={summary!r}: set summary={"last" if probe.repeats_are_stages else "mean"!r}')
    match = getattr(metric, 'match', None)
    if match is None:
        return []
    if probe.predicts_classes != (match == 'identity'):
        kind, wanted = 'classes', "'identity'"
        if not probe.predicts_classes:
            kind, wanted = 'clusters', "'hungarian' or 'majority'"
        raise ValueError(f'the probe {probe.name!r} predicts {kind}, and its metric has match={match!r}: set '
                         f'match={wanted} in the metric of the set {name!r}')
    n_clusters = probe.n_outputs(n_classes)
    if match == 'hungarian' and n_clusters != n_classes:
        what = (f"{n_clusters - n_classes} clusters stay unmatched and their pixels count as wrong; match='majority' "
                'gives every cluster a class'
                if n_clusters > n_classes else f'{n_classes - n_clusters} classes get no cluster')
        return [f"the probe {probe.name!r} has {n_clusters} clusters for {n_classes} classes: with match='hungarian' "
                f'{what}']
    return []
