# the protocols of _base_/probes.py on a checkpoint of picie_fpn_cityscapes.py
_base_ = ['../picie/picie_fpn_cityscapes.py', '../_base_/probes.py']
from mmseg_unsup.presets import labelled_probe_loader
default_hooks = dict(probes={{_base_.probe_hook}})
test_evaluator = {{_base_.probe_evaluators}}
shortcuts = {{_base_.probe_shortcuts}}
labelled_probe_dataloader = labelled_probe_loader(
    dict(
        type='mmseg_unsup.Cityscapes27Dataset',
        data_root={{_base_.data_root}},
        data_prefix=dict(img_path='leftImg8bit', seg_map_path='gtFine'),
        splits=['train']),
    {{_base_.size}},
    batch_size=128)
