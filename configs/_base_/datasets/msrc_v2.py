_base_ = './labelled_160.py'
data_root = 'data/msrc_v2'
dataset = dict(type='mmseg_unsup.MSRCv2Dataset', data_root=data_root)
train_dataloader = dict(dataset=dict(dataset=dataset))
probe_dataloader = dict(dataset=dict(dataset=dataset))
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
