"""What configs of earlier versions said in other words."""
from .config_keys import walk

_HEADS = ('mmseg_unsup.PrototypeHead', 'mmseg_unsup.SoftClusterHead')
_KEYS = dict(prototype_sets='cluster_sets', prototype_set='prediction')


def present_config(cfg: dict) -> dict:
    """Change a config, or a stored one, in place to the present names, and return it.

    Entries with present names are left alone.
    """
    for part in (cfg.get('model'), cfg.get('val_evaluator'), cfg.get('test_evaluator')):
        for entry in [entry for _, entry in walk(part) if isinstance(entry, dict)]:
            for old, new in _KEYS.items():
                if old in entry:
                    entry[new] = entry.pop(old)
            if entry.get('group_definition') == 'legacy_partition':
                del entry['group_definition']
                entry['type'] = 'mmseg_unsup.ReleasedGroupsIoUMetric'
    model, hooks = cfg.get('model'), cfg.get('default_hooks')
    if isinstance(model, dict):
        _present_model(model)
    if isinstance(hooks, dict):
        had = hooks.pop('momentum_update', None)
        if had or 'clustering' in hooks:
            hooks.setdefault('teacher', dict(type='mmseg_unsup.TeacherHook'))
    return cfg


def _present_model(model: dict) -> None:
    if 'labeller_epochs' in model:
        teacher = model.setdefault('target_generator', dict(type='mmseg_unsup.PrototypeTeacher'))
        teacher['epochs'] = model.pop('labeller_epochs')
    further = model.get('over_clustering', [])
    if not isinstance(further, (list, tuple)):  # of IIC
        model['over_clustering'] = [] if further is None else [(further, 1.)]
    head = model.get('decode_head')
    if isinstance(head, dict) and head.get('type') in _HEADS:
        head['type'] = 'mmseg_unsup.ClusterHead'
        head.pop('num_views', None)
        model.update((key, head.pop(key)) for key in ('num_sub_heads', 'momentum') if key in head)
