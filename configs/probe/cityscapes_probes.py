# the protocols of _base_/probes.py on a checkpoint of picie_fpn_cityscapes.py
_base_ = ['../picie/picie_fpn_cityscapes.py', '../_base_/probes.py']
default_hooks = dict(probes={{_base_.probe_hook}})
test_evaluator = {{_base_.probe_evaluators}}
shortcuts = {{_base_.probe_shortcuts}}
labelled_probe_dataloader = dict(
    batch_size=128,
    num_workers=8,
    dataset=dict(
        dataset=dict(
            type='mmseg_unsup.Cityscapes27Dataset',
            data_root={{_base_.data_root}},
            data_prefix=dict(img_path='leftImg8bit', seg_map_path='gtFine'),
            splits=['train']),
        pipeline={{_base_.labelled_probe_pipeline}}))
