# segment retrieval among 7 classes: pixels of the other 13 count in neither split. retrieval/objects_mIoU is the mean
# over the 7; pixels of the background that are taken for one of them count against it
_base_ = './voc_maskcontrast_probes.py'
dropped = [
    'bicycle', 'bird', 'boat', 'chair', 'diningtable', 'dog', 'horse', 'motorbike', 'pottedplant', 'sheep', 'sofa',
    'train', 'tvmonitor'
]
default_hooks = dict(
    probes=dict(probes=[
        dict(
            type='mmseg_unsup.SegmentRetrievalProbe',
            name='retrieval',
            features='embedding',
            k=1,
            max_segments=1,
            background=0)
    ]))
test_evaluator = dict(
    _delete_=True,
    type='mmseg_unsup.HungarianIoUMetric',
    prototype_set='retrieval',
    match='identity',
    prefix='retrieval',
    show_table=False)
labelled_probe_dataloader = dict(dataset=dict(dataset=dict(drop_classes=dropped)))
test_dataloader = dict(dataset=dict(drop_classes=dropped))
