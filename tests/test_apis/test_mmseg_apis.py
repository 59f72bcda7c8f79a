"""MMSegmentation's own functions give the maps of ours."""
import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmcv.transforms import Compose
from mmseg.apis import MMSegInferencer, inference_model, init_model, show_result_pyplot

from mmseg_unsup.apis import UnsupInferencer, mmseg_config
from mmseg_unsup.datasets import CamVidDataset
from mmseg_unsup.registry import MODELS
from ..conftest import ROOT, smooth_image
from .test_inferencer import tiny_checkpoint
from .tiny_models import K

pytestmark = pytest.mark.filterwarnings('ignore')

VISUALIZER = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
SMALL = {'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8}
SMALL_PICIE = {**SMALL, 'model.neck.in_channels': [8, 16, 32, 64], 'n_clusters': K,
               'test_dataloader.dataset.pipeline.ResizeForEvaluation.size': 48}
SMALL_FCN = {**SMALL, 'model.decode_head.in_channels': 64, 'model.auxiliary_head.in_channels': 32,
             'test_dataloader.dataset.pipeline.ResizeForEvaluation.size': 48}


@pytest.fixture
def image(tmp_path):
    """A picture that the centre crop of published scores would cut."""
    path = str(tmp_path / 'image.png')
    cv2.imwrite(path, smooth_image(np.random.default_rng(0), 60, 90))
    return path


def save(state: dict, path) -> str:
    """A checkpoint that names the classes of its training data, as the runner writes it."""
    torch.save(dict(state_dict=state, meta=dict(dataset_meta=dict(CamVidDataset.METAINFO))), path)
    return str(path)


def predict_by_all_doors(config, weights: str, image: str):
    """Maps by path, by array and by the inferencer, and the model."""
    model = init_model(config(), weights, device='cpu')
    by_path = inference_model(model, image).pred_sem_seg.data[0].numpy()
    by_array = inference_model(model, [cv2.imread(image)])[0].pred_sem_seg.data[0].numpy()
    inferencer = MMSegInferencer(config(), weights, device='cpu', show_progress=False)
    found = inferencer(image, return_vis=True)
    assert found['visualization'].shape == (*by_path.shape, 3)
    return [by_path, by_array, found['predictions']], model


@pytest.mark.parametrize('method', ['PiCIE', 'MaskContrast'])
def test_methods_of_this_package(method, image, tmp_path):
    config, weights = tiny_checkpoint(method, tmp_path, 'center_crop' if method == 'PiCIE' else 'squash')
    config.visualizer = VISUALIZER
    config.dump(str(tmp_path / 'config.py'))
    weights = save(torch.load(weights)['state_dict'], tmp_path / 'named.pth')
    expected, = UnsupInferencer(config, weights, device='cpu', show_progress=False)(image)['predictions']
    maps, model = predict_by_all_doors(lambda: str(tmp_path / 'config.py'), weights, image)
    carried = dict(torch.load(weights, weights_only=False), meta=dict(cfg=config.pretty_text))
    torch.save(carried, tmp_path / 'carries_its_config.pth')
    inferencer = MMSegInferencer(None, str(tmp_path / 'carries_its_config.pth'), device='cpu', show_progress=False)
    maps.append(inferencer(image)['predictions'])
    assert len(np.unique(expected['ids'])) > 1
    for found in maps:
        np.testing.assert_array_equal(found, expected['ids'])
    names = ['background' if k == model.background_cluster else f'cluster {k}' for k in range(K)]
    assert model.dataset_meta['classes'] == names
    result = inference_model(model, [cv2.imread(image)])[0]
    shown = show_result_pyplot(model, image, result, opacity=1, with_labels=False, show=False)
    colors = np.array(model.dataset_meta['palette'])[expected['ids']]
    assert (shown == colors).all(2).mean() > 0.9  # matplotlib before 3.11 moves some borders by a column


def test_names_of_configs(image, tmp_path):
    name = 'mmseg_unsup::picie/picie_fpn_camvid.py'
    config = mmseg_config(name, SMALL_PICIE)
    model = MODELS.build(config.model)
    torch.manual_seed(0)
    prototypes = torch.nn.functional.normalize(torch.randn(2, K, config.model.neck.out_channels), dim=2)
    for of_view, centers in zip(model.levels[0].sets, prototypes):
        of_view.fit(centers, torch.ones(K))
    model.clusters['fresh'].fit(prototypes[0])
    weights = save(model.state_dict(), tmp_path / 'weights.pth')
    inferencer = UnsupInferencer(name, weights, device='cpu', show_progress=False, options=SMALL_PICIE)
    expected, = inferencer(image)['predictions']
    maps, _ = predict_by_all_doors(lambda: mmseg_config(name, SMALL_PICIE), weights, image)
    for found in maps:
        np.testing.assert_array_equal(found, expected['ids'])


def test_a_supervised_model_on_a_data_set_of_this_package(image, tmp_path):
    name = f'{ROOT}/configs/finetune/fcn_r18_camvid.py'
    torch.manual_seed(0)
    weights = save(MODELS.build(mmseg_config(name, SMALL_FCN).model).state_dict(), tmp_path / 'weights.pth')
    maps, model = predict_by_all_doors(lambda: mmseg_config(name, SMALL_FCN), weights, image)
    pipeline = Compose(mmseg_config(name, SMALL_FCN).test_pipeline)
    expected = model.test_step(pseudo_collate([pipeline(dict(img_path=image))]))[0].pred_sem_seg.data[0].numpy()
    assert expected.shape == (60, 90) and model.dataset_meta['classes'] == CamVidDataset.METAINFO['classes']
    for found in maps:
        np.testing.assert_array_equal(found, expected)


def test_a_config_without_its_shortcuts_is_refused(tmp_path):
    path = f'{ROOT}/configs/maskcontrast/maskcontrast_deeplabv3_folder_r18.py'
    with pytest.raises(ValueError, match='of which size differs .* read it by mmseg_unsup.apis.mmseg_config'):
        init_model(path, device='cpu')
    # what options set is not set back
    options = {'test_dataloader.dataset.pipeline.ResizeForEvaluation.size': 77}
    assert mmseg_config(path, options).test_pipeline[1].size == 77


def test_a_config_without_a_test_pipeline():
    with pytest.raises(KeyError, match='no test_dataloader.dataset.pipeline'):
        mmseg_config(Config(dict(model=dict(type='EncoderDecoder'))))
