# The released code, quirks included. Numbers in brackets are those of the list in configs/picie/README.md; [1] to [3]
# are in released_view_pipeline of mmseg_unsup.presets.
_base_ = './picie.py'
released_kmeans = dict(n_iter=20, n_init=1, spherical=False, coarse=1)
model = dict(
    neck=dict(init='random', position=None),  # [4], [15]
    decode_head=dict(distance='dot'),  # [5] in evaluation only
    temperature=1.0,  # [6]
    target_generator=dict(epochs=None),  # [11]
    over_clustering=[],  # [12]
    rounding='official')  # [7]
default_hooks = dict(
    precision=dict(without_gradient='float32'),
    clustering=dict(
        kmeans=released_kmeans,  # [6]
        max_images=None,
        init_images=5120,
        update_images=256,
        init_pixels=None,
        class_weights='frequency',  # [8]
        bn_mode='train'),  # [9]
    fresh_kmeans=dict(kmeans=released_kmeans, max_images=None, init_images=5120, update_images=256, init_pixels=None))
