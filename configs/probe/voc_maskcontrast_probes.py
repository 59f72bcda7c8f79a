# the protocols of the MaskContrast paper, on a checkpoint of maskcontrast_deeplabv3_voc.py: K-means over objects,
# linear probe of the trunk, and segment retrieval among 21 classes, its memory the 1464 images of train
_base_ = ['../maskcontrast/maskcontrast_deeplabv3_voc.py', '../_base_/object_probes.py']
from mmseg_unsup.presets import labelled_probe_loader
default_hooks = dict(
    probes=dict(type='mmseg_unsup.ProbeHook', probes=[{{_base_.linear_probe}}, {{_base_.retrieval_probe}}]))
test_evaluator = [{{_base_.object_kmeans}}, {{_base_.linear_evaluator}}, {{_base_.retrieval_evaluator}}]
labelled_probe_dataloader = labelled_probe_loader(
    dict(
        type='mmseg_unsup.VOC2012Dataset',
        data_root={{_base_.data_root}},
        ann_file='ImageSets/Segmentation/train.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass')),
    {{_base_.eval_size}},
    batch_size=16,
    protocol='squash')
