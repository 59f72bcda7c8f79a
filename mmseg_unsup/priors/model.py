"""Masks from a trained network: a config and checkpoint of mmseg, or an ONNX file."""
import os.path as osp
from typing import Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from ..registry import PRIORS
from .base import Prior, enlarge


@PRIORS.register_module()
class ModelPrior(Prior):
    """What a network takes for an object.

    Args:
        config: config file of mmseg; with it goes ``checkpoint``.
        checkpoint: weights of that config.
        onnx: ONNX file of a saliency model with one float input (1, 3, H, W) and one output, a map (1, 1, H', W'),
            (1, H', W') or (H', W') in 0..1. Give either this or ``config``.
        foreground: classes that are objects; None for all but class 0. A network with one channel needs none: its map
            is the sigmoid of the channel.
        image_size: (height, width) of the input of the ONNX file; needed where the file leaves it open.
        mean, std: of RGB 0..255, for the ONNX file.
        to_rgb: False for an ONNX file that takes BGR.
        sigmoid: whether the ONNX file gives logits.
        weights_labels: which labels the weights have seen.
        threshold, min_area: as of :class:`Prior`.

    Raises:
        FileNotFoundError: a file is missing.
        ImportError: onnx or onnxruntime is not installed.
        ValueError: neither or both kinds of network; a checkpoint of another network; an ONNX file of another form, or
            one that reads files outside of its folder; a class that the network lacks.
    """

    def __init__(self,
                 config: Optional[str] = None,
                 checkpoint: Optional[str] = None,
                 onnx: Optional[str] = None,
                 foreground: Optional[Sequence[int]] = None,
                 image_size: Optional[Tuple[int, int]] = None,
                 mean: Sequence[float] = (123.675, 116.28, 103.53),
                 std: Sequence[float] = (58.395, 57.12, 57.375),
                 to_rgb: bool = True,
                 sigmoid: bool = False,
                 weights_labels: str = 'unknown',
                 threshold: Union[str, float] = 0.5,
                 min_area: float = 0.01) -> None:
        super().__init__(threshold, min_area)
        if (onnx is None) == (config is None) or (config is None) != (checkpoint is None):
            raise ValueError(f'ModelPrior takes config and checkpoint, or onnx alone: it got config={config!r}, '
                             f'checkpoint={checkpoint!r}, onnx={onnx!r}')
        for path in (config, checkpoint, onnx):
            if path is not None and '://' not in path and not osp.isfile(path):
                raise FileNotFoundError(f'the network {path!r} of ModelPrior does not exist: check the path')
        self.config, self.checkpoint, self.onnx = config, checkpoint, onnx
        self.foreground, self.image_size = foreground, image_size
        self.mean, self.std, self.to_rgb, self.sigmoid = mean, std, to_rgb, sigmoid
        self.weights_labels = self.labels = weights_labels
        self._predict = self._open_config() if onnx is None else self._open_onnx()

    def saliency(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """The prediction of the network, as :meth:`Prior.saliency`."""
        return enlarge(self._predict(image), image.shape)

    def _open_config(self):
        """Image -> (H, W) share of the foreground classes."""
        from mmseg.apis import inference_model, init_model  # it imports the runner, which a prior does not need
        model = init_model(self.config, device='cpu')
        load_network(model, self.checkpoint, self.config)

        def predict(image: np.ndarray) -> np.ndarray:
            logits = inference_model(model, np.ascontiguousarray(image[..., ::-1])).seg_logits.data.float()
            if len(logits) == 1:  # mmseg has taken the sigmoid
                return logits[0].numpy()
            return logits.softmax(0)[self._classes(len(logits))].sum(0).clamp(0, 1).numpy()

        return predict

    def _classes(self, n_classes: int) -> list:
        classes = list(range(1, n_classes)) if self.foreground is None else list(self.foreground)
        if not classes or min(classes) < 0 or max(classes) >= n_classes:
            raise ValueError(f'foreground={self.foreground!r} of ModelPrior: {self.config} has the classes 0 to '
                             f'{n_classes - 1}')
        return classes

    def _open_onnx(self):
        """Image -> (H', W') map in 0..1."""
        session = _onnx_session(self.onnx)
        size = check_onnx(self.onnx, session, self.image_size)
        name = session.get_inputs()[0].name
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)

        def predict(image: np.ndarray) -> np.ndarray:
            pixels = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
            pixels = (pixels - mean) / std
            batch = np.ascontiguousarray((pixels if self.to_rgb else pixels[..., ::-1]).transpose(2, 0, 1)[None])
            result, = session.run(None, {name: batch})
            if result.ndim > 4 or result.size != np.prod(result.shape[-2:]):
                raise ValueError(f'{self.onnx} gives an output {result.shape}: expected one map (1, 1, H, W)')
            result = result.reshape(result.shape[-2:]).astype(np.float32)
            if self.sigmoid:
                return 1 / (1 + np.exp(-result))
            if result.min() < 0 or result.max() > 1:
                raise ValueError(f'{self.onnx} gives values from {result.min():.3g} to {result.max():.3g}, not in 0 to '
                                 '1: set sigmoid=True if they are logits')
            return result

        return predict


def load_network(model, checkpoint: str, config: str) -> None:
    """Give a segmentor of mmseg its weights; ValueError if others than those of auxiliary heads are missing."""
    from ..weights import match_tensors, read_part
    match = match_tensors(read_part(checkpoint, prefix=''), model.state_dict())
    lacking = [name for name in match.missing + match.misshaped if not name.startswith('auxiliary_head.')]
    if lacking:
        raise ValueError(f'{checkpoint} lacks {len(lacking)} of the {len(match.target)} tensors of {config}, or has '
                         f'them in another shape, such as {lacking[0]}: give the checkpoint of this config')
    model.load_state_dict({name: match.pretrained.state[name] for name in match.loaded}, strict=False)


def check_onnx(path: str, session, image_size: Optional[Tuple[int, int]]) -> Tuple[int, int]:
    """(height, width) of the input of a saliency model; ValueError if it is none, or not of one size, that given."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    found = (f'inputs {[(i.type, i.shape) for i in inputs]} and outputs {[(o.type, o.shape) for o in outputs]}')
    shape = inputs[0].shape if len(inputs) == 1 else []
    is_image = len(shape) == 4 and inputs[0].type == 'tensor(float)' and _fits(shape[0], 1) and _fits(shape[1], 3)
    is_map = len(outputs) == 1 and 2 <= len(outputs[0].shape) <= 4 and all(_fits(n, 1) for n in outputs[0].shape[:-2])
    if not is_image or not is_map:
        raise ValueError(f'{path} has {found}: ModelPrior takes one float input (1, 3, H, W) and one map (1, 1, H, W)')
    size = tuple(image_size or shape[2:])
    if not all(isinstance(side, int) for side in size):
        raise ValueError(f'{path} has {found}, of no fixed size: set image_size of ModelPrior to (height, width)')
    if not all(_fits(side, wanted) for side, wanted in zip(shape[2:], size)):
        raise ValueError(f'{path} has {found}: image_size={image_size!r} of ModelPrior does not fit, leave it out')
    return size


def _fits(side: Union[int, str, None], wanted: int) -> bool:
    """Whether a side of an ONNX shape is ``wanted``, or open."""
    return not isinstance(side, int) or side == wanted


def _onnx_session(path: str):
    try:
        import onnx
        import onnxruntime
    except ImportError:
        raise ImportError('an ONNX file needs onnx and onnxruntime: pip install "mmseg-unsup[onnx]"') from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # one thread a worker, and one result
    try:
        onnx.checker.check_model(path)  # onnxruntime for Python 3.10 reads files that lie elsewhere
        return onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # both have types of their own
        raise ValueError(f'{path} cannot be read as an ONNX model: {str(error).splitlines()[0]}') from None
