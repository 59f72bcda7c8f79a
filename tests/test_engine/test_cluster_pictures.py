"""What a run shows of its clusters."""
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmseg_unsup.engine.hooks.cluster_pictures_hook import ClusterPicturesHook, confusion_picture, scored_confusion
from mmseg_unsup.evaluation import ClusterIoUMetric
from mmseg_unsup.visualization import cluster_palette, heat_map
from .tiny import tiny_runner

CLASSES, PALETTE = ('sky', 'road'), [[0, 0, 250], [120, 120, 120]]


def test_a_run_gives_its_backends_pictures(image_folder, tmp_path):
    runner = tiny_runner(image_folder, tmp_path / 'run', max_epochs=2, draws=True)
    runner.train()
    written = {path.name: cv2.imread(str(path)) for path in (tmp_path / 'run').rglob('vis_image/*.png')}
    assert set(written) == {f'{name}_2.png' for name in ('contact_sheet', 'cluster_sizes', 'cluster_similarity')}
    sheet = cv2.imread(str(tmp_path / 'run' / 'contact_sheet.png'))
    assert (sheet == written['contact_sheet_2.png']).all() and sheet.shape[0] > 8 * 160  # eight images
    # clusters of similar prototypes: the picture is that of the cosines
    rows = runner.model.cluster_tensors()[0]
    rows = rows / rows.norm(dim=1, keepdim=True)
    expected = heat_map((rows @ rows.t()).numpy(), range(len(rows)), range(len(rows)),
                        'cosine similarity of the clusters', low=-1.)
    assert (written['cluster_similarity_2.png'][..., ::-1] == expected).all()


class Visualizer:
    def __init__(self):
        self.pictures = {}

    def add_image(self, name, picture, step):
        self.pictures[name] = picture


def evaluate(hook, images, clusters, labels, tmp_path):
    """Give the hook an evaluation of one batch, four clusters, as the loop of a runner does."""
    metric = ClusterIoUMetric(show_table=False)
    metric.dataset_meta = dict(classes=CLASSES, palette=PALETTE)
    samples = []
    for of_clusters, of_labels in zip(clusters, labels):
        sample = SegDataSample(metainfo=dict(n_clusters=4))
        sample.set_data(dict(pred_sem_seg=PixelData(data=torch.from_numpy(of_clusters)[None]),
                             gt_sem_seg=PixelData(data=torch.from_numpy(of_labels)[None])))
        samples.append(sample)
    loop = SimpleNamespace(evaluator=SimpleNamespace(metrics=[metric]),
                           dataloader=SimpleNamespace(dataset=SimpleNamespace(metainfo=metric.dataset_meta)))
    model = SimpleNamespace(predicted_sets=['fresh'], cluster_tensors=lambda: [torch.eye(4)])
    runner = SimpleNamespace(val_loop=loop, _train_loop=None, model=model, visualizer=Visualizer(),
                             work_dir=str(tmp_path), logger=SimpleNamespace(info=print))
    hook.before_val_epoch(runner)
    inputs = [torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1) for image in images]
    hook.after_val_iter(runner, 0, dict(inputs=inputs), samples)
    metric.process({}, [sample.to_dict() for sample in samples])
    metric.evaluate(len(samples))
    hook.after_val_epoch(runner)
    return runner.visualizer.pictures, metric


def test_matched_classes_and_truth(tmp_path):
    images = np.full((2, 160, 160, 3), (10, 200, 90), np.uint8)
    # cluster 3 is the sky, 1 the road; 2 has no class and 0 does not occur
    clusters = np.full((2, 160, 160), 3, np.int64)
    clusters[:, 80:], clusters[1, 150:] = 1, 2
    labels = np.zeros((2, 160, 160), np.uint8)
    labels[:, 80:], labels[:, :4] = 1, 255
    pictures, metric = evaluate(ClusterPicturesHook(), images, clusters, labels, tmp_path)
    sheet, pitch = pictures['contact_sheet'], 166
    tile = [sheet[24 + pitch:24 + pitch + 160, 6 + c * pitch:6 + c * pitch + 160] for c in range(4)]
    white, table = np.full((256, 3), 255, np.uint8), np.array(PALETTE, np.uint8)
    white[:2] = table
    assert (tile[0] == images[1]).all()
    assert (tile[1] == cluster_palette(4)[clusters[1]]).all()
    assert (tile[2] == white[np.array([255, 1, 255, 0])[clusters[1]]]).all()
    assert (tile[3] == white[labels[1]]).all()
    # classes in percent of their labelled pixels; clusters by their classes, then those without one
    expected = heat_map(np.array([[100, 0, 0, 0], [0, 15000 / 160, 0, 1000 / 160]]), CLASSES, [3, 1, 0, 2],
                        'percent of the pixels of a class', high=100., row_title='class',
                        column_title='cluster, in the order of the classes', write_numbers=True)
    assert (pictures['confusion_matrix'] == expected).all()
    assert (pictures['confusion_matrix'] == confusion_picture(metric, CLASSES, 4)).all()


def test_images_side_by_side(tmp_path):
    images = np.stack([np.full((160, 160, 3), value, np.uint8) for value in (10, 90, 200)])
    clusters = np.full((3, 160, 160), 3, np.int64)
    labels = np.zeros((3, 160, 160), np.uint8)
    pictures, _ = evaluate(ClusterPicturesHook(images_per_row=2), images, clusters, labels, tmp_path)
    sheet, pitch = pictures['contact_sheet'], 166
    assert sheet.shape == (24 + 2 * pitch, 6 + 8 * pitch, 3)
    for i, (r, c) in enumerate([(0, 0), (0, 4), (1, 0)]):
        assert (sheet[24 + r * pitch:24 + r * pitch + 160, 6 + c * pitch:6 + c * pitch + 160] == images[i]).all()
    assert (sheet[24 + pitch:, 6 + 4 * pitch:] == 255).all()  # there is no fourth image


@pytest.mark.parametrize('name', ['n_images', 'images_per_row'])
def test_numbers_of_images_are_checked(name):
    with pytest.raises(ValueError, match=f'{name} must be at least 1, but it is 0'):
        ClusterPicturesHook(**{name: 0})


def test_the_confusion_is_of_the_clusters_that_are_shown():
    metrics = [ClusterIoUMetric('view1'), ClusterIoUMetric('fresh'), ClusterIoUMetric()]
    assert scored_confusion(metrics, 'fresh') is None  # nothing was scored
    for metric in metrics:
        metric.confusion = np.eye(2)
    assert scored_confusion(metrics, 'fresh') is metrics[1]
    assert scored_confusion(metrics[:1], 'fresh') is None
