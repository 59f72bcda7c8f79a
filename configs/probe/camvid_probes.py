# the protocols of _base_/probes.py on a checkpoint of picie_fpn_camvid.py
_base_ = ['../picie/picie_fpn_camvid.py', '../_base_/probes.py']
default_hooks = dict(probes={{_base_.probe_hook}})
test_evaluator = {{_base_.probe_evaluators}}
shortcuts = {{_base_.probe_shortcuts}}
labelled_probe_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(
        dataset=dict(
            type='mmseg_unsup.CamVidDataset',
            data_root={{_base_.data_root}},
            data_prefix=dict(img_path='images/train', seg_map_path='labels/train')),
        pipeline={{_base_.labelled_probe_pipeline}}))
