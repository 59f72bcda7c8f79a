# the same for a model that takes the neck too
_base_ = './finetune.py'
shortcuts = dict(
    init=['model.backbone.init_cfg.checkpoint', 'model.neck.init_cfg.checkpoint'],
    averaged=['model.backbone.init_cfg.averaged', 'model.neck.init_cfg.averaged'])
