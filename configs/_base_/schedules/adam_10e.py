# the schedule of the paper: Adam, constant learning rate, no weight decay, 10 epochs; an evaluation costs one more pass
# over the training images, for its k-means
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4, fused=True))
train_cfg = dict(type='mmseg_unsup.ResumableTrainLoop', max_epochs=10, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
