"""From a folder of images to segments, without labels, in one call."""
from typing import Any, Dict, Optional, Sequence

from .segmented_folder import SegmentedFolder


def segment_folder(images: str,
                   out: str,
                   method: Optional[str] = None,
                   n_clusters: Optional[int] = None,
                   prior: str = 'rbd',
                   objects: str = 'image',
                   config: Optional[str] = None,
                   init: Optional[str] = None,
                   epochs: Optional[int] = None,
                   workers: Optional[int] = None,
                   on_error: str = 'raise',
                   options: Optional[Dict[str, Any]] = None,
                   amp: bool = False,
                   compile: bool = False,
                   examples: Optional[str] = None,
                   classes: Optional[Sequence[str]] = None,
                   refine: Optional[str] = None) -> SegmentedFolder:
    """Find segments in a folder of images: ``mmseg-unsup segment`` as a function.

    The same call again goes on where it was stopped; with more ``epochs``, the training goes on. It prints what the
    command prints; ``segment_folder.log`` in ``out``, and the log of the training in ``out/train``, have everything.

    Args:
        images: the folder, with sub-folders.
        out: folder of everything that is written.
        method: 'maskcontrast' finds objects, 'picie' gives every pixel a cluster, 'features' too, without training;
            None for 'features' where ``init`` is a file of a transformer, else 'maskcontrast'.
        n_clusters: None for that of the config.
        prior: of the masks of objects, see :func:`mmseg_unsup.apis.prior_configs.prior_config`; one that sees features
            has the weights of ``init``.
        objects: 'image' for one an image, 'components' for several.
        config: file, or ``mmseg_unsup::NAME``; None for the folder config of the method, a small one without a GPU.
        init: file of weights to start from: of a ResNet with torchvision's names, or an official one of DINO, DINOv2
            or DINOv3 (:func:`mmseg_unsup.models.backbones.dino_vit_config`), with which nothing trains; 'none' for
            random ones, None for those of the config, which are downloaded.
        epochs: None for those of the config.
        workers: processes that make masks; None for as many as there are cores.
        on_error: 'skip' leaves out images that cannot be read, 'raise' stops.
        options: further settings of the config, dotted key -> value.
        amp: mixed precision.
        compile: of backbone and neck, by torch.
        examples: folder of label maps of a few of the images, see :class:`mmseg_unsup.apis.examples.Examples`, or file
            of names of clusters of the model in ``out``, see :class:`mmseg_unsup.apis.examples.NamedExamples`; the maps
            are then of these classes, by the most similar places.
        classes: names of what the values of label maps stand for.
        refine: of the maps, see :class:`mmseg_unsup.apis.UnsupInferencer`; None for what the config says.

    Raises:
        FileNotFoundError, ValueError: an argument that cannot be, or an image that cannot be read; what an argument
            alone says is said before anything is written.
        MemoryError: an image needs more memory than there is.
        SystemExit: with status 75, SIGTERM or SIGUSR1 came during the training, after a checkpoint was written.
    """
    from ..utils.console import quiet_console  # with the training and all its hooks, which other apis do without
    from ..utils.log_files import closing_logs
    from .segment_request import Request
    from .segment_work import find_segments
    request = Request(images=images, out=out, method=method, n_clusters=n_clusters, prior=prior, objects=objects,
                      config=config, init=init, epochs=epochs, workers=workers, on_error=on_error,
                      options=dict(options or {}), amp=amp, compile=compile, examples=examples, classes=classes,
                      refine=refine)
    with quiet_console(), closing_logs():
        return find_segments(request)
