import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmseg_unsup.models.losses import balanced_bce_loss, mask_nce_loss
from mmseg_unsup.analysis.loss_benchmark import time_losses
from mmseg_unsup.registry import MODELS

BN = dict(type='BN', requires_grad=True)
D, SIZE = 6, 48


MODEL = dict(
    type='mmseg_unsup.MaskContrast',
    data_preprocessor=dict(type='mmseg_unsup.MultiViewDataPreProcessor'),
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, strides=(1, 2, 1, 1),
                  dilations=(1, 1, 2, 4), norm_cfg=BN),
    decode_head=dict(type='mmseg_unsup.EmbeddingHead', in_channels=64, channels=12, embedding_channels=D,
                     dilations=(1, 2), dropout_ratio=0., norm_cfg=BN),
    queue_length=7, test_cfg=ConfigDict(mode='whole'))


def build(start=True, **kwargs):
    torch.manual_seed(0)
    model = MODELS.build(dict(MODEL, **kwargs))
    model.init_weights()
    if start:
        model.start(is_new=True)
    return model.train()


def views(n, seed=0):
    return list(torch.randn(2, n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)))


def samples(*masks):
    """(2, H, W) ids each."""
    out = [SegDataSample() for _ in masks]
    for sample, mask in zip(out, masks):
        sample.set_data(dict(view_masks=PixelData(data=mask)))
    return out


def box(top, left, height, width, value=1):
    mask = torch.zeros(SIZE, SIZE, dtype=torch.uint8)
    mask[top:top + height, left:left + width] = value
    return mask


EMPTY = box(0, 0, 0, 0)
ONE = [torch.stack(pair) for pair in ((box(3, 5, 30, 20), box(20, 20, 20, 28)), (box(0, 0, 48, 30), box(9, 2, 30, 40)),
                                      (box(20, 20, 28, 28), box(0, 0, 20, 20)))]


def dense(model, images, branch=None):
    """Unit embeddings and saliency logits at the size of the input."""
    model = branch or model
    feats = model.backbone(images)
    embedding, saliency = (F.interpolate(x, (SIZE, SIZE), mode='bilinear') for x in model.decode_head(feats))
    return F.normalize(embedding, dim=1), saliency[:, 0]


def test_full_resolution_equals_the_steps_of_the_paper():
    """Image by image and pixel by pixel, from the maps on."""
    model = build(anchor='full')
    (query, key), masks, queue = views(3), torch.stack(ONE), model.queue.prototypes.clone()
    losses = model.loss([query, key], samples(*ONE))
    embeddings, saliency = dense(model, query)
    keys, _ = dense(model, key, model.key_branch.module)
    prototypes = [F.normalize(sum(keys[b, :, y, x] for y, x in torch.nonzero(masks[b, 1]).tolist()), dim=0)
                  for b in range(3)]
    anchors, ids = zip(*((embeddings[b, :, y, x], b) for b in range(3) for y, x in torch.nonzero(masks[b, 0]).tolist()))
    expected = mask_nce_loss(torch.stack(anchors), torch.tensor(ids), torch.stack(prototypes), queue)
    torch.testing.assert_close(losses['loss_contrast'], expected['loss'])
    torch.testing.assert_close(losses['acc_contrast'], expected['accuracy'])
    torch.testing.assert_close(losses['loss_saliency'], balanced_bce_loss(saliency, masks[:, 0]))
    assert float(losses['foreground']) == pytest.approx(float((masks[:, 0] > 0).float().mean()))
    torch.testing.assert_close(model.queue.prototypes[:3], torch.stack(prototypes).detach())
    assert torch.equal(model.queue.prototypes[3:], queue[3:])


def test_stride_anchors_are_the_cells_of_the_feature_map():
    model = build()
    query, key = views(3)
    losses = model.loss([query, key], samples(*ONE))
    cells = torch.stack(ONE)[:, :, 4::8, 4::8]
    embeddings, keys = (F.normalize(branch.decode_head(branch.backbone(images))[0], dim=1)
                        for branch, images in ((model, query), (model.key_branch.module, key)))
    prototypes = torch.stack([F.normalize(keys[b][:, cells[b, 1] > 0].sum(1), dim=0) for b in range(3)])
    rows = torch.cat([embeddings[b][:, cells[b, 0] > 0].t() for b in range(3)])
    ids = torch.repeat_interleave(torch.arange(3), (cells[:, 0] > 0).flatten(1).sum(1))
    noise = build().queue.prototypes
    torch.testing.assert_close(losses['loss_contrast'], mask_nce_loss(rows, ids, prototypes, noise)['loss'])


@pytest.mark.parametrize('anchor', [200, ('sample', 200), ['sample', 200]])
def test_sampled_anchors_are_near_all_of_them(anchor):
    full, sampled = build(anchor='full'), build(anchor=anchor)
    losses = [model.loss(views(3), samples(*ONE)) for model in (full, sampled)]
    torch.testing.assert_close(losses[0]['loss_contrast'], losses[1]['loss_contrast'], atol=0.05, rtol=0)
    assert not torch.equal(losses[0]['loss_contrast'], losses[1]['loss_contrast'])
    few = build(anchor=1).loss(views(3), samples(*ONE))
    assert float(few['acc_contrast']) % (100 / 3) == pytest.approx(0, abs=1e-3)  # three anchors


@pytest.mark.parametrize('anchor', ['stride', 'full', 50])
def test_only_object_pixels_of_the_query_get_a_gradient(anchor):
    model = build(anchor=anchor)
    maps = {}

    def keep(module, inputs, output):
        output.retain_grad()
        maps['query'] = output

    model.decode_head.embedding.register_forward_hook(keep)
    masks = [torch.stack([box(8, 16, 16, 24), box(0, 0, 48, 48)])] * 2
    losses = model.loss(views(2), samples(*masks))
    losses['loss_contrast'].backward()
    gradient = maps['query'].grad.abs().sum(1)
    inside = torch.zeros(2, 6, 6, dtype=torch.bool)
    inside[:, 1:3, 2:5] = True
    reached = inside if anchor == 'stride' else F.max_pool2d(inside.float(), 3, 1, 1) > 0  # bilinear neighbours
    assert (gradient[~reached] == 0).all() and (gradient[inside] > 0).all()
    assert all(param.grad is None and not param.requires_grad for param in model.key_branch.parameters())
    assert model.backbone.conv1.weight.grad.abs().sum() > 0
    assert not model.queue.prototypes.requires_grad


@pytest.mark.parametrize('anchor', ['stride', 'full'])
def test_the_order_of_the_batch_does_not_matter(anchor):
    order = [2, 0, 1]
    (query, key), first, second = views(3), build(anchor=anchor), build(anchor=anchor)
    losses = first.loss([query, key], samples(*ONE))
    permuted = second.loss([query[order], key[order]], samples(*(ONE[i] for i in order)))
    for name, value in losses.items():
        torch.testing.assert_close(permuted[name], value)


@pytest.mark.parametrize('anchor', ['stride', 'full', 20])
def test_images_without_anchors_or_prototype_contribute_nothing(anchor):
    """An image whose object is in one view only: without it, the contrast is the same."""
    empty_query, empty_key = torch.stack([EMPTY, ONE[1][1]]), torch.stack([ONE[1][0], EMPTY])
    model = build(anchor=anchor, queue_length=0)
    query, key = views(3)
    features = [model._query_branch()(query)[0], model.key_branch(key)[0]]

    def contrast(images, *masks):
        torch.manual_seed(1)
        return model._contrast(*(x[images] for x in features), torch.stack(masks))

    without_key = contrast([0, 1, 2], ONE[0], empty_key, ONE[2])
    if anchor != 20:  # other anchors would be drawn
        torch.testing.assert_close(without_key, contrast([0, 2], ONE[0], ONE[2]))
    assert float(without_key['loss'].detach()) > 0
    # without anchors the prototype is still a negative
    negative = contrast([0, 1, 2], ONE[0], empty_query, ONE[2])
    assert float(negative['loss'].detach()) > float(without_key['loss'].detach())


@pytest.mark.parametrize('anchor', ['stride', 'full', 20])
@pytest.mark.parametrize('n_images', [1, 2])
def test_a_batch_without_objects_is_no_loss(anchor, n_images):
    model = build(anchor=anchor)
    noise = model.queue.prototypes.clone()
    losses = model.loss(views(n_images), samples(*[torch.stack([EMPTY, EMPTY])] * n_images))
    assert float(losses['loss_contrast'].detach()) == 0 and float(losses['loss_saliency'].detach()) == 0
    assert float(losses['acc_contrast']) == 0 and float(losses['foreground']) == 0
    sum(value for name, value in losses.items() if name.startswith('loss')).backward()
    assert all((param.grad == 0).all() for param in model.parameters() if param.requires_grad)
    assert torch.equal(model.queue.prototypes, noise)


@pytest.mark.parametrize('anchor', ['stride', 'full', 20])
def test_a_batch_of_one(anchor):
    model = build(anchor=anchor)
    losses = model.loss(views(1), samples(ONE[0]))
    sum(value for name, value in losses.items() if name.startswith('loss')).backward()
    assert all(value.isfinite() for value in losses.values())
    assert all(param.grad.isfinite().all() for param in model.parameters() if param.requires_grad)
    assert int(model.queue.pointer) == 1


def test_objects_are_matched_by_their_id():
    """Two objects an image, one of them missing in a view, equal images of one object each with the same maps."""
    first = torch.stack([box(0, 0, 24, 48) + box(24, 0, 24, 48, 2), box(0, 0, 48, 24, 2) + box(0, 24, 48, 24)])
    second = torch.stack([box(0, 0, 48, 20, 2), box(0, 0, 48, 48, 1)])
    model = build(queue_length=0)
    query, key = views(2)
    maps = [model._query_branch()(query)[0].detach(), model.key_branch(key)[0]]
    together = model._contrast(*maps, torch.stack([first, second]))
    alone = torch.stack([(first == 1).byte(), (first == 2).byte(), (second == 1).byte(), (second == 2).byte()])
    apart = model._contrast(*(x[[0, 0, 1, 1]] for x in maps), alone)
    torch.testing.assert_close(together, apart)


def test_the_queue_is_used_after_it_was_read():
    model = build(queue_length=4)
    model.loss(views(3), samples(*ONE))
    held = model.queue.prototypes.clone()
    assert int(model.queue.pointer) == 3
    other = build(queue_length=4)
    losses = [m.loss(views(3, seed=1), samples(*ONE))['loss_contrast'] for m in (model, other)]
    assert not torch.equal(*losses)
    other.queue.prototypes.copy_(held)
    torch.testing.assert_close(other.loss(views(3, seed=1), samples(*ONE))['loss_contrast'], losses[0])
    assert int(model.queue.pointer) == 2


def step(model, optimizer):
    OptimWrapper(optimizer).update_params(model.loss(views(2), samples(*ONE[:2]))['loss_contrast'])
    model.follow()


@pytest.mark.parametrize('share', [0.3, 1e-12, 1 - 1e-12])
def test_the_key_branch_is_a_moving_average(share):
    """m = 1 leaves it alone, m = 0 copies the query branch."""
    model = build(momentum=share)
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    expected = {key: value.clone().double() for key, value in model.key_branch.module.named_parameters()}
    for _ in range(3):
        step(model, optimizer)
        for name, param in model._query_branch().named_parameters():
            expected[name] = (1 - share) * expected[name] + share * param.detach().double()
    start = dict(build()._query_branch().named_parameters())
    for name, value in model.key_branch.module.named_parameters():
        torch.testing.assert_close(value.double(), expected[name], atol=1e-6, rtol=1e-5)
        if share < 1e-6:
            torch.testing.assert_close(value, start[name], atol=1e-9, rtol=0)
        if share > 1 - 1e-6:
            assert torch.equal(value, dict(model._query_branch().named_parameters())[name])
    assert not torch.equal(model.backbone.conv1.weight, start['backbone.conv1.weight'])


def test_the_key_branch_starts_as_the_weights_that_were_loaded(tmp_path):
    source, model = build(), build(start=False)
    torch.nn.init.normal_(source.backbone.conv1.weight)
    state = {key: value for key, value in source.state_dict().items() if not key.startswith(('key_branch', 'queue'))}
    model.load_state_dict(state, strict=False)  # such as a checkpoint of another method
    model.start(is_new=True)
    assert torch.equal(model.key_branch.module.backbone.conv1.weight, source.backbone.conv1.weight)
    torch.nn.init.zeros_(model.backbone.conv1.weight)
    resumed = build(start=False)
    resumed.load_state_dict(model.state_dict())
    resumed.start(is_new=False)  # the average of a resumed run stays
    assert torch.equal(resumed.key_branch.module.backbone.conv1.weight, source.backbone.conv1.weight)


def test_frozen_stages_are_frozen_in_both_branches():
    backbone = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=BN, frozen_stages=2)
    model = build(backbone=backbone)
    model.train()
    for branch in (model, model.key_branch.module):
        assert not branch.backbone.bn1.training and not branch.backbone.layer2[1].bn2.training
        assert branch.backbone.layer3[0].bn1.training
    frozen = {name for name, param in model.backbone.named_parameters() if not param.requires_grad}
    assert {name.split('.')[0] for name in frozen} == {'conv1', 'bn1', 'layer1', 'layer2'}


def test_mixed_precision_is_near_float32():
    losses = build().loss(views(3), samples(*ONE))
    with torch.autocast('cpu', torch.bfloat16):
        half = build().loss(views(3), samples(*ONE))
    for name in ('loss_contrast', 'loss_saliency'):
        assert half[name].dtype == torch.float32
        torch.testing.assert_close(half[name], losses[name], atol=0.05, rtol=0)


def test_prediction_and_embeddings():
    model = build().eval()
    model.decode_head.saliency.weight.data.mul_(20)
    inputs = views(2)[0]
    embeddings, saliency = model._query_branch()(inputs)
    feats, segments, _ = model.forward_maps(inputs)
    torch.testing.assert_close(feats['embedding'], embeddings * saliency)
    torch.testing.assert_close(model.decode_head.embedding(feats['trunk']), embeddings)
    assert {name: feat.size(1) for name, feat in feats.items()} == model.probe_channels
    assert torch.equal(segments(), (saliency[:, 0] > 0.5).long() - 1)
    metas = dict(img_shape=(SIZE, SIZE), ori_shape=(60, 72))
    predicted = model.predict(inputs, [SegDataSample(metainfo=metas) for _ in range(2)])
    logits = F.interpolate(F.interpolate(saliency, (SIZE, SIZE), mode='bilinear'), (60, 72), mode='bilinear')
    maps = torch.stack([sample.pred_sem_seg.data for sample in predicted])
    assert torch.equal(maps, (logits > 0.5).to(maps)) and 0 < maps.float().mean() < 1


@pytest.mark.parametrize('options, message', [
    (dict(momentum=0.), 'momentum, the share of the new weights, must lie between 0 and 1, but it is 0.0'),
    (dict(momentum=1.), 'must lie between 0 and 1'),
    (dict(anchor='pixels'), "anchor='pixels' is neither 'stride' nor 'full' nor a positive number"),
    (dict(anchor=0), 'anchor=0 is neither'),
    (dict(anchor=True), 'anchor=True is neither'),
    (dict(anchor=('random', 5)), 'is neither'),
    (dict(queue_length=-1), 'queue_length must be at least 0, but it is -1'),
])
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_missing_backbone_tensors_are_an_error(tmp_path):
    state = copy.deepcopy(build().backbone.state_dict())
    del state['layer4.1.conv2.weight']
    torch.save(state, tmp_path / 'part.pth')
    backbone = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=BN,
                    init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=str(tmp_path / 'part.pth')))
    with pytest.raises(ValueError, match='119/120'):
        build(backbone=backbone)
    backbone['init_cfg']['allow_missing'] = True
    model = build(backbone=backbone)
    assert torch.equal(model.key_branch.module.backbone.conv1.weight, state['conv1.weight'])


def test_losses_at_the_stride_cost_a_tenth():
    model = build()
    report = time_losses(model, batch_size=32, size=224, anchors=('stride', 64, 'full'), repeats=1)
    assert set(report) == {'stride', '64', 'full'} and model.anchor == 'stride'
    assert report['stride']['seconds'] < 0.1 * report['full']['seconds']
