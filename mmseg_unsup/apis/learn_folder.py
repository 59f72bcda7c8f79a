"""From corrected maps of some images of a folder to better maps of all, in one call."""
from typing import Any, Dict, Optional, Sequence, Union

from .learned_folder import LearnedFolder


def learn_folder(model: str,
                 images: Optional[str] = None,
                 labels: Union[str, Sequence[str]] = (),
                 out: Optional[str] = None,
                 classes: Optional[Sequence[str]] = None,
                 only: Optional[Sequence[str]] = None,
                 steps: Optional[int] = None,
                 size: Optional[int] = None,
                 on_error: str = 'raise',
                 options: Optional[Dict[str, Any]] = None,
                 amp: bool = False,
                 compile: bool = False,
                 refine: Optional[str] = None) -> LearnedFolder:
    """Train a model by corrected maps, and segment the folder anew: ``mmseg-unsup learn`` as a function.

    The same call again goes on where it was stopped. With other labels, classes or steps the training begins anew, from
    the same model: the result depends on the labels of the last call alone.

    Args:
        model: a folder that ``mmseg-unsup segment`` or a training wrote, or a checkpoint.
        images: the folder, with sub-folders; None for the one that the maps in ``model`` are of.
        labels: files and folders of corrections, see :class:`mmseg_unsup.apis.corrections.Corrections`.
        out: folder of everything that is written; None for ``learned`` in the folder of the model.
        classes: their names; None for those of the model, else those that the corrections have.
        only: names of the images that were corrected, or patterns of these; None for all that ``labels`` speak of.
        steps: of the training; None for 20 for each labelled image, from 200 to 400, or to 8000 on a GPU.
        size: pixels of the shorter side that the network sees; None for 240, on a GPU 320, or where the
            backbone is frozen those of the model.
        on_error: 'skip' leaves out images that cannot be read, 'raise' stops.
        options: further settings of the config, dotted key -> value.
        amp: mixed precision.
        compile: of backbone and neck, by torch.
        refine: of the maps, see :class:`mmseg_unsup.apis.UnsupInferencer`; None for none.

    Raises:
        FileNotFoundError, ImportError, ValueError: an argument that cannot be, corrections that do not fit, or an image
            that cannot be read.
        SystemExit: with status 75, SIGTERM or SIGUSR1 came.
    """
    from ..utils.console import quiet_console  # with the training and all its hooks, which other apis do without
    from ..utils.log_files import closing_logs
    from .learn_request import LearnRequest
    from .learn_work import learn
    request = LearnRequest(model=model, images=images, labels=labels, out=out, classes=classes, only=only, steps=steps,
                           size=size, on_error=on_error, options=dict(options or {}), amp=amp, compile=compile,
                           refine=refine)
    with quiet_console(), closing_logs():
        return learn(request)
