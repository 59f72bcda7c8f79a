# of runs that count epochs
_base_ = './runtime.py'
# labels that the initial weights have seen, such as 'none' or 'ImageNet', where their file does not say it
weights_seen = None
log_processor = dict(by_epoch=True)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True),
    checkpoint=dict(type='mmseg_unsup.AtomicCheckpointHook', interval=1, max_keep_ckpts=2),
    check_data=dict(type='mmseg_unsup.CheckDataHook'),
    initialization=dict(type='mmseg_unsup.InitializationHook', weights_seen=weights_seen),
    non_finite=dict(type='mmseg_unsup.NonFiniteHook'),
    preemption=dict(type='mmseg_unsup.PreemptionHook'),
    unreadable_images=dict(type='mmseg_unsup.UnreadableImagesHook'),
    precision=dict(type='mmseg_unsup.PrecisionHook'),
    teacher=dict(type='mmseg_unsup.TeacherHook'),
    view_epoch=dict(type='mmseg_unsup.ViewEpochHook'),
    phase_timer=dict(type='mmseg_unsup.PhaseTimerHook'),
    train_progress=dict(type='mmseg_unsup.TrainProgressHook'),
    cluster_pictures=dict(type='mmseg_unsup.ClusterPicturesHook'),
    report=dict(type='mmseg_unsup.ReportHook'))
