default_scope = 'mmseg'
# labels that the initial weights have seen, such as 'none' or 'ImageNet', where their file does not say it
weights_seen = None
randomness = dict(seed=0)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    # timeout: seconds that a process waits for the others before the run ends with an error. Longer than the longest
    # task of a single process: rank 0 scores, draws and writes checkpoints alone. gloo replaces nccl without a GPU.
    dist_cfg=dict(backend='nccl', timeout=1800))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='SegLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=True),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='mmseg_unsup.AtomicCheckpointHook', interval=1, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    check_data=dict(type='mmseg_unsup.CheckDataHook'),
    initialization=dict(type='mmseg_unsup.InitializationHook', weights_seen=weights_seen),
    non_finite=dict(type='mmseg_unsup.NonFiniteHook'),
    preemption=dict(type='mmseg_unsup.PreemptionHook'),
    unreadable_images=dict(type='mmseg_unsup.UnreadableImagesHook'),
    teacher=dict(type='mmseg_unsup.TeacherHook'),
    view_epoch=dict(type='mmseg_unsup.ViewEpochHook'),
    phase_timer=dict(type='mmseg_unsup.PhaseTimerHook'),
    train_progress=dict(type='mmseg_unsup.TrainProgressHook'),
    cluster_pictures=dict(type='mmseg_unsup.ClusterPicturesHook'),
    report=dict(type='mmseg_unsup.ReportHook'))
