# segment retrieval among 7 classes: pixels of the other 13 count in neither split. retrieval/objects_mIoU is the mean
# over the 7; pixels of the background that are taken for one of them count against it
_base_ = './voc_maskcontrast_probes.py'
dropped = [
    'bicycle', 'bird', 'boat', 'chair', 'diningtable', 'dog', 'horse', 'motorbike', 'pottedplant', 'sheep', 'sofa',
    'train', 'tvmonitor'
]
default_hooks = dict(probes=dict(probes=[{{_base_.retrieval_probe}}]))
test_evaluator = [{{_base_.retrieval_evaluator}}]
labelled_probe_dataloader = dict(dataset=dict(dataset=dict(drop_classes=dropped)))
test_dataloader = dict(dataset=dict(drop_classes=dropped))
