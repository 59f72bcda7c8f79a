_base_ = './labelled_160.py'
data_root = 'data/procedural_scenes'
dataset = dict(type='mmseg_unsup.ProceduralScenes', data_root=data_root)
train_dataloader = dict(dataset=dict(dataset=dataset))
probe_dataloader = dict(dataset=dict(dataset=dataset))
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
