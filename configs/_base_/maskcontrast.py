# MaskContrast beside its data and its backbone: schedule, the hooks that it needs, and which command-line variables
# reach where. Goes with one of datasets/*_masked.py and one of models/maskcontrast_*.py.
_base_ = ['./schedules/sgd_poly_40e.py', './default_runtime.py']
default_hooks = dict(
    momentum_update=dict(type='mmseg_unsup.MomentumUpdateHook'), step_seed=dict(type='mmseg_unsup.StepSeedHook'))
shortcuts = dict(
    data_root=['train_dataloader.dataset.dataset.data_root'],
    mask_root=['train_dataloader.dataset.dataset.mask_root'],
    objects=['train_dataloader.dataset.pipeline.1.objects'],
    size=['train_dataloader.dataset.pipeline.2.size'],
    init=['model.backbone.init_cfg.checkpoint'])
