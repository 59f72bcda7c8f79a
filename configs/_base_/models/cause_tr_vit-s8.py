# the same with the transformer head, which is trained and predicts at one size: 40 x 40 cells of an image of 320 px
_base_ = './cause_vit-s8.py'
train_size = 320
model = dict(
    neck=dict(_delete_=True, type='mmseg_unsup.ConceptDecoder', in_channels=384, out_channels=90, n_cells=1600))
