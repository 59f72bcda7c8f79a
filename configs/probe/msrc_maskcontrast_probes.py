# K-means over objects and a linear probe of the trunk, on a checkpoint of maskcontrast_deeplabv3_msrc.py
_base_ = ['../maskcontrast/maskcontrast_deeplabv3_msrc.py', '../_base_/object_probes.py']
from mmseg_unsup.presets import labelled_probe_loader
default_hooks = dict(probes=dict(type='mmseg_unsup.ProbeHook', probes=[{{_base_.linear_probe}}]))
test_evaluator = [{{_base_.object_kmeans}}, {{_base_.linear_evaluator}}]
labelled_probe_dataloader = labelled_probe_loader(
    dict(
        type='mmseg_unsup.MSRCv2Dataset',
        data_root={{_base_.data_root}},
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train')),
    {{_base_.eval_size}},
    batch_size=16,
    protocol='squash')
