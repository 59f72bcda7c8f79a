# the protocols of _base_/probes.py on a checkpoint of picie_fpn_cocostuff.py
_base_ = ['../picie/picie_fpn_cocostuff.py', '../_base_/probes.py']
from mmseg_unsup.presets import labelled_probe_loader
default_hooks = dict(probes={{_base_.probe_hook}})
test_evaluator = {{_base_.probe_evaluators}}
shortcuts = {{_base_.probe_shortcuts}}
labelled_probe_dataloader = labelled_probe_loader(
    dict(
        type='mmseg_unsup.COCOStuff27Dataset',
        data_root={{_base_.data_root}},
        ann_file='curated/train2017.txt',
        data_prefix=dict(img_path='images/train2017', seg_map_path='annotations/train2017')),
    {{_base_.size}},
    batch_size=128)
